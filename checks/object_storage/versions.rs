//! Deletes what a probe wrote: the object, and its version where the bucket keeps versions.

use super::{
    bucket::{BucketCheck, Provider},
    refusal::{Action, Refusal},
    transport::LastExchange,
};
use crate::contract::{Failure, FailureClass};
use hyper::Uri;
use object_store::ObjectStoreExt;

/// Maximum length of the name of a version.
const MAX_VERSION_BYTES: usize = 1024;

/// How a provider deletes a version of an object.
pub(crate) struct Versions {
    /// The parameter of a DELETE that names the version.
    pub(crate) parameter: &'static str,
    /// Whether the current version can be deleted by its name. Otherwise the object must be deleted first.
    pub(crate) current_by_name: bool,
}

/// The object that a probe wrote.
pub(super) struct WrittenObject {
    /// The URL of the request that wrote it, and the version that the store has given to it.
    version: Option<(Uri, String)>,
}

impl WrittenObject {
    pub(super) fn new(last: Option<LastExchange>, version: Option<String>) -> Self {
        let version = version.filter(|version| version.len() <= MAX_VERSION_BYTES);
        let version = match last {
            Some(LastExchange::Response(response)) => version.map(|version| (response.uri, version)),
            _ => None,
        };
        Self { version }
    }
}

impl<P: Provider> BucketCheck<P> {
    /// Deletes the object that was written. Missing rights and retentions are a warning: writing and reading work.
    pub(super) async fn delete(&self, client: &P::Client, written: WrittenObject) -> Result<Option<String>, Failure> {
        let Some((object, version)) = written.version else { return self.delete_object(client).await };
        if P::VERSIONS.current_by_name {
            return match self.delete_version(client, &object, &version).await? {
                // At least a delete marker, so that the application does not see the object.
                Some(kept) => Ok(Some(self.delete_object(client).await?.unwrap_or(kept))),
                None => Ok(None),
            };
        }
        match self.delete_object(client).await? {
            Some(stays) => Ok(Some(stays)),
            None => self.delete_version(client, &object, &version).await,
        }
    }

    /// Deletes the object, and returns a warning if that is not permitted.
    async fn delete_object(&self, client: &P::Client) -> Result<Option<String>, Failure> {
        let Err(error) = client.delete(&self.task.object).await else { return Ok(None) };
        let last = self.transport.take_last();
        let is_retained = match &last {
            // The request was sent twice because the first response did not arrive: the first one has deleted the object.
            Some(last) if last.is_missing_object(Action::Delete) => return Ok(None),
            Some(LastExchange::Response(response)) => self.provider.is_retained(&Refusal::new(Action::Delete, response)),
            _ => false,
        };
        let is_response = matches!(last, Some(LastExchange::Response(_)));
        let failure = self.explain(Action::Delete, last, error);
        if is_retained || (is_response && failure.class() == FailureClass::Rejected) {
            return Ok(Some(format!("the object of the probe stays: {}", failure.message())));
        }
        Err(failure)
    }

    /// Deletes a version, and returns a warning if the store refuses it.
    async fn delete_version(&self, client: &P::Client, object: &Uri, version: &str) -> Result<Option<String>, Failure> {
        if let Some(warning) = self.refused_versions.recent() {
            return Ok(Some(warning));
        }
        let amendment = self.amendment(client, self.provider.headers(Action::DeleteVersion, &[])).await?;
        let response = self.transport.exchange(amendment.deletion(object, P::VERSIONS.parameter, version)?).await?;
        let refusal = Refusal::new(Action::DeleteVersion, &response);
        if response.status.is_success() || refusal.is_missing_object() {
            return Ok(None);
        }
        let failure = self.provider.explain(&refusal, &self.task.shown);
        let warning = format!("each probe leaves a version of its object: {}", failure.message());
        self.refused_versions.record(warning.clone());
        Ok(Some(warning))
    }
}
