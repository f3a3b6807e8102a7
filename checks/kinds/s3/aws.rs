//! The client of a bucket: its region, its endpoint and its credentials, from the keys or the usual chain.

use super::{
    Encryption,
    endpoint::{of_aws, put_in_front},
    reasons,
};
use crate::{
    contract::prelude::*,
    object_storage::{
        self, Action, Provider, Refusal, Signer, StorageTransport, Versions,
        aws_profile::{AwsProfile, ProfileSettings},
        environment::{self, is_true, variable},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use object_store::{
    CredentialProvider,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key, AwsAuthorizer, AwsCredential, AwsCredentialProvider},
};
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use url::Url;

pub(super) const INVALID_KEY_MESSAGE: &str = "is not an AWS key: it contains blanks or special characters";

/// Whether a key can be sent in a header, as the driver assumes.
pub(super) fn is_sendable(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether it is a bucket of S3 Express One Zone, by its name.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html>
pub(super) fn is_directory_bucket(bucket: &str) -> bool {
    bucket.ends_with("--x-s3")
}

/// The headers of a write that name the encryption.
pub(super) fn encryption_headers(encryption: Option<Encryption>, key: Option<&str>) -> Result<HeaderMap, InvalidConfig> {
    let mut headers = HeaderMap::new();
    if let Some(encryption) = encryption {
        let name = match encryption {
            Encryption::Aes256 => "AES256",
            Encryption::Kms => "aws:kms",
            Encryption::KmsDsse => "aws:kms:dsse",
        };
        headers.insert(HeaderName::from_static("x-amz-server-side-encryption"), HeaderValue::from_static(name));
    }
    if let Some(key) = key {
        let value = Some(key).filter(|key| is_sendable(key)).and_then(|key| HeaderValue::from_str(key).ok());
        let value = value.ok_or_else(|| InvalidConfig::new("kms_key_id", "is not the ID, ARN or alias of a KMS key"))?;
        headers.insert(HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id"), value);
    }
    Ok(headers)
}

/// What the keys say.
pub(super) struct Settings {
    pub(super) bucket: String,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// Whether the bucket is before the host name. In the `endpoint` it already is.
    pub(super) host_has_bucket: bool,
    pub(super) credentials: Option<AwsCredentialProvider>,
    pub(super) profile: Option<String>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) anonymous: bool,
    /// Whether requests contain a session token. Without the key it is of little use, but still secret.
    pub(super) has_token: bool,
    pub(super) encryption: HeaderMap,
    pub(super) request_payer: bool,
}

/// A bucket.
pub(super) struct Aws {
    settings: Settings,
    /// How the client signs.
    signing: Mutex<Signing>,
    /// The file with the token for credentials, if an environment variable names it.
    token_file: OnceLock<PathBuf>,
    reading: Blocking,
}

#[derive(Clone, Default)]
struct Signing {
    region: String,
    request_payer: bool,
}

/// An environment without credentials, in which the metadata service of the machine must not be asked.
#[derive(Debug)]
struct NoMetadataService;

#[async_trait]
impl CredentialProvider for NoMetadataService {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let message = "no credentials found: not in the keys, the environment or a file, and AWS_EC2_METADATA_DISABLED is set";
        Err(object_store::Error::Generic { store: "S3", source: Failure::rejected(message).into() })
    }
}

impl Aws {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, signing: Mutex::default(), token_file: OnceLock::new(), reading: Blocking::default() }
    }

    /// Sets the region and the endpoint. A key comes first, then the environment, then the profile.
    fn place(&self, mut builder: AmazonS3Builder, profile: &ProfileSettings) -> Result<AmazonS3Builder, Failure> {
        let Settings { bucket, region, endpoint, host_has_bucket, .. } = &self.settings;
        let region = region.clone().or_else(|| builder.get_config_value(&Key::Region));
        let region = region.or_else(|| profile.get("region").map(ToOwned::to_owned)).unwrap_or_else(|| "us-east-1".to_owned());
        builder = builder.with_region(&region).with_virtual_hosted_style_request(*host_has_bucket);
        if let Some(endpoint) = endpoint {
            builder = builder.with_config(Key::S3Endpoint, endpoint);
        } else if is_directory_bucket(bucket) {
            builder = builder.with_s3_express(true);
        } else {
            let configured = || {
                let of_environment = [Key::S3Endpoint, Key::Endpoint].iter().find_map(|key| builder.get_config_value(key));
                of_environment.or_else(|| profile.get("endpoint_url").map(ToOwned::to_owned))
            };
            let aws = || of_aws(&region, is_true("AWS_USE_FIPS_ENDPOINT"), is_true("AWS_USE_DUALSTACK_ENDPOINT"));
            let endpoint = if is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
                // In place of the one in the environment, which the driver would use.
                aws().or_else(|| Some(format!("https://s3.{region}.amazonaws.com")))
            } else {
                configured().or_else(aws)
            };
            if let Some(endpoint) = endpoint {
                let unusable = |error: url::ParseError| Failure::rejected("the endpoint in the environment is not a URL").because(error);
                let mut url = Url::parse(&endpoint).map_err(unusable)?;
                if *host_has_bucket {
                    // The driver uses an endpoint as it is, and would leave out the bucket.
                    put_in_front(bucket, &mut url).map_err(|error| Failure::rejected(error.message))?;
                }
                builder = builder.with_config(Key::S3Endpoint, url.as_str().trim_end_matches('/'));
            }
        }
        let request_payer = builder.get_config_value(&Key::RequestPayer).is_some_and(|value| value == "true");
        *self.signing.lock().unwrap_or_else(PoisonError::into_inner) = Signing { region, request_payer };
        Ok(builder)
    }

    /// Sets the credentials, if the driver would not find them by itself.
    fn identify(&self, builder: AmazonS3Builder, profile: AwsProfile, settings: &ProfileSettings) -> Result<AmazonS3Builder, Failure> {
        if let Some(credentials) = &self.settings.credentials {
            return Ok(builder.with_credentials(Arc::clone(credentials)));
        }
        let has = |key: Key| builder.get_config_value(&key).is_some();
        let is_asked = self.settings.profile.is_some() || self.settings.credentials_file.is_some();
        let is_in_environment = has(Key::AccessKeyId) || has(Key::WebIdentityTokenFile);
        let is_named = AwsProfile::named_by_environment().is_some();
        if is_asked || (!is_in_environment && (is_named || settings.has_credentials())) {
            return Ok(builder.with_credentials(Arc::new(profile)));
        }
        if is_in_environment || has(Key::ContainerCredentialsRelativeUri) {
            return Ok(builder);
        }
        match (has(Key::ContainerCredentialsFullUri), has(Key::ContainerAuthorizationTokenFile)) {
            (true, false) => Err(Failure::rejected(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI is set without AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, which is required here",
            )),
            (false, _) if is_true("AWS_EC2_METADATA_DISABLED") => Ok(builder.with_credentials(Arc::new(NoMetadataService))),
            (false, _) => Ok(match metadata_endpoint() {
                Some(endpoint) => builder.with_metadata_endpoint(endpoint),
                None => builder,
            }),
            _ => Ok(builder),
        }
    }
}

/// The metadata service by the names of the SDK.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html>
fn metadata_endpoint() -> Option<String> {
    let is_ipv6 = || variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let written = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").map(|endpoint| endpoint.trim_end_matches('/').to_owned());
    written.or_else(|| is_ipv6().then(|| "http://[fd00:ec2::254]".to_owned()))
}

/// The bytes of a hash in hexadecimal digits.
fn bytes_of(hash: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hash.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?));
    pairs.collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 32)
}

#[async_trait]
impl Provider for Aws {
    type Client = AmazonS3;

    const VERSIONS: Versions = Versions { parameter: "versionId", current_by_name: true };

    fn sends_reusable_credentials(&self) -> bool {
        self.settings.has_token
    }

    fn client(&self, transport: StorageTransport) -> Result<AmazonS3, Failure> {
        let profile = AwsProfile::new(self.settings.profile.as_deref(), self.settings.credentials_file.clone());
        let settings = if self.settings.anonymous { ProfileSettings::default() } else { profile.settings() };
        let mut builder = environment::with_prefix("AWS_").fold(AmazonS3Builder::new(), |builder, (name, value)| match name.parse() {
            Ok(key) => builder.with_config(key, value),
            Err(_) => builder,
        });
        if self.settings.request_payer {
            builder = builder.with_request_payer(true);
        }
        let builder = builder
            .with_bucket_name(&self.settings.bucket)
            .with_skip_signature(self.settings.anonymous)
            .with_retry(object_storage::no_retries())
            // A plain DELETE, which every store supports, instead of a list with one object.
            .with_disable_bulk_delete(true)
            .with_http_connector(transport);
        let mut builder = self.place(builder, &settings)?;
        if !self.settings.anonymous {
            builder = self.identify(builder, profile, &settings)?;
        }
        for key in [Key::WebIdentityTokenFile, Key::ContainerAuthorizationTokenFile] {
            if let Some(file) = builder.get_config_value(&key) {
                let _ = self.token_file.set(file.into());
            }
        }
        builder.build().map_err(object_storage::unusable_credentials)
    }

    async fn log_in(&self, client: &AmazonS3) -> object_store::Result<()> {
        if self.settings.anonymous {
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

    async fn signer(&self, client: &AmazonS3) -> object_store::Result<Signer> {
        if self.settings.anonymous {
            return Ok(Arc::new(|_| Ok(())));
        }
        let credential = client.credentials().get_credential().await?;
        let Signing { region, request_payer } = self.signing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Arc::new(move |request| {
            // The driver has computed the hash of the body.
            let hash = request.headers().get("x-amz-content-sha256").and_then(|hash| hash.to_str().ok()).unwrap_or_default();
            let (is_unsigned, hash) = (hash == "UNSIGNED-PAYLOAD", bytes_of(hash));
            let authorizer = AwsAuthorizer::new(&credential, "s3", &region);
            authorizer.with_sign_payload(!is_unsigned).with_request_payer(request_payer).try_authorize(request, hash.as_deref())
        }))
    }

    /// A write has `Content-MD5`: Object Lock requires a checksum, and this is the only one that every compatible store accepts. The
    /// headers `x-amz-checksum-*` are refused by some.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-put-object>
    fn headers(&self, action: Action, content: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // A directory bucket has another signature, and supports neither of these headers.
        if action == Action::Write && !is_directory_bucket(&self.settings.bucket) {
            headers.extend(self.settings.encryption.clone());
            if let Ok(digest) = HeaderValue::from_str(&BASE64_STANDARD.encode(Md5::digest(content))) {
                headers.insert(HeaderName::from_static("content-md5"), digest);
            }
        }
        headers
    }

    fn is_elsewhere(&self, refusal: &Refusal) -> bool {
        reasons::is_elsewhere(refusal)
    }

    fn is_retained(&self, refusal: &Refusal) -> bool {
        reasons::is_retained(refusal)
    }

    fn explain(&self, refusal: &Refusal, object: &str) -> Failure {
        reasons::explain(refusal, &self.settings.bucket, object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hash_is_read_as_one() {
        assert_eq!(bytes_of(&"0aF".repeat(64).chars().take(64).collect::<String>()).map(|bytes| (bytes.len(), bytes[0])), Some((32, 10)));
        for other in ["", "UNSIGNED-PAYLOAD", "0a", &"zz".repeat(32)] {
            assert_eq!(bytes_of(other), None, "{other}");
        }
    }
}
