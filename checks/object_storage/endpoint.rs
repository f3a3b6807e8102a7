//! The keys of a bucket: its name, and the endpoint of its store.

use super::transport::StorageTransport;
use crate::{
    contract::prelude::*,
    wire::{
        http1::Origin,
        tls::{Tls, TlsKeys},
        url,
    },
};
use object_store::RetryConfig;

/// Rejects what cannot be a bucket name. The provider has stricter rules.
pub(crate) fn validate_bucket_name(name: &str) -> Result<(), InvalidConfig> {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._$:".contains(&byte));
    if plain { Ok(()) } else { Err(InvalidConfig::new("bucket", "is not a bucket name: write only the name, such as `media`")) }
}

/// The URL of the endpoint as drivers accept it, and the transport to it. `others` is the TLS to all other servers.
pub(crate) fn transport_to(
    endpoint: Option<(::url::Url, Origin, Tls)>,
    others: Tls,
    connection: Reuse,
    max_connection_age: MaxAge,
) -> (Option<String>, StorageTransport) {
    let url = endpoint.as_ref().map(|(url, ..)| url.as_str().trim_end_matches('/').to_owned());
    (url, StorageTransport::new(endpoint.map(|(_, origin, tls)| (origin, tls)), others, connection, max_connection_age))
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
