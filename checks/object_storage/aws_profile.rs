//! Profiles in the shared files of the AWS command line and SDKs: the one part of the usual chain that `object_store` lacks.

use super::environment::{home, variable};
use crate::contract::{Blocking, Failure};
use async_trait::async_trait;
use object_store::{CredentialProvider, Error, Result, aws::AwsCredential};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A profile. The files are read again each time, since other programs replace short-lived keys in them.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>
#[derive(Debug)]
pub(crate) struct AwsProfile {
    files: ProfileFiles,
    name: String,
    reading: Blocking,
}

/// The shared files.
#[derive(Clone, Debug)]
struct ProfileFiles {
    credentials: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// The settings of a profile, in both files.
#[derive(Debug, Default)]
pub(crate) struct ProfileSettings(BTreeMap<String, String>);

/// Settings that make the SDK get credentials in a way that is not supported, and what they do.
const UNSUPPORTED: [(&str, &str); 5] = [
    ("role_arn", "assumes a role"),
    ("sso_session", "uses SSO"),
    ("sso_start_url", "uses SSO"),
    ("credential_process", "runs a program for its credentials"),
    ("login_session", "uses the credentials of a login"),
];

impl AwsProfile {
    /// The profile with this name, or that of `AWS_PROFILE`, or `default`; in this credentials file, or the usual one.
    pub(crate) fn new(name: Option<&str>, credentials_file: Option<PathBuf>) -> Self {
        let in_home = |name: &str| home().map(|home| home.join(".aws").join(name));
        let usual = |name: &str, file: &str| variable(name).map(PathBuf::from).or_else(|| in_home(file));
        let files = ProfileFiles {
            credentials: credentials_file.or_else(|| usual("AWS_SHARED_CREDENTIALS_FILE", "credentials")),
            config: usual("AWS_CONFIG_FILE", "config"),
        };
        let name = name.map(ToOwned::to_owned).or_else(Self::named_by_environment).unwrap_or_else(|| "default".to_owned());
        Self { files, name, reading: Blocking::default() }
    }

    /// The profile that the environment names.
    pub(crate) fn named_by_environment() -> Option<String> {
        variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"))
    }

    /// The settings of the profile, empty if it does not exist. Blocks.
    pub(crate) fn settings(&self) -> ProfileSettings {
        self.files.read(&self.name).unwrap_or_default()
    }
}

impl ProfileFiles {
    /// The settings of a profile. Those in the credentials file come first.
    fn read(&self, name: &str) -> io::Result<ProfileSettings> {
        let mut found = ProfileSettings::default();
        let (mut is_read, mut missing) = (false, None);
        for (file, header) in [(&self.config, format!("profile {name}")), (&self.credentials, name.to_owned())] {
            let Some(file) = file else { continue };
            match text(file) {
                // The default profile has no prefix in the config file.
                Ok(text) => {
                    is_read = true;
                    found.read(&text, |section| section == header || (section == "default" && name == "default"));
                }
                Err(error) => missing = Some(error),
            }
        }
        // One of the two files is enough.
        match missing {
            Some(error) if !is_read => Err(error),
            _ => Ok(found),
        }
    }
}

fn text(file: &Path) -> io::Result<String> {
    fs::read_to_string(file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

impl ProfileSettings {
    fn read(&mut self, text: &str, is_wanted: impl Fn(&str) -> bool) {
        let mut inside = false;
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
            if let Some(header) = line.trim().strip_prefix('[').and_then(|line| line.split(']').next()) {
                inside = is_wanted(&header.split_whitespace().collect::<Vec<_>>().join(" "));
            // An indented line belongs to a nested setting, such as `s3 =`.
            } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with([' ', '\t'])) {
                let value = value.split(" #").next().unwrap_or_default().trim();
                if !value.is_empty() {
                    self.0.insert(key.trim().to_ascii_lowercase(), value.to_owned());
                }
            }
        }
    }

    /// A setting.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether the profile says where its credentials come from.
    pub(crate) fn has_credentials(&self) -> bool {
        self.get("aws_access_key_id").is_some() || self.unsupported().is_some()
    }

    /// What the profile does that is not supported. An assumed role comes before keys, the rest after them, as in the SDK.
    fn unsupported(&self) -> Option<&'static str> {
        let has_keys = self.get("aws_access_key_id").is_some();
        UNSUPPORTED.iter().find(|(key, _)| (*key == "role_arn" || !has_keys) && self.get(key).is_some()).map(|(_, does)| *does)
    }

    fn credential(&self) -> std::result::Result<AwsCredential, Failure> {
        if let Some(does) = self.unsupported() {
            let message = format!("the AWS profile {does}, which is not supported: use keys, a web identity or the role of the machine");
            return Err(Failure::rejected(message));
        }
        let keys = (self.get("aws_access_key_id"), self.get("aws_secret_access_key"), self.get("aws_session_token"));
        let (Some(id), Some(secret), token) = keys else { return Err(Failure::rejected("the AWS profile has no keys")) };
        Ok(AwsCredential { key_id: id.to_owned(), secret_key: secret.to_owned(), token: token.map(ToOwned::to_owned) })
    }
}

#[async_trait]
impl CredentialProvider for AwsProfile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let (files, name) = (self.files.clone(), self.name.clone());
        let read = self.reading.run(move || files.read(&name)).await;
        let unreadable = |error| Failure::rejected("the files with the AWS profiles cannot be read").because(error);
        let credential = read.and_then(|read| read.map_err(unreadable)?.credential());
        credential.map(Arc::new).map_err(|failure| Error::Generic { store: "S3", source: failure.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str, header: &str) -> ProfileSettings {
        let mut settings = ProfileSettings::default();
        settings.read(text, |section| section == header);
        settings
    }

    #[test]
    fn a_profile_is_found_by_its_name() {
        let text = "[default]\naws_access_key_id = A\n# aws_secret_access_key = old\naws_secret_access_key=s=1\n\n[ops]\nregion = x\n\
                    AWS_ACCESS_KEY_ID=B\naws_secret_access_key = t\naws_session_token = u\ns3 =\n  region = nested\n[sso]\nsso_session = corp\n";
        let found = |name| settings(text, name).credential().ok().map(|found| (found.key_id, found.secret_key, found.token));
        assert_eq!(found("default"), Some(("A".to_owned(), "s=1".to_owned(), None)));
        assert_eq!(found("ops"), Some(("B".to_owned(), "t".to_owned(), Some("u".to_owned()))));
        assert_eq!(settings(text, "ops").get("region"), Some("x"));
        assert_eq!(found("none"), None);
    }

    #[test]
    fn a_profile_without_keys_says_what_is_not_supported() {
        for (text, expected) in [
            ("role_arn = x\nsource_profile = y\naws_access_key_id = A\naws_secret_access_key = b", Some("assumes a role")),
            ("sso_session = x", Some("uses SSO")),
            ("credential_process = /x", Some("runs a program for its credentials")),
            ("credential_process = /x\naws_access_key_id = A\naws_secret_access_key = b", None),
            ("region = x", None),
        ] {
            assert_eq!(settings(&format!("[a]\n{text}"), "a").unsupported(), expected, "{text}");
        }
    }
}
