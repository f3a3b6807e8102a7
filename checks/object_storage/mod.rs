//! What the kinds of object storage share: [`BucketCheck`] probes a bucket through `object_store`, `transport` is the HTTP below that, and
//! `refusal` explains error responses.
//!
//! A kind implements [`Provider`] for its client and its error codes.

#[cfg(feature = "s3")]
pub(crate) mod aws_profile;
mod bucket;
mod connection;
mod refusal;
mod transport;

pub(crate) use bucket::{BucketCheck, BucketMode, Provider, endpoint, no_retries, prefix, transport_to, validate_bucket_name};
#[cfg(any(feature = "gcs", feature = "s3"))]
pub(crate) use refusal::explain_s3_code;
pub(crate) use refusal::{Action, Refusal};
pub(crate) use transport::StorageTransport;
