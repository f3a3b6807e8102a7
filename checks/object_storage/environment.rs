//! Environment variables that the application's own client library reads, and the driver does not. Like the rest of the usual chain they
//! belong to this process, not to the configuration.

use std::env;
#[cfg(feature = "s3")]
use std::path::PathBuf;

/// The value of a variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "these variables belong to the client library that the check stands for")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The variables whose names begin with `prefix` and that are not empty, with names in lower case, as the driver writes its keys. An empty
/// variable means nothing to the libraries of the vendors, and the driver would use it.
#[expect(clippy::disallowed_methods, reason = "these variables belong to the client library that the check stands for")]
pub(crate) fn with_prefix(prefix: &'static str) -> impl Iterator<Item = (String, String)> {
    let pairs = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    pairs
        .filter(move |(name, value)| name.starts_with(prefix) && !value.trim().is_empty())
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
}

/// Whether the environment has a proxy for this host, which the libraries of the vendors would use. Without a host, for the vendor's own.
pub(crate) fn has_proxy(host: Option<&str>) -> bool {
    let either = |lower: &str| variable(lower).or_else(|| variable(&lower.to_ascii_uppercase()));
    let except = either("no_proxy").unwrap_or_default();
    let mut except = except.split(',').map(|name| name.trim().trim_start_matches('.'));
    let is_excepted = except
        .any(|name| name == "*" || host.is_some_and(|host| !name.is_empty() && (host == name || host.ends_with(&format!(".{name}")))));
    either("https_proxy").is_some() && !is_excepted
}

/// Whether a variable is set to `true`, as the SDK of AWS reads it.
#[cfg(feature = "s3")]
pub(crate) fn is_true(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The home directory of the user.
#[cfg(feature = "s3")]
pub(crate) fn home() -> Option<PathBuf> {
    env::home_dir()
}
