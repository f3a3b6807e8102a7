//! What the kinds of object storage share: [`BucketCheck`] probes a bucket through `object_store`, `transport` is the HTTP below that, and
//! `refusal` explains error responses.
//!
//! A kind implements [`Provider`] for its client and its error codes.

mod amendment;
#[cfg(feature = "s3")]
pub(crate) mod aws_profile;
mod bucket;
mod connection;
mod endpoint;
pub(crate) mod environment;
mod refusal;
#[cfg(any(feature = "gcs", feature = "s3"))]
mod s3_codes;
mod transport;
mod versions;

pub(crate) use amendment::Signer;
pub(crate) use bucket::{BucketCheck, BucketMode, Provider, prefix, unusable_credentials};
pub(crate) use endpoint::{endpoint, no_retries, transport_to, validate_bucket_name};
pub(crate) use refusal::{Action, Refusal};
#[cfg(any(feature = "gcs", feature = "s3"))]
pub(crate) use s3_codes::explain_s3_code;
pub(crate) use transport::StorageTransport;
pub(crate) use versions::Versions;
