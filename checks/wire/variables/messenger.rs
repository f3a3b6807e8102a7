//! Messenger, Symfony's library for queues.

use super::{Lookup, Server, value};
use crate::contract::EnvironmentKey;

/// The server of Symfony's Messenger, and its URL, if that has one of these schemes. The server's path is the first segment of the URL's.
pub(crate) fn messenger(variable: Lookup<'_>, schemes: &[&str]) -> Option<(::url::Url, Server)> {
    const VARIABLE: &str = "MESSENGER_TRANSPORT_DSN";
    let url: ::url::Url = value(variable, VARIABLE)?.parse().ok()?;
    if !schemes.contains(&url.scheme()) {
        return None;
    }
    let key = |key, text: &str| {
        let value = percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        (!value.is_empty()).then_some(EnvironmentKey { key, value, variable: None })
    };
    // `redis://secret@host` has a password only.
    let (username, password) = match url.password() {
        None if url.scheme().starts_with("redis") => ("", url.username()),
        password => (url.username(), password.unwrap_or_default()),
    };
    let server = Server {
        variable: VARIABLE,
        host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
        port: url.port(),
        path: url.path().trim_start_matches('/').split('/').next().unwrap_or_default().to_owned(),
        has_tls: ["amqps", "phpamqplibs", "rediss"].contains(&url.scheme()),
        login: key("username", username).into_iter().chain(key("password", password)).collect(),
    };
    Some((url, server))
}
