//! Probes a bucket through `object_store`.

use super::{
    refusal::{Action, Refusal},
    transport::{LastExchange, StorageTransport},
};
use crate::{
    contract::{BoxError, prelude::*},
    wire::{
        http1::Origin,
        tls::{Tls, TlsKeys},
        url,
    },
};
use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig, path::Path};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// What a probe does in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum BucketMode {
    /// Write an object of 64 bytes under `prefix`, read it back, compare it, and delete it.
    #[default]
    Write,
    /// Read one byte of the object `key`.
    Read,
    /// Request an object that does not exist, and pass if the store says so. For a bucket in which the check may not write and knows no
    /// object. Without the right to list, the store hides whether an object exists: that is a warning.
    Bucket,
}

/// The default of the key `prefix`.
pub(crate) fn prefix() -> String {
    "allswell/".to_owned()
}

/// What a probe does, with which object.
struct BucketTask {
    mode: BucketMode,
    object: Path,
    /// The object in messages: the unique name that the check writes would not help anyone.
    shown: String,
}

impl BucketTask {
    fn new(mode: BucketMode, prefix: &str, key: Option<&str>) -> Result<Self, InvalidConfig> {
        // One unique name for the life of this check: the next probe replaces and deletes what a dropped probe left.
        let unique = |prefix: &str| format!("{prefix}{:032x}", fastrand::u128(..));
        let (wrong, object) = match (mode, key) {
            (BucketMode::Read, None) => return Err(InvalidConfig::new("key", "is missing: name the object to read")),
            (BucketMode::Read, Some(key)) => ("key", key.to_owned()),
            (_, Some(_)) => return Err(InvalidConfig::new("key", "applies only with `mode = \"read\"`")),
            (_, None) => ("prefix", unique(prefix)),
        };
        let path = Path::parse(&object).ok().filter(|path| path.as_ref() == object);
        let path = path
            .ok_or_else(|| InvalidConfig::new(wrong, "is not a valid path: write `folder/name`, without a leading `/` and without `//`"))?;
        let shown = if mode == BucketMode::Read { object } else { format!("{prefix}*") };
        Ok(Self { mode, object: path, shown })
    }
}

/// Rejects what cannot be a bucket name. The provider has stricter rules.
pub(crate) fn validate_bucket_name(name: &str) -> Result<(), InvalidConfig> {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._$:".contains(&byte));
    if plain { Ok(()) } else { Err(InvalidConfig::new("bucket", "is not a bucket name: write only the name, such as `media`")) }
}

/// The URL of the endpoint as drivers accept it, and the transport to it.
pub(crate) fn transport_to(
    endpoint: Option<(::url::Url, Origin, Tls)>,
    connection: Reuse,
    max_connection_age: MaxAge,
) -> (Option<String>, StorageTransport) {
    let url = endpoint.as_ref().map(|(url, ..)| url.as_str().trim_end_matches('/').to_owned());
    (url, StorageTransport::new(endpoint.map(|(_, origin, tls)| (origin, tls)), connection, max_connection_age))
}

/// Parses the key `endpoint`: its URL, origin and TLS.
pub(crate) fn endpoint(url: Option<&str>, keys: TlsKeys) -> Result<Option<(::url::Url, Origin, Tls)>, InvalidConfig> {
    let Some(url) = url else {
        return if keys.is_empty() { Ok(None) } else { Err(InvalidConfig::new("tls", "applies only with an `endpoint`")) };
    };
    let url = url::parse("endpoint", &Secret::new(url), &[("https", "https"), ("http", "http")])?;
    let encrypted = url.scheme() == "https";
    keys.validate(encrypted, "https://")?;
    let host = url.host_str().ok_or_else(|| InvalidConfig::new("endpoint", "has no host"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(InvalidConfig::new("endpoint", "must be only a scheme, a host and a port; credentials have their own keys"));
    }
    let origin = Origin::new(encrypted, host, url.port());
    Ok(Some((url, origin, Tls::new(keys))))
}

/// Turns off the retries of the driver: a probe makes one attempt, and the engine repeats it.
pub(crate) fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// A provider of object storage.
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    /// The client of the driver.
    type Client: ObjectStore;

    /// Creates a client with the driver's usual chain of credentials: reads the environment, and files.
    fn client(&self, transport: StorageTransport) -> object_store::Result<Self::Client>;

    /// Gets credentials, or reuses those that are still valid.
    async fn log_in(&self, client: &Self::Client) -> object_store::Result<()>;

    /// Whether requests contain credentials that anyone could reuse, such as a token. A signature is not reusable.
    fn sends_reusable_credentials(&self) -> bool;

    /// Whether an error response says that the bucket exists at another place.
    fn is_elsewhere(&self, _: &Refusal) -> bool {
        false
    }

    /// Classifies an error response; `object` is for the message.
    fn explain(&self, refusal: &Refusal, object: &str) -> Failure;
}

/// A check of one bucket.
pub(crate) struct BucketCheck<P: Provider> {
    provider: Arc<P>,
    transport: StorageTransport,
    task: BucketTask,
    /// Created by the first probe, and again after a rejection: credentials may have been replaced.
    client: Mutex<Option<Arc<P::Client>>>,
    making: Blocking,
}

impl<P: Provider> BucketCheck<P> {
    pub(crate) fn new(
        provider: P,
        transport: StorageTransport,
        mode: BucketMode,
        prefix: &str,
        key: Option<&str>,
    ) -> Result<Self, InvalidConfig> {
        let task = BucketTask::new(mode, prefix, key)?;
        Ok(Self { provider: Arc::new(provider), transport, task, client: Mutex::default(), making: Blocking::default() })
    }

    pub(crate) async fn probe(&self) -> Result<Observation, Failure> {
        let client = self.client().await?;
        let looked = self.look(&client).await;
        if looked.as_ref().is_err_and(|failure| failure.class() == FailureClass::Rejected) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        looked.map(|seen| seen.with_some("tls_verify", self.transport.tls_verify()))
    }

    pub(crate) fn warnings(&self) -> Vec<ConfigWarning> {
        self.transport.warnings(self.provider.sends_reusable_credentials())
    }

    async fn client(&self) -> Result<Arc<P::Client>, Failure> {
        if let Some(client) = &*self.client.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(client));
        }
        let (provider, transport) = (Arc::clone(&self.provider), self.transport.clone());
        let made = self.making.run(move || provider.client(transport)).await?;
        let client = Arc::new(made.map_err(|error| Failure::rejected("the credentials cannot be used").because(error))?);
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn look(&self, client: &P::Client) -> Result<Observation, Failure> {
        self.provider.log_in(client).await.map_err(|error| no_credentials(self.transport.take_last(), error))?;
        match self.task.mode {
            BucketMode::Write => self.round_trip(client).await,
            BucketMode::Read => self.first_byte(client).await,
            BucketMode::Bucket => self.missing_object(client).await,
        }
    }

    async fn round_trip(&self, client: &P::Client) -> Result<Observation, Failure> {
        let object = &self.task.object;
        // New bytes for each probe: the object of an earlier probe must not pass for this one.
        let sent = Bytes::from(std::iter::repeat_with(|| fastrand::alphanumeric() as u8).take(64).collect::<Vec<_>>());
        let began = Instant::now();
        client.put(object, sent.clone().into()).await.map_err(|error| self.failure(Action::Write, error))?;
        let written = began.elapsed();
        let found = async { client.get(object).await?.bytes().await };
        let found = found.await.map_err(|error| self.failure(Action::Read, error));
        let read = began.elapsed().saturating_sub(written);
        // Delete the object also when it could not be read.
        let deleted = match client.delete(object).await {
            Ok(()) => Ok(()),
            Err(error) => match self.transport.take_last() {
                // The request was sent twice because the first response did not arrive: the first one has deleted the object.
                Some(last) if last.is_missing_object(Action::Delete) => Ok(()),
                last => Err(self.explain(Action::Delete, last, error)),
            },
        };
        if found? != sent {
            return Err(Failure::unhealthy("the data read back is not the data written"));
        }
        deleted?;
        Ok(Observation::pass().took("write_ms", written).took("read_ms", read))
    }

    async fn first_byte(&self, client: &P::Client) -> Result<Observation, Failure> {
        let began = Instant::now();
        let one = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        let size = match client.get_opts(&self.task.object, one).await {
            Ok(found) => found.meta.size,
            Err(error) => match self.transport.take_last() {
                // An empty object has no first byte, but this status shows that it can be read.
                Some(LastExchange::Response(response)) if response.status.as_u16() == 416 => 0,
                last => return Err(self.explain(Action::Read, last, error)),
            },
        };
        Ok(Observation::pass().took("read_ms", began.elapsed()).with("size_bytes", size))
    }

    async fn missing_object(&self, client: &P::Client) -> Result<Observation, Failure> {
        let began = Instant::now();
        let Err(error) = client.get(&self.task.object).await else {
            return Err(Failure::unhealthy("the bucket returned an object that was never written"));
        };
        let last = self.transport.take_last();
        let seen = || Observation::pass().took("read_ms", began.elapsed());
        if let Some(LastExchange::Response(response)) = &last {
            let refusal = Refusal::new(Action::Read, response);
            if refusal.is_missing_object() {
                return Ok(seen());
            }
            if self.provider.is_elsewhere(&refusal) {
                // The library of the application may follow this by itself.
                return Ok(seen().warned(self.provider.explain(&refusal, &self.task.shown).message()));
            }
            if refusal.code == "AccessDenied" {
                return Ok(seen().warned("the bucket hides whether an object exists: set `mode = \"read\"` and `key` to be sure"));
            }
        }
        Err(self.explain(Action::Read, last, error))
    }

    fn failure(&self, action: Action, error: object_store::Error) -> Failure {
        self.explain(action, self.transport.take_last(), error)
    }

    fn explain(&self, action: Action, last: Option<LastExchange>, error: object_store::Error) -> Failure {
        match last {
            Some(LastExchange::Failed { failure, .. }) => failure,
            Some(LastExchange::Response(response)) => {
                let refusal = Refusal::new(action, &response);
                if response.status.is_success() && refusal.code.is_empty() {
                    return Failure::protocol(error).saying("the response is not that of an object storage service");
                }
                if self.task.mode == BucketMode::Write && refusal.is_missing_object() {
                    return Failure::unhealthy("the object that was written is missing").because(error);
                }
                self.provider.explain(&refusal, &self.task.shown).because(error)
            }
            None => Failure::protocol(error).saying("the response is not that of an object storage service"),
        }
    }
}

/// Why there are no credentials: no provider was found, or it rejected the request.
fn no_credentials(last: Option<LastExchange>, error: impl Into<BoxError>) -> Failure {
    const NO_CREDENTIALS_MESSAGE: &str =
        "no credentials found: not in the keys, the environment, a file or this machine's metadata service";
    match last {
        Some(LastExchange::Failed { failure, plain: true }) => failure.reclassified(FailureClass::Rejected).saying(NO_CREDENTIALS_MESSAGE),
        Some(LastExchange::Failed { failure, plain: false }) => {
            let message = format!("credential provider: {}", failure.message());
            failure.saying(message)
        }
        Some(LastExchange::Response(response)) if response.status.as_u16() == 404 => {
            Failure::rejected(NO_CREDENTIALS_MESSAGE).because(error)
        }
        Some(LastExchange::Response(response)) if !response.status.is_success() => {
            Failure::rejected(format!("the credential provider answered {}", response.status.as_u16())).because(error)
        }
        _ => Failure::rejected("the credentials cannot be used").because(error),
    }
}
