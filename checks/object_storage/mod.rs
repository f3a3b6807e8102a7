//! What the kinds of object storage share: a bucket, the HTTP transport below `object_store`, and the reasons for which a store refuses.

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
