//! Checks a bucket of S3 or a compatible store.
//!
//! ```toml
//! [checks.media]
//! kind = "s3"
//! bucket = "media"
//! region = "eu-central-1"
//! ```

mod aws;
mod discovery;
mod endpoint;
mod reasons;

use crate::{
    contract::prelude::*,
    object_storage::{self, BucketCheck, BucketMode, environment},
    wire::tls::{Tls, TlsKeys, Verify},
};
use aws::{Aws, INVALID_KEY_MESSAGE, is_sendable};
use endpoint::{carries_bucket, put_in_front};
use object_store::{
    StaticCredentialProvider,
    aws::{AwsCredential, AwsCredentialProvider},
};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

/// Writes an object to a bucket, reads it back, compares it, and deletes it. With `mode = "read"` it reads one byte of an existing object.
///
/// Works with S3 and compatible stores, such as `MinIO`, R2 and Ceph. The connection is kept.
///
/// Each check uses one unique object name. A probe that ends at its timeout can leave one object until the next probe. A process that ends
/// at that moment leaves it permanently: add a lifecycle rule for `prefix`. In a bucket with versioning, the check deletes the version that
/// it wrote, and leaves no delete marker. If the store does not permit that, the check passes with a warning.
///
/// Credentials are the keys below; otherwise the usual chain: the environment of this process, without `--env-file` (`AWS_ACCESS_KEY_ID` …,
/// a web identity as on EKS), a profile in the shared files, the role of the container (ECS, EKS Pod Identity), the role of the
/// machine (`IMDSv2`). Profiles that assume a role, use SSO or run a program are not supported, and the message says so.
///
/// Required rights: to write, `s3:PutObject`, `s3:GetObject`, `s3:DeleteObject`, and `s3:DeleteObjectVersion` if the bucket has versioning,
/// on `arn:aws:s3:::BUCKET/allswell/*`; to read,
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
    /// URL of a store other than AWS: `http://minio:9000`. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, that of the profile, or AWS.
    pub endpoint: Option<String>,
    /// Region of the bucket. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, that of the profile, or us-east-1, which most other stores accept.
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
    /// Profile in the shared files, which then comes before the rest of the chain. Default: `AWS_PROFILE` or `default`, after keys in the
    /// environment.
    pub profile: Option<String>,
    /// Path of the shared credentials file. Default: `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
    /// Encryption that a policy of the bucket requires the request to name. Default: that of the bucket.
    pub server_side_encryption: Option<Encryption>,
    /// ID, ARN or alias of the KMS key, with `aws:kms` and `aws:kms:dsse`. Default: the key of AWS for S3.
    pub kms_key_id: Option<String>,
    /// Accept the costs of requests to a requester-pays bucket.
    #[serde(default)]
    pub request_payer: bool,
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

/// Encryption on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum Encryption {
    /// Keys of S3.
    #[serde(rename = "AES256")]
    Aes256,
    /// A key in KMS.
    #[serde(rename = "aws:kms")]
    Kms,
    /// Two layers, with a key in KMS.
    #[serde(rename = "aws:kms:dsse")]
    KmsDsse,
}

/// A check of one bucket.
pub struct S3(BucketCheck<Aws>);

impl Backend for S3 {
    const KIND: &'static str = "s3";
    const CATEGORY: Category = Category::Storage;
    const OTHER_NAMES: &'static [&'static str] =
        &["s3_bucket", "aws_s3", "minio", "r2", "ceph", "wasabi", "spaces", "aws", "bucket", "object_storage"];
    const EXAMPLE: &'static str = r#"
bucket = "media"
region = "eu-central-1"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { bucket, prefix, region, addressing, mode, key, profile, credentials_file, anonymous, .. } = config;
        if bucket.starts_with("arn:") {
            return Err(InvalidConfig::new("bucket", "cannot be an ARN: write the alias of the access point, which ends with `-s3alias`"));
        }
        object_storage::validate_bucket_name(&bucket)?;
        let encryption = match (config.server_side_encryption, config.kms_key_id) {
            (None | Some(Encryption::Aes256), Some(_)) => {
                return Err(InvalidConfig::new("kms_key_id", "applies only with `server_side_encryption = \"aws:kms\"`"));
            }
            (Some(_), _) if aws::is_directory_bucket(&bucket) => {
                return Err(InvalidConfig::new(
                    "server_side_encryption",
                    "cannot be set for a directory bucket, which has its own default",
                ));
            }
            (encryption, key) => aws::encryption_headers(encryption, key.as_deref())?,
        };
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
        let bundle = environment::variable("AWS_CA_BUNDLE").map(PathBuf::from);
        let mut tls = config.tls;
        let is_encrypted = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.trim().to_ascii_lowercase().starts_with("https:"));
        // Explicit keys take precedence: together they would be refused for a file that the configuration does not have.
        let has_own_proof = tls.ca_file.is_some() || !tls.pinned_sha256.is_empty() || tls.verify == Some(Verify::None);
        if is_encrypted && !has_own_proof {
            tls.ca_file.clone_from(&bundle);
        }
        let mut endpoint = object_storage::endpoint(config.endpoint.as_deref(), tls)?;
        let mut host_has_bucket = addressing == Addressing::Virtual;
        if let Some((url, origin, _)) = &mut endpoint {
            let is_carried = carries_bucket(&bucket, url, addressing);
            host_has_bucket |= is_carried;
            if host_has_bucket && !is_carried {
                *origin = put_in_front(&bucket, url)?;
            }
        }
        let others = Tls::new(TlsKeys { ca_file: bundle, ..TlsKeys::default() });
        let (url, transport) = object_storage::transport_to(endpoint, others, config.connection, config.max_connection_age);
        let aws = Aws::new(aws::Settings {
            bucket,
            region,
            endpoint: url,
            host_has_bucket,
            credentials,
            profile,
            credentials_file,
            anonymous,
            has_token,
            encryption,
            request_payer: config.request_payer,
        });
        BucketCheck::new(aws, transport, mode, &prefix, key.as_deref()).map(Self)
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
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

#[async_trait]
impl Check for S3 {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.0.probe().await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.0.warnings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradicting_keys_are_rejected_with_the_key() {
        for (more, key) in [
            (r#""bucket": "s3://media""#, "bucket"),
            (r#""bucket": "arn:aws:s3:eu-central-1:123456789012:accesspoint/media""#, "bucket"),
            (r#""bucket": "media", "region": "eu central""#, "region"),
            (r#""bucket": "media", "kms_key_id": "alias/media""#, "kms_key_id"),
            (r#""bucket": "media", "server_side_encryption": "AES256", "kms_key_id": "alias/media""#, "kms_key_id"),
            (r#""bucket": "media", "server_side_encryption": "aws:kms", "kms_key_id": "a\nb""#, "kms_key_id"),
            (r#""bucket": "media--euc1-az1--x-s3", "server_side_encryption": "AES256""#, "server_side_encryption"),
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
