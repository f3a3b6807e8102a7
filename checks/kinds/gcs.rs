//! Checks a bucket of Google Cloud Storage.
//!
//! ```toml
//! [checks.media]
//! kind = "gcs"
//! bucket = "media"
//! ```

mod google;
mod reasons;

use crate::{
    contract::prelude::*,
    object_storage::{self, BucketCheck, BucketMode, environment},
    wire::tls::{Tls, TlsKeys},
};
use google::Google;

/// Writes an object to a bucket, reads it back, compares it, and deletes it. With `mode = "read"` it reads one byte of an existing object.
///
/// The connection is kept.
///
/// Each check uses one unique object name. A probe that ends at its timeout can leave one object until the next probe. A process that ends
/// at that moment leaves it permanently: add a lifecycle rule for `prefix`. In a bucket with versioning, the check deletes the generation
/// that it wrote. A bucket with soft delete keeps the object of every probe for a while: use `mode = "read"`. The object to read should not be stored with `Content-Encoding: gzip`, which Google's servers
/// decompress.
///
/// Credentials are the keys below; otherwise the usual chain: the environment of this process, without `--env-file`
/// (`GOOGLE_APPLICATION_CREDENTIALS` or `GOOGLE_SERVICE_ACCOUNT`, each the path of a file), the file that `gcloud auth application-default
/// login` writes, the service account of the machine. Workload identity federation from outside Google Cloud, and impersonation, are not
/// supported, and the message says so.
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
    /// URL of a store other than Google Cloud: `http://gcs:4443`. Default: `STORAGE_EMULATOR_HOST`, then without credentials, or Google Cloud.
    pub endpoint: Option<String>,
    /// What the probe does in the bucket.
    #[serde(default)]
    pub mode: BucketMode,
    /// Object to read with `mode = "read"`.
    pub key: Option<String>,
    /// JSON key of a service account; preferably as `service_account_file`. Default: the usual chain.
    pub service_account: Option<Secret>,
    /// Key in Cloud KMS, if a policy requires the request to name it:
    /// `projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`. Default: that of the bucket.
    pub kms_key_name: Option<String>,
    /// Project that pays for requests to a requester-pays bucket.
    pub user_project: Option<String>,
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
    const OTHER_NAMES: &'static [&'static str] = &["gs", "google_cloud_storage", "gcp", "gcs_bucket", "google", "bucket", "object_storage"];
    const EXAMPLE: &'static str = r#"
bucket = "media"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { bucket, prefix, mode, key, service_account, mut anonymous, .. } = config;
        object_storage::validate_bucket_name(&bucket)?;
        if anonymous && service_account.is_some() {
            return Err(InvalidConfig::new("anonymous", "cannot be combined with `service_account`: choose one"));
        }
        let headers = google::headers(config.kms_key_name.as_deref(), config.user_project.as_deref())?;
        let emulator = environment::variable("STORAGE_EMULATOR_HOST").filter(|_| config.endpoint.is_none());
        // The libraries of Google do not log in to an emulator.
        anonymous |= emulator.is_some() && service_account.is_none();
        let emulator = emulator.map(|host| if host.contains("://") { host } else { format!("http://{host}") });
        let endpoint = object_storage::endpoint(config.endpoint.or(emulator).as_deref(), config.tls)?;
        let (url, transport) = object_storage::transport_to(endpoint, Tls::default(), config.connection, config.max_connection_age);
        let google = Google { bucket, endpoint: url, service_account, anonymous, headers };
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
