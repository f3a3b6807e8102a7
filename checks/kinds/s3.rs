//! Checks a bucket of S3 or a compatible store.
//!
//! ```toml
//! [checks.media]
//! kind = "s3"
//! bucket = "media"
//! region = "eu-central-1"
//! ```

mod discovery;

use crate::{
    contract::prelude::*,
    object_storage::{self, Action, BucketCheck, BucketMode, Provider, Refusal, StorageTransport, aws_profile::AwsProfile},
    wire::{http1::Origin, tls::TlsKeys},
};
use object_store::{
    StaticCredentialProvider,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key, AwsCredential, AwsCredentialProvider},
};
use serde::Serialize;
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
};
use url::Url;

/// Writes an object to a bucket, reads it back, compares it, and deletes it. With `mode = "read"` it reads one byte of an existing object.
///
/// Works with S3 and compatible stores, such as `MinIO`, R2 and Ceph. The connection is kept.
///
/// Each check uses one unique object name. A probe that ends at its timeout can leave one object until the next probe. A process that ends
/// at that moment leaves it permanently, and a bucket with versioning keeps the versions of every probe: add a lifecycle rule for `prefix`,
/// or use `mode = "read"`.
///
/// Credentials are the keys below; otherwise the usual chain: the environment of this process, without `--env-file` (`AWS_ACCESS_KEY_ID` …,
/// a web identity as on EKS), a profile in the shared credentials file, the role of the container (ECS, EKS Pod Identity), the role of the
/// machine (`IMDSv2`). Profiles that assume a role or use SSO are not supported.
///
/// Required rights: to write, `s3:PutObject`, `s3:GetObject` and `s3:DeleteObject` on `arn:aws:s3:::BUCKET/allswell/*`; to read,
/// `s3:GetObject` on `arn:aws:s3:::BUCKET/KEY`; with `mode = "bucket"`, `s3:GetObject` on `arn:aws:s3:::BUCKET/allswell/*` and
/// `s3:ListBucket` on `arn:aws:s3:::BUCKET`. If objects are encrypted with a customer-managed KMS key, also the right to use that key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of the names of the objects that the check writes.
    #[serde(default = "object_storage::prefix")]
    pub prefix: String,
    /// URL of a store other than AWS: `http://minio:9000`. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS.
    pub endpoint: Option<String>,
    /// Region of the bucket. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, or us-east-1, which most other stores accept.
    pub region: Option<String>,
    /// Where the URL has the name of the bucket: in the path, or before the host name.
    #[serde(default)]
    pub addressing: Addressing,
    /// What the probe does in the bucket.
    #[serde(default)]
    pub mode: BucketMode,
    /// Object to read with `mode = "read"`.
    pub key: Option<String>,
    /// Access key. Default: the usual chain.
    pub access_key_id: Option<Secret>,
    /// Secret of the access key.
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary keys.
    pub session_token: Option<Secret>,
    /// Profile in the shared credentials file, which then comes before the rest of the chain. Default: `default`, after the environment.
    pub profile: Option<String>,
    /// Path of the shared credentials file. Default: `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
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

/// Where the URL has the name of the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Addressing {
    /// `https://host/bucket/object`.
    #[default]
    Path,
    /// `https://bucket.host/object`.
    Virtual,
}

/// A check of one bucket.
pub struct S3(BucketCheck<Aws>);

impl Backend for S3 {
    const KIND: &'static str = "s3";
    const CATEGORY: Category = Category::Storage;
    const EXAMPLE: &'static str = r#"
bucket = "media"
region = "eu-central-1"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { bucket, prefix, region, addressing, mode, key, profile, credentials_file, anonymous, .. } = config;
        object_storage::validate_bucket_name(&bucket)?;
        if region
            .as_ref()
            .is_some_and(|region| region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        {
            return Err(InvalidConfig::new("region", "is not a region: write `eu-central-1`"));
        }
        let has_token = config.session_token.is_some();
        let credentials = match (config.access_key_id, config.secret_access_key, config.session_token) {
            (Some(id), Some(secret), token) => Some(keys(&id, &secret, token.as_ref())?),
            (None, None, None) => None,
            (None, ..) => return Err(InvalidConfig::new("access_key_id", "is required with the other keys")),
            (_, None, _) => return Err(InvalidConfig::new("secret_access_key", "is required with `access_key_id`")),
        };
        let said = [credentials.is_some(), profile.is_some() || credentials_file.is_some(), anonymous];
        if said.into_iter().filter(|said| *said).count() > 1 {
            return Err(InvalidConfig::new("access_key_id", "choose one: keys, a profile, or `anonymous`"));
        }
        let mut endpoint = object_storage::endpoint(config.endpoint.as_deref(), config.tls)?;
        if let (Some((url, origin, _)), Addressing::Virtual) = (&mut endpoint, addressing) {
            put_in_front(&bucket, url)?;
            *origin = Origin::new(url.scheme() == "https", url.host_str().unwrap_or_default(), url.port());
        }
        let (url, transport) = object_storage::transport_to(endpoint, config.connection, config.max_connection_age);
        let aws = Aws {
            bucket,
            region,
            endpoint: url,
            addressing,
            credentials,
            profile,
            credentials_file,
            anonymous,
            token_file: OnceLock::new(),
            reading: Blocking::default(),
            has_token,
        };
        BucketCheck::new(aws, transport, mode, &prefix, key.as_deref()).map(Self)
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

/// Puts the bucket before the host name. An IP address cannot have one.
fn put_in_front(bucket: &str, url: &mut Url) -> Result<(), InvalidConfig> {
    let refused = || InvalidConfig::new("endpoint", "cannot have a bucket before its host: set `addressing` to `path`");
    let host = url.domain().map(|domain| format!("{bucket}.{domain}")).ok_or_else(refused)?;
    url.set_host(Some(&host)).map_err(|_| refused())
}

fn keys(id: &Secret, secret: &Secret, token: Option<&Secret>) -> Result<AwsCredentialProvider, InvalidConfig> {
    let plain = |key: &'static str, value: &Secret| {
        let value = value.expose().trim();
        if is_sendable(value) { Ok(value.to_owned()) } else { Err(InvalidConfig::new(key, INVALID_KEY_MESSAGE)) }
    };
    let credential = AwsCredential {
        key_id: plain("access_key_id", id)?,
        secret_key: plain("secret_access_key", secret)?,
        token: token.map(|token| plain("session_token", token)).transpose()?,
    };
    Ok(Arc::new(StaticCredentialProvider::new(credential)))
}

const INVALID_KEY_MESSAGE: &str = "is not an AWS key: it contains blanks or special characters";

/// Whether a key can be sent in a header, as the driver assumes.
fn is_sendable(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[async_trait]
impl Check for S3 {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.0.probe().await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.0.warnings()
    }
}

/// The region of the bucket, if the response names it.
fn region(refusal: &Refusal) -> Option<String> {
    refusal.header("x-amz-bucket-region").or_else(|| refusal.element("Region"))
}

struct Aws {
    bucket: String,
    region: Option<String>,
    endpoint: Option<String>,
    addressing: Addressing,
    credentials: Option<AwsCredentialProvider>,
    profile: Option<String>,
    credentials_file: Option<PathBuf>,
    anonymous: bool,
    /// The file with the token for credentials, if an environment variable names it.
    token_file: OnceLock<PathBuf>,
    reading: Blocking,
    /// Whether requests contain a session token. Without the key it is of little use, but still secret.
    has_token: bool,
}

impl Aws {
    /// The profile, if one is configured, or if one exists and the environment has no credentials.
    fn profile(&self, builder: &AmazonS3Builder) -> Option<AwsProfile> {
        let asked = self.profile.is_some() || self.credentials_file.is_some();
        let said = [Key::AccessKeyId, Key::WebIdentityTokenFile].iter().any(|key| builder.get_config_value(key).is_some());
        if said && !asked {
            return None;
        }
        let file = self.credentials_file.clone().or_else(AwsProfile::usual_file)?;
        let profile = AwsProfile::new(file, self.profile.as_deref().unwrap_or("default"));
        (asked || profile.exists()).then_some(profile)
    }
}

#[async_trait]
impl Provider for Aws {
    type Client = AmazonS3;

    fn sends_reusable_credentials(&self) -> bool {
        self.has_token
    }

    fn client(&self, transport: StorageTransport) -> object_store::Result<AmazonS3> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.bucket)
            .with_virtual_hosted_style_request(self.addressing == Addressing::Virtual)
            .with_skip_signature(self.anonymous)
            .with_retry(object_storage::no_retries())
            // A plain DELETE, which every store supports, instead of a list with one object.
            .with_disable_bulk_delete(true)
            .with_http_connector(transport);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_config(Key::S3Endpoint, endpoint);
        } else if self.addressing == Addressing::Virtual {
            // The driver uses an endpoint from the environment as it is, and would leave out the bucket.
            let written = [Key::S3Endpoint, Key::Endpoint].iter().find_map(|key| builder.get_config_value(key));
            if let Some(mut url) = written.and_then(|written| Url::parse(&written).ok()) {
                put_in_front(&self.bucket, &mut url)
                    .map_err(|error| object_store::Error::Generic { store: "S3", source: error.message.into() })?;
                builder = builder.with_config(Key::S3Endpoint, url.as_str().trim_end_matches('/'));
            }
        }
        if let Some(credentials) = &self.credentials {
            builder = builder.with_credentials(Arc::clone(credentials));
        } else if let Some(profile) = self.profile(&builder) {
            builder = builder.with_credentials(Arc::new(profile));
        }
        for key in [Key::WebIdentityTokenFile, Key::ContainerAuthorizationTokenFile] {
            if let Some(file) = builder.get_config_value(&key) {
                let _ = self.token_file.set(file.into());
            }
        }
        builder.build()
    }

    async fn log_in(&self, client: &AmazonS3) -> object_store::Result<()> {
        if self.anonymous {
            return Ok(());
        }
        if let Some(file) = self.token_file.get().cloned() {
            // The driver reads it on the thread of all probes, which a hung file would block. The driver reports what is wrong with it.
            let read = self.reading.run(move || fs::read(file).map(drop)).await;
            let _ = read.map_err(|failure| object_store::Error::Generic { store: "S3", source: failure.into() })?;
        }
        let found = client.credentials().get_credential().await?;
        let sendable = is_sendable(&found.key_id) && found.token.as_deref().is_none_or(is_sendable);
        if sendable { Ok(()) } else { Err(object_store::Error::Generic { store: "S3", source: INVALID_KEY_MESSAGE.into() }) }
    }

    fn is_elsewhere(&self, refusal: &Refusal) -> bool {
        let moved = matches!(refusal.code.as_str(), "PermanentRedirect" | "IllegalLocationConstraintException");
        moved || refusal.status.is_redirection() || (refusal.code == "AuthorizationHeaderMalformed" && region(refusal).is_some())
    }

    fn explain(&self, refusal: &Refusal, object: &str) -> Failure {
        let bucket = &self.bucket;
        if self.is_elsewhere(refusal) {
            return Failure::unhealthy(match region(refusal) {
                Some(region) => format!("the bucket {bucket} is in another region: set `region` to {region}"),
                None => format!("the bucket {bucket} is in another region, or at another endpoint"),
            });
        }
        if refusal.code == "AuthorizationHeaderMalformed" {
            return Failure::rejected("the credentials are not accepted");
        }
        let right = match refusal.action {
            Action::Write => "s3:PutObject",
            Action::Read => "s3:GetObject",
            Action::Delete => "s3:DeleteObject",
        };
        object_storage::explain_s3_code(refusal, bucket, object, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_put_before_a_name_but_not_before_an_address() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let mut named = url("https://s3.internal:9000/");
        put_in_front("media", &mut named).expect("a name");
        assert_eq!(named.as_str(), "https://media.s3.internal:9000/");
        assert!(put_in_front("media", &mut url("http://127.0.0.1:9000")).is_err());
    }

    #[test]
    fn contradicting_keys_are_rejected_with_the_key() {
        for (more, key) in [
            (r#""bucket": "s3://media""#, "bucket"),
            (r#""bucket": "media", "region": "eu central""#, "region"),
            (r#""bucket": "media", "mode": "read""#, "key"),
            (r#""bucket": "media", "key": "logo.png""#, "key"),
            (r#""bucket": "media", "prefix": "/a/""#, "prefix"),
            (r#""bucket": "media", "access_key_id": "A""#, "secret_access_key"),
            (r#""bucket": "media", "secret_access_key": "A""#, "access_key_id"),
            (r#""bucket": "media", "access_key_id": "A B", "secret_access_key": "C""#, "access_key_id"),
            (r#""bucket": "media", "access_key_id": "A", "secret_access_key": "C", "profile": "ops""#, "access_key_id"),
            (r#""bucket": "media", "tls": {"ca_file": "/ca.pem"}"#, "tls"),
            (r#""bucket": "media", "endpoint": "http://h", "tls": {"ca_file": "/ca.pem"}"#, "tls"),
            (r#""bucket": "media", "endpoint": "http://u:p@h""#, "endpoint"),
            (r#""bucket": "media", "endpoint": "ftp://h""#, "endpoint"),
        ] {
            let config = serde_json::from_str(&format!("{{{more}}}")).expect(more);
            assert_eq!(S3::build(config).err().map(|error| error.key), Some(key), "{more}");
        }
    }
}
