//! What the kinds of object storage share: a bucket, the HTTP transport below `object_store`, and the reasons for which a store refuses.

#[cfg(feature = "s3")]
pub(crate) mod aws_profile;
mod bucket;
mod link;
mod refusal;
mod transport;

pub(crate) use bucket::{Mode, Objects, Provider, endpoint, examine_bucket, no_retries, prefix, way};
#[cfg(any(feature = "gcs", feature = "s3"))]
pub(crate) use refusal::of_s3;
pub(crate) use refusal::{Action, Refusal};
pub(crate) use transport::{Origin, Transport};
