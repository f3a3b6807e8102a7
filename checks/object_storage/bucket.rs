//! Probes a bucket through `object_store`.

use super::{
    amendment::{Amendment, Signer},
    refusal::{Action, Refusal},
    transport::{LastExchange, StorageTransport},
    versions::{Versions, WrittenObject},
};
use crate::contract::{BoxError, RecentRefusal, prelude::*};
use bytes::Bytes;
use hyper::{HeaderMap, http::Extensions};
use object_store::{GetOptions, GetRange, ObjectStore, PutOptions, path::Path};
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
pub(super) struct BucketTask {
    pub(super) mode: BucketMode,
    pub(super) object: Path,
    /// The object in messages: the unique name that the check writes would not help anyone.
    pub(super) shown: String,
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

/// A provider of object storage.
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    /// The client of the driver.
    type Client: ObjectStore;

    /// How a version of an object is deleted.
    const VERSIONS: Versions;

    /// Creates a client with the driver's usual chain of credentials: reads the environment, and files.
    fn client(&self, transport: StorageTransport) -> Result<Self::Client, Failure>;

    /// Gets credentials, or reuses those that are still valid. A [`Failure`] inside of the error becomes that of the probe.
    async fn log_in(&self, client: &Self::Client) -> object_store::Result<()>;

    /// Signs requests with the credentials of the client.
    async fn signer(&self, client: &Self::Client) -> object_store::Result<Signer>;

    /// Headers of a request beyond those of the driver. `content` is what a write sends.
    fn headers(&self, _: Action, _content: &[u8]) -> HeaderMap {
        HeaderMap::new()
    }

    /// Whether requests contain credentials that anyone could reuse, such as a token. A signature is not reusable.
    fn sends_reusable_credentials(&self) -> bool;

    /// Whether an error response says that the bucket exists at another place.
    fn is_elsewhere(&self, _: &Refusal) -> bool {
        false
    }

    /// Whether an error response says that a retention, a hold or a policy protects the object.
    fn is_retained(&self, refusal: &Refusal) -> bool;

    /// Classifies an error response; `object` is for the message.
    fn explain(&self, refusal: &Refusal, object: &str) -> Failure;
}

/// A check of one bucket.
pub(crate) struct BucketCheck<P: Provider> {
    pub(super) provider: Arc<P>,
    pub(super) transport: StorageTransport,
    pub(super) task: BucketTask,
    /// The warning after the store refused to delete a version.
    pub(super) refused_versions: RecentRefusal<String>,
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
        let (client, refused_versions, making) = (Mutex::default(), RecentRefusal::default(), Blocking::default());
        Ok(Self { provider: Arc::new(provider), transport, task, refused_versions, client, making })
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
        let client = Arc::new(made?);
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
        let extensions = self.extensions(client, Action::Write, &sent).await?;
        let put = client.put_opts(object, sent.clone().into(), PutOptions { extensions, ..PutOptions::default() });
        let put = put.await.map_err(|error| self.failure(Action::Write, error))?;
        let written = began.elapsed();
        let object_written = WrittenObject::new(self.transport.take_last(), put.version);
        let reading = GetOptions { extensions: self.extensions(client, Action::Read, &[]).await?, ..GetOptions::default() };
        let found = async { client.get_opts(object, reading).await?.bytes().await };
        let found = found.await.map_err(|error| self.failure(Action::Read, error));
        let read = began.elapsed().saturating_sub(written);
        // Delete the object also when it could not be read.
        let deleted = self.delete(client, object_written).await;
        if found? != sent {
            return Err(Failure::unhealthy("the data read back is not the data written"));
        }
        let seen = Observation::pass().took("write_ms", written).took("read_ms", read);
        Ok(match deleted? {
            Some(warning) => seen.warned(warning),
            None => seen,
        })
    }

    async fn first_byte(&self, client: &P::Client) -> Result<Observation, Failure> {
        let began = Instant::now();
        let extensions = self.extensions(client, Action::Read, &[]).await?;
        let one = GetOptions { range: Some(GetRange::Bounded(0..1)), extensions, ..GetOptions::default() };
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
        let reading = GetOptions { extensions: self.extensions(client, Action::Read, &[]).await?, ..GetOptions::default() };
        let Err(error) = client.get_opts(&self.task.object, reading).await else {
            return Err(Failure::unhealthy("the bucket returned an object that was never written"));
        };
        let last = self.transport.take_last();
        let seen = || Observation::pass().took("read_ms", began.elapsed());
        if let Some(LastExchange::Response(response)) = &last {
            let refusal = Refusal::new(Action::Read, response);
            if refusal.is_missing_object() {
                return Ok(seen());
            }
            if self.provider.is_elsewhere(&refusal) && !refusal.code.is_empty() {
                // The library of the application may follow this by itself.
                return Ok(seen().warned(self.provider.explain(&refusal, &self.task.shown).message()));
            }
            if refusal.code == "AccessDenied" {
                return Ok(seen().warned("the bucket hides whether an object exists: set `mode = \"read\"` and `key` to be sure"));
            }
        }
        Err(self.explain(Action::Read, last, error))
    }

    /// What the transport adds to a request of the driver.
    async fn extensions(&self, client: &P::Client, action: Action, content: &[u8]) -> Result<Extensions, Failure> {
        let mut extensions = Extensions::new();
        let headers = self.provider.headers(action, content);
        if !headers.is_empty() {
            extensions.insert(self.amendment(client, headers).await?);
        }
        Ok(extensions)
    }

    /// These headers, and what signs a request with them: the credentials are got for it, which may read a file.
    pub(super) async fn amendment(&self, client: &P::Client, headers: HeaderMap) -> Result<Amendment, Failure> {
        let signer = self.provider.signer(client).await.map_err(|error| no_credentials(self.transport.take_last(), error))?;
        Ok(Amendment { headers, signer })
    }

    fn failure(&self, action: Action, error: object_store::Error) -> Failure {
        self.explain(action, self.transport.take_last(), error)
    }

    pub(super) fn explain(&self, action: Action, last: Option<LastExchange>, error: impl Into<BoxError>) -> Failure {
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

/// The driver cannot use the credentials that it has found.
pub(crate) fn unusable_credentials(error: object_store::Error) -> Failure {
    Failure::rejected("the credentials cannot be used").because(error)
}

/// Why there are no credentials: no provider was found, or it rejected the request.
fn no_credentials(last: Option<LastExchange>, error: object_store::Error) -> Failure {
    const NO_CREDENTIALS_MESSAGE: &str =
        "no credentials found: not in the keys, the environment, a file or this machine's metadata service";
    let error: BoxError = match error {
        object_store::Error::Generic { source, .. } => match source.downcast::<Failure>() {
            Ok(failure) => return *failure,
            Err(source) => source,
        },
        error => error.into(),
    };
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
            let refusal = Refusal::new(Action::Read, &response);
            Failure::rejected(format!("the credential provider answered {}", refusal.with_reason())).because(error)
        }
        _ => Failure::rejected("the credentials cannot be used").because(error),
    }
}
