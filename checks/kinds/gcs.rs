//! Checks a bucket of Google Cloud Storage.
//!
//! ```toml
//! [checks.media]
//! kind = "gcs"
//! bucket = "media"
//! ```

use crate::{
    contract::prelude::*,
    object_storage::{self, Action, BucketCheck, BucketMode, Provider, Refusal, StorageTransport},
    wire::tls::TlsKeys,
};
use object_store::{
    StaticCredentialProvider,
    gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder},
};
use std::sync::Arc;

/// Writes an object to a bucket, reads it back, compares it, and deletes it. With `mode = "read"` it reads one byte of an existing object.
///
/// The connection is kept.
///
/// Each check uses one unique object name. A probe that ends at its timeout can leave one object until the next probe. A process that ends
/// at that moment leaves it permanently, and a bucket with versioning or soft delete keeps the objects of every probe: add a lifecycle rule
/// for `prefix`, or use `mode = "read"`. The object to read should not be stored with `Content-Encoding: gzip`, which Google's servers
/// decompress.
///
/// Credentials are the keys below; otherwise the usual chain: the environment of this process, without `--env-file`
/// (`GOOGLE_SERVICE_ACCOUNT`, `SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS`, each the path of a file), the file that `gcloud auth
/// application-default login` writes, the service account of the machine. Workload identity federation from outside Google Cloud is not
/// supported.
///
/// Required rights: to write, `storage.objects.create`, `storage.objects.get` and `storage.objects.delete` on objects under `allswell/`, as
/// in the role Storage Object User with the condition `resource.name.startsWith("projects/_/buckets/BUCKET/objects/allswell/")`; to read,
/// `storage.objects.get` on the object; with `mode = "bucket"`, `storage.objects.get` and `storage.objects.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of the names of the objects that the check writes.
    #[serde(default = "object_storage::prefix")]
    pub prefix: String,
    /// URL of a store other than Google Cloud: `http://gcs:4443`.
    pub endpoint: Option<String>,
    /// What the probe does in the bucket.
    #[serde(default)]
    pub mode: BucketMode,
    /// Object to read with `mode = "read"`.
    pub key: Option<String>,
    /// JSON key of a service account; preferably as `service_account_file`. Default: the usual chain.
    pub service_account: Option<Secret>,
    /// Send no credentials, for public buckets and emulators.
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

/// A check of one bucket.
pub struct Gcs(BucketCheck<Google>);

impl Backend for Gcs {
    const KIND: &'static str = "gcs";
    const CATEGORY: Category = Category::Storage;
    const EXAMPLE: &'static str = r#"
bucket = "media"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { bucket, prefix, mode, key, service_account, anonymous, .. } = config;
        object_storage::validate_bucket_name(&bucket)?;
        if anonymous && service_account.is_some() {
            return Err(InvalidConfig::new("anonymous", "cannot be combined with `service_account`: choose one"));
        }
        let endpoint = object_storage::endpoint(config.endpoint.as_deref(), config.tls)?;
        let (url, transport) = object_storage::transport_to(endpoint, config.connection, config.max_connection_age);
        let google = Google { bucket, endpoint: url, service_account, anonymous };
        BucketCheck::new(google, transport, mode, &prefix, key.as_deref()).map(Self)
    }
}

#[async_trait]
impl Check for Gcs {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.0.probe().await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.0.warnings()
    }
}

struct Google {
    bucket: String,
    endpoint: Option<String>,
    service_account: Option<Secret>,
    anonymous: bool,
}

#[async_trait]
impl Provider for Google {
    type Client = GoogleCloudStorage;

    fn sends_reusable_credentials(&self) -> bool {
        !self.anonymous
    }

    fn client(&self, transport: StorageTransport) -> object_store::Result<GoogleCloudStorage> {
        let mut builder = match &self.service_account {
            // The driver accepts only one source of credentials, so the environment must not add another.
            Some(key) => GoogleCloudStorageBuilder::new().with_service_account_key(key.expose()),
            // Some requests of the driver ignore its own switch for this, and would ask for credentials.
            None if self.anonymous => {
                let anonymous = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
                GoogleCloudStorageBuilder::new().with_credentials(Arc::new(anonymous))
            }
            None => GoogleCloudStorageBuilder::from_env(),
        };
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        builder.with_bucket_name(&self.bucket).with_retry(object_storage::no_retries()).with_http_connector(transport).build()
    }

    async fn log_in(&self, client: &GoogleCloudStorage) -> object_store::Result<()> {
        client.credentials().get_credential().await.map(drop)
    }

    fn explain(&self, refusal: &Refusal, object: &str) -> Failure {
        let right = match refusal.action {
            Action::Write => "storage.objects.create",
            Action::Read => "storage.objects.get",
            Action::Delete => "storage.objects.delete",
        };
        match refusal.code.as_str() {
            // Replacing an object deletes the old one.
            "AccessDenied" if refusal.mentions("storage.objects.delete") => {
                object_storage::explain_s3_code(refusal, &self.bucket, object, "storage.objects.delete")
            }
            "UserProjectMissing" => Failure::rejected(format!("the bucket {} is requester-pays, and no project is set", self.bucket)),
            "InvalidAuthentication" => Failure::rejected("the credentials are not accepted"),
            _ if refusal.status.as_u16() == 401 => Failure::rejected("the credentials are not accepted"),
            _ => object_storage::explain_s3_code(refusal, &self.bucket, object, right),
        }
    }
}
