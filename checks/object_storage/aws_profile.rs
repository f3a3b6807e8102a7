//! Profiles in the shared credentials file of the AWS command line and SDKs: the one part of the usual chain that `object_store` lacks.

use crate::contract::Blocking;
use async_trait::async_trait;
use object_store::{CredentialProvider, Error, Result, aws::AwsCredential};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The keys of a profile. The file is read again each time, since other programs replace short-lived keys in it.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>
#[derive(Debug)]
pub(crate) struct AwsProfile {
    file: PathBuf,
    name: String,
    reading: Blocking,
}

impl AwsProfile {
    pub(crate) fn new(file: PathBuf, name: &str) -> Self {
        Self { file, name: name.to_owned(), reading: Blocking::default() }
    }

    /// The default path of the file. Like the rest of the usual chain it belongs to the user of this process, not to the configuration;
    /// this is the only place in this crate that reads the environment itself.
    pub(crate) fn usual_file() -> Option<PathBuf> {
        std::env::home_dir().map(|home| home.join(".aws").join("credentials"))
    }

    /// Whether the file has this profile, with keys. Blocks.
    pub(crate) fn exists(&self) -> bool {
        read(&self.file, &self.name).is_ok()
    }
}

#[async_trait]
impl CredentialProvider for AwsProfile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let (file, name) = (self.file.clone(), self.name.clone());
        let read = self.reading.run(move || read(&file, &name)).await.map_err(|failure| failure.to_string());
        read.and_then(|credential| credential).map(Arc::new).map_err(|message| Error::Generic { store: "S3", source: message.into() })
    }
}

fn read(file: &Path, name: &str) -> Result<AwsCredential, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    credential(&text, name).ok_or_else(|| format!("{}: no keys in the profile {name}", file.display()))
}

fn credential(text: &str, profile: &str) -> Option<AwsCredential> {
    let mut inside = false;
    let mut keys = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            inside = header.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            keys.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let mut take = |key: &str| keys.remove(key).filter(|value| !value.is_empty());
    Some(AwsCredential { key_id: take("aws_access_key_id")?, secret_key: take("aws_secret_access_key")?, token: take("aws_session_token") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_by_its_name() {
        let text = "[default]\naws_access_key_id = A\n# aws_secret_access_key = old\naws_secret_access_key=s=1\n\n[ops]\nregion = x\n\
                    AWS_ACCESS_KEY_ID=B\naws_secret_access_key = t\naws_session_token = u\n[sso]\nsso_session = corp\n";
        let found = |name| credential(text, name).map(|found| (found.key_id, found.secret_key, found.token));
        assert_eq!(found("default"), Some(("A".to_owned(), "s=1".to_owned(), None)));
        assert_eq!(found("ops"), Some(("B".to_owned(), "t".to_owned(), Some("u".to_owned()))));
        assert_eq!(found("sso"), None);
        assert_eq!(found("none"), None);
    }
}
