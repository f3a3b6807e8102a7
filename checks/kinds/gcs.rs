//! Buckets of Google Cloud Storage.

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

/// Puts an object under `prefix`, gets it, compares, and deletes it. With `mode = "read"` it only reads one byte of an object that is there
/// already. The connection is kept.
///
/// Each check has one name for its objects that nobody else has, so that at most one is left behind when a probe was cut off at its time
/// limit, until the check's next probe. A program that ends just then leaves it for ever, and a bucket that keeps versions or deleted objects
/// (soft delete) keeps those of each probe: have a lifecycle rule for `prefix`, or use `mode = "read"`. What is read should not be stored with
/// `Content-Encoding: gzip`, which Google's servers undo.
///
/// Credentials are the keys below, or else the usual chain: the process's own environment, without `--env-file` (`GOOGLE_SERVICE_ACCOUNT`,
/// `SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS`, each the path of a file), what
/// `gcloud auth application-default login` left, a machine's service account. Workload identity federation from outside of Google's cloud is
/// not understood.
///
/// Needs, to write, `storage.objects.create`, `storage.objects.get` and `storage.objects.delete` on objects under `allswell/`, as the role
/// Storage Object User has them, with the condition `resource.name.startsWith("projects/_/buckets/BUCKET/objects/allswell/")`; to read,
/// `storage.objects.get` on the one object; with `mode = "bucket"`, `storage.objects.get` and `storage.objects.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bucket.
    pub bucket: String,
    /// Objects are written under names that begin with this.
    #[serde(default = "object_storage::prefix")]
    pub prefix: String,
    /// Whom to ask, when it is not Google itself: `http://gcs:4443`.
    pub endpoint: Option<String>,
    /// What is done in the bucket.
    #[serde(default)]
    pub mode: BucketMode,
    /// The object that is read with `mode = "read"`.
    pub key: Option<String>,
    /// The JSON of a service account's key, when it does not come from the usual chain; best given as `service_account_file`.
    pub service_account: Option<Secret>,
    /// Send no credentials at all: for what everybody may read, and for emulators.
    #[serde(default)]
    pub anonymous: bool,
    /// Whom TLS trusts, and how it proves who we are; for an `endpoint` alone.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Whether the connection is kept between probes.
    #[serde(default)]
    pub connection: Reuse,
    /// A kept connection is renewed after this time.
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
            // What else the environment says would stand beside it, and the driver wants one alone.
            Some(key) => GoogleCloudStorageBuilder::new().with_service_account_key(key.expose()),
            // The driver's own switch for this is not heeded by all of its requests: they would ask for credentials all the same.
            None if self.anonymous => {
                let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
                GoogleCloudStorageBuilder::new().with_credentials(Arc::new(nobody))
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
            // Replacing is deleting, too.
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
