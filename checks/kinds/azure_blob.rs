//! Checks a container of Azure Blob Storage.
//!
//! ```toml
//! [checks.media]
//! kind = "azure_blob"
//! account = "orders"
//! bucket = "media"
//! ```

mod account;
mod azure;
mod connection_string;
mod reasons;

use crate::{
    contract::prelude::*,
    object_storage::{self, BucketCheck, BucketMode, environment},
    wire::tls::{Tls, TlsKeys},
};
use account::Account;
use azure::Azure;

/// Writes a blob to a container, reads it back, compares it, and deletes it. With `mode = "read"` it reads one byte of an existing blob.
///
/// The connection is kept.
///
/// Each check uses one unique blob name. A probe that ends at its timeout can leave one blob until the next probe. A process that ends at
/// that moment leaves it permanently: add a lifecycle rule for `prefix`. In an account with versioning, the check also deletes the version
/// that it wrote; if that is not permitted, it passes with a warning. An account with soft delete keeps the blob of every probe for a
/// while: use `mode = "read"`.
///
/// Credentials are the keys below; otherwise the usual chain in the environment of this process, without `--env-file`:
/// `AZURE_STORAGE_CONNECTION_STRING`, `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_KEY`, a workload identity, `AZURE_CLIENT_ID` with `AZURE_CLIENT_SECRET` and `AZURE_TENANT_ID`,
/// `AZURE_STORAGE_SAS_TOKEN`, a managed identity.
///
/// Required rights: to write, the data actions `blobs/write`, `blobs/add/action`, `blobs/read` and `blobs/delete` of
/// `Microsoft.Storage/storageAccounts/blobServices/containers` on the container, as in the role Storage Blob Data Contributor, or a SAS of
/// the container with `rcwd`; to delete versions, `blobs/deleteBlobVersion/action`, or `x` in the SAS; to read, `blobs/read`, as in the role Storage Blob Data Reader, or a SAS with `r`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the storage account. Default: that of the connection string, `AZURE_STORAGE_CONNECTION_STRING`, or `AZURE_STORAGE_ACCOUNT`.
    pub account: Option<String>,
    /// Name of the container.
    pub bucket: String,
    /// Prefix of the names of the blobs that the check writes.
    #[serde(default = "object_storage::prefix")]
    pub prefix: String,
    /// URL of another cloud or an emulator; for an emulator it ends with the account: `http://azurite:10000/devstoreaccount1`. Default:
    /// `https://ACCOUNT.blob.core.windows.net`.
    pub endpoint: Option<String>,
    /// What the probe does in the container.
    #[serde(default)]
    pub mode: BucketMode,
    /// Blob to read with `mode = "read"`.
    pub key: Option<String>,
    /// Connection string, instead of `account`, `endpoint` and credentials: `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…`.
    pub connection_string: Option<Secret>,
    /// Access key of the account. Default: the usual chain.
    pub access_key: Option<Secret>,
    /// Shared access signature, instead of `access_key`: `sv=…&sig=…`.
    pub sas_token: Option<Secret>,
    /// Encryption scope of the blobs that the check writes. Default: that of the container.
    pub encryption_scope: Option<String>,
    /// Send no credentials, for public buckets.
    #[serde(default)]
    pub anonymous: bool,
    /// TLS settings, for the `endpoint` only.
    #[serde(default)]
    pub tls: TlsKeys,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one container.
pub struct AzureBlob {
    check: BucketCheck<Azure>,
    warnings: Vec<ConfigWarning>,
}

impl Backend for AzureBlob {
    const KIND: &'static str = "azure_blob";
    const CATEGORY: Category = Category::Storage;
    const OTHER_NAMES: &'static [&'static str] = &["azure", "azure_storage", "azblob", "blob", "abfs", "bucket", "object_storage"];
    const EXAMPLE: &'static str = r#"
account = "orders"
bucket = "media"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { account, bucket, prefix, mode, key, anonymous, .. } = config;
        object_storage::validate_bucket_name(&bucket)?;
        let headers = azure::headers(config.encryption_scope.as_deref())?;
        let keys = account::Keys {
            account,
            endpoint: config.endpoint,
            connection_string: config.connection_string,
            access_key: config.access_key,
            sas_token: config.sas_token,
        };
        let Account { name, endpoint, credentials, mut warnings } = Account::new(keys, &environment::variable)?;
        if anonymous && credentials.is_some() {
            return Err(InvalidConfig::new("anonymous", "cannot be combined with credentials: choose one"));
        }
        if !anonymous && credentials.is_none() {
            warnings.extend(account::unsupported_credentials(&environment::variable));
        }
        let endpoint = object_storage::endpoint(endpoint.as_deref(), config.tls)?;
        let (url, transport) = object_storage::transport_to(endpoint, Tls::default(), config.connection, config.max_connection_age);
        let azure = Azure::new(name, bucket, url, credentials, anonymous, headers);
        let check = BucketCheck::new(azure, transport, mode, &prefix, key.as_deref())?;
        Ok(Self { check, warnings })
    }
}

#[async_trait]
impl Check for AzureBlob {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.check.probe().await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.warnings.iter().cloned().chain(self.check.warnings()).collect()
    }
}
