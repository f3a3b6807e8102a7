//! The client of a bucket, with credentials from the keys or the usual chain of Google's libraries.

use super::reasons;
use crate::{
    contract::prelude::*,
    object_storage::{
        self, Action, Provider, Refusal, Signer, StorageTransport, Versions,
        environment::{self, variable},
    },
};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use object_store::{
    StaticCredentialProvider,
    gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey},
};
use std::{fs, path::Path, sync::Arc};

const KMS_HEADER: HeaderName = HeaderName::from_static("x-goog-encryption-kms-key-name");
const PROJECT_HEADER: HeaderName = HeaderName::from_static("x-goog-user-project");

/// The headers for a key in Cloud KMS and for a project that pays.
pub(super) fn headers(kms_key_name: Option<&str>, user_project: Option<&str>) -> Result<HeaderMap, InvalidConfig> {
    let mut headers = HeaderMap::new();
    for (key, name, value, what) in [
        ("kms_key_name", KMS_HEADER, kms_key_name, "is not the name of a key: write `projects/…/cryptoKeys/KEY`"),
        ("user_project", PROJECT_HEADER, user_project, "is not the ID of a project"),
    ] {
        let Some(value) = value else { continue };
        let value = Some(value).filter(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()));
        let value = value.and_then(|value| HeaderValue::from_str(value).ok());
        headers.insert(name, value.ok_or_else(|| InvalidConfig::new(key, what))?);
    }
    Ok(headers)
}

/// A bucket.
pub(super) struct Google {
    pub(super) bucket: String,
    pub(super) endpoint: Option<String>,
    pub(super) service_account: Option<Secret>,
    pub(super) anonymous: bool,
    pub(super) headers: HeaderMap,
}

/// The usual chain, by the variables of Google's libraries. Blocks.
fn usual_chain() -> Result<GoogleCloudStorageBuilder, Failure> {
    let mut builder =
        environment::with_prefix("GOOGLE_").fold(GoogleCloudStorageBuilder::new(), |builder, (name, value)| match name.parse() {
            Ok(key) => builder.with_config(key, value),
            Err(_) => builder,
        });
    if let Some(file) = builder.get_config_value(&GoogleConfigKey::ApplicationCredentials) {
        let text = fs::read_to_string(file)
            .map_err(|error| Failure::rejected("the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be read").because(error))?;
        refuse_unsupported(&text)?;
    } else if let Some(file) = variable("CLOUDSDK_CONFIG").map(|folder| Path::new(&folder).join("application_default_credentials.json"))
        && let Ok(text) = fs::read_to_string(&file)
    {
        refuse_unsupported(&text)?;
        builder = builder.with_application_credentials(file.display().to_string());
    }
    Ok(builder)
}

/// Rejects credentials that the driver does not know. <https://google.aip.dev/auth/4110>
fn refuse_unsupported(credentials: &str) -> Result<(), Failure> {
    let parsed: serde_json::Value = serde_json::from_str(credentials).unwrap_or_default();
    let what = match parsed["type"].as_str() {
        Some("external_account" | "external_account_authorized_user") => "are of workload identity federation",
        Some("impersonated_service_account") => "impersonate a service account",
        Some("gdch_service_account") => "are of Google Distributed Cloud",
        _ => return Ok(()),
    };
    let message = format!("the credentials {what}, which is not supported: use the key of a service account, or that of the machine");
    Err(Failure::rejected(message))
}

#[async_trait]
impl Provider for Google {
    type Client = GoogleCloudStorage;

    const VERSIONS: Versions = Versions { parameter: "generation", current_by_name: true };

    fn sends_reusable_credentials(&self) -> bool {
        !self.anonymous
    }

    fn client(&self, transport: StorageTransport) -> Result<GoogleCloudStorage, Failure> {
        let mut builder = match &self.service_account {
            // The driver accepts only one source of credentials, so the environment must not add another.
            Some(key) => {
                refuse_unsupported(key.expose())?;
                GoogleCloudStorageBuilder::new().with_service_account_key(key.expose())
            }
            // Some requests of the driver ignore its own switch for this, and would ask for credentials.
            None if self.anonymous => {
                let anonymous = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
                GoogleCloudStorageBuilder::new().with_credentials(Arc::new(anonymous))
            }
            None => usual_chain()?,
        };
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        let builder = builder.with_bucket_name(&self.bucket).with_retry(object_storage::no_retries()).with_http_connector(transport);
        builder.build().map_err(object_storage::unusable_credentials)
    }

    async fn log_in(&self, client: &GoogleCloudStorage) -> object_store::Result<()> {
        client.credentials().get_credential().await.map(drop)
    }

    async fn signer(&self, client: &GoogleCloudStorage) -> object_store::Result<Signer> {
        let credential = client.credentials().get_credential().await?;
        Ok(Arc::new(move |request| {
            let value = HeaderValue::from_str(&format!("Bearer {}", credential.bearer));
            let value = value.map_err(|error| object_store::Error::Generic { store: "GCS", source: error.into() })?;
            request.headers_mut().insert(AUTHORIZATION, value);
            Ok(())
        }))
    }

    fn headers(&self, action: Action, _: &[u8]) -> HeaderMap {
        let mut headers = self.headers.clone();
        if action != Action::Write {
            headers.remove(KMS_HEADER);
        }
        headers
    }

    fn is_retained(&self, refusal: &Refusal) -> bool {
        reasons::is_retained(refusal)
    }

    fn explain(&self, refusal: &Refusal, object: &str) -> Failure {
        reasons::explain(refusal, &self.bucket, object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_are_not_supported_are_named() {
        let refused = |kind: &str| refuse_unsupported(&format!("{{\"type\": \"{kind}\"}}")).map_err(|failure| failure.message().to_owned());
        for kind in ["service_account", "authorized_user", "unknown"] {
            assert_eq!(refused(kind), Ok(()), "{kind}");
        }
        let message = "the credentials are of workload identity federation, which is not supported: \
                       use the key of a service account, or that of the machine";
        assert_eq!(refused("external_account"), Err(message.to_owned()));
    }

    #[test]
    fn only_a_write_names_the_encryption_key() {
        let google = Google {
            bucket: String::new(),
            endpoint: None,
            service_account: None,
            anonymous: true,
            headers: headers(Some("projects/p/locations/l/keyRings/r/cryptoKeys/k"), Some("billing")).expect("headers"),
        };
        assert_eq!(google.headers(Action::Write, &[]).len(), 2);
        assert_eq!(google.headers(Action::Read, &[]).keys().collect::<Vec<_>>(), [&PROJECT_HEADER]);
        assert!(headers(Some("a b"), None).is_err() && headers(None, Some("a\nb")).is_err());
    }
}
