//! Checks a container of Azure Blob Storage.
//!
//! ```toml
//! [checks.media]
//! kind = "azure_blob"
//! account = "orders"
//! bucket = "media"
//! ```

use crate::{
    contract::prelude::*,
    object_storage::{self, Action, BucketCheck, BucketMode, Provider, Refusal, StorageTransport},
    wire::tls::TlsKeys,
};
use object_store::{
    StaticCredentialProvider,
    azure::{AzureAccessKey, AzureCredential, AzureCredentialProvider, MicrosoftAzure, MicrosoftAzureBuilder, split_sas},
};
use std::sync::Arc;

/// Writes a blob to a container, reads it back, compares it, and deletes it. With `mode = "read"` it reads one byte of an existing blob.
///
/// The connection is kept.
///
/// Each check uses one unique blob name. A probe that ends at its timeout can leave one blob until the next probe. A process that ends at
/// that moment leaves it permanently, and an account with versioning or soft delete keeps the blobs of every probe: add a lifecycle rule
/// for `prefix`, or use `mode = "read"`.
///
/// Credentials are the keys below; otherwise the usual chain in the environment of this process, without `--env-file`:
/// `AZURE_STORAGE_ACCOUNT_KEY`, a workload identity, `AZURE_CLIENT_ID` with `AZURE_CLIENT_SECRET` and `AZURE_TENANT_ID`,
/// `AZURE_STORAGE_SAS_TOKEN`, a managed identity.
///
/// Required rights: to write, the data actions `blobs/write`, `blobs/add/action`, `blobs/read` and `blobs/delete` of
/// `Microsoft.Storage/storageAccounts/blobServices/containers` on the container, as in the role Storage Blob Data Contributor, or a SAS of
/// the container with `rcwd`; to read, `blobs/read`, as in the role Storage Blob Data Reader, or a SAS with `r`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the storage account.
    pub account: String,
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
    /// Access key of the account. Default: the usual chain.
    pub access_key: Option<Secret>,
    /// Shared access signature, instead of `access_key`: `sv=…&sig=…`.
    pub sas_token: Option<Secret>,
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
pub struct AzureBlob(BucketCheck<Azure>);

impl Backend for AzureBlob {
    const KIND: &'static str = "azure_blob";
    const CATEGORY: Category = Category::Storage;
    const EXAMPLE: &'static str = r#"
account = "orders"
bucket = "media"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { account, bucket, prefix, mode, key, anonymous, .. } = config;
        object_storage::validate_bucket_name(&bucket)?;
        if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(InvalidConfig::new("account", "is not the name of a storage account: write only the name, such as `orders`"));
        }
        // A signature by the access key is valid for one request only.
        let sends_reusable_credentials = !anonymous && config.access_key.is_none();
        let credentials = match (config.access_key, config.sas_token) {
            (Some(_), Some(_)) => return Err(InvalidConfig::new("sas_token", "cannot be combined with `access_key`: choose one")),
            (Some(key), None) => {
                let key = AzureAccessKey::try_new(key.expose().trim());
                Some(AzureCredential::AccessKey(
                    key.map_err(|_| InvalidConfig::new("access_key", "is not an Azure key: it is not base64"))?,
                ))
            }
            (None, Some(token)) => {
                let pairs = split_sas(token.expose().trim());
                Some(AzureCredential::SASToken(pairs.map_err(|_| InvalidConfig::new("sas_token", "is not of the form `sv=…&sig=…`"))?))
            }
            (None, None) => None,
        };
        if anonymous && credentials.is_some() {
            return Err(InvalidConfig::new("anonymous", "cannot be combined with credentials: choose one"));
        }
        let credentials = credentials.map(|credential| Arc::new(StaticCredentialProvider::new(credential)) as AzureCredentialProvider);
        let endpoint = object_storage::endpoint(config.endpoint.as_deref(), config.tls)?;
        let (url, transport) = object_storage::transport_to(endpoint, config.connection, config.max_connection_age);
        let azure = Azure { account, container: bucket, endpoint: url, credentials, anonymous, sends_reusable_credentials };
        BucketCheck::new(azure, transport, mode, &prefix, key.as_deref()).map(Self)
    }
}

#[async_trait]
impl Check for AzureBlob {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.0.probe().await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.0.warnings()
    }
}

struct Azure {
    account: String,
    container: String,
    endpoint: Option<String>,
    credentials: Option<AzureCredentialProvider>,
    anonymous: bool,
    /// Whether requests contain a token, which anyone could reuse; a signature is not reusable.
    sends_reusable_credentials: bool,
}

#[async_trait]
impl Provider for Azure {
    type Client = MicrosoftAzure;

    fn sends_reusable_credentials(&self) -> bool {
        self.sends_reusable_credentials
    }

    fn client(&self, transport: StorageTransport) -> object_store::Result<MicrosoftAzure> {
        let mut builder = MicrosoftAzureBuilder::from_env();
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(credentials) = &self.credentials {
            builder = builder.with_credentials(Arc::clone(credentials));
        }
        builder
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_use_emulator(false)
            .with_skip_signature(self.anonymous)
            .with_retry(object_storage::no_retries())
            .with_http_connector(transport)
            .build()
    }

    async fn log_in(&self, client: &MicrosoftAzure) -> object_store::Result<()> {
        if self.anonymous { Ok(()) } else { client.credentials().get_credential().await.map(drop) }
    }

    /// By error code: <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes>.
    fn explain(&self, refusal: &Refusal, object: &str) -> Failure {
        let (container, account) = (&self.container, &self.account);
        let right = match refusal.action {
            Action::Write => "blobs/write",
            Action::Read => "blobs/read",
            Action::Delete => "blobs/delete",
        };
        match refusal.code.as_str() {
            "ContainerNotFound" => Failure::unhealthy(format!("there is no container {container}")),
            "ContainerBeingDeleted" => Failure::unhealthy(format!("the container {container} is being deleted")),
            "ContainerDisabled" => Failure::unhealthy(format!("the container {container} is disabled")),
            "BlobNotFound" => Failure::unhealthy(format!("there is no blob {object}")),
            "BlobArchived" => Failure::unhealthy(format!("the blob {object} is archived and cannot be read")),
            "AccountIsDisabled" => Failure::rejected(format!("the account {account} is disabled")),
            "AuthorizationSourceIPMismatch" | "AuthorizationProtocolMismatch" | "IpAuthorizationError" | "PublicAccessNotPermitted" => {
                Failure::rejected(format!("the account {account} does not allow access from this machine"))
            }
            "KeyBasedAuthenticationNotPermitted" => Failure::rejected(format!("the account {account} does not accept access keys")),
            // Azurite reports a wrong key in this way.
            "AuthorizationFailure" if refusal.mentions("failed to authenticate") => Failure::rejected("the credentials are not accepted"),
            "AuthorizationFailure"
            | "AuthorizationPermissionMismatch"
            | "AuthorizationResourceTypeMismatch"
            | "AuthorizationServiceMismatch"
            | "InsufficientAccountPermissions" => Failure::rejected(format!("access denied: needs {right} on {container}/{object}")),
            "AuthenticationFailed" if refusal.mentions("date header") => {
                Failure::rejected("the clocks of this machine and the storage differ too much")
            }
            "AuthenticationFailed" if refusal.mentions("time frame") || refusal.mentions("expired") => {
                Failure::rejected("the credentials have expired")
            }
            "NoAuthenticationInformation" => Failure::rejected("the storage requires credentials, and none were sent"),
            "AuthenticationFailed" | "InvalidAuthenticationInfo" => Failure::rejected("the credentials are not accepted"),
            "ServerBusy" | "OperationTimedOut" | "TooManyRequests" => Failure::exhausted("the storage is throttling our requests"),
            "InsufficientStorage" | "AccountLimitExceeded" => Failure::exhausted("the quota is used up"),
            _ => refusal.explain_status(),
        }
    }
}
