//! Whether two checks are about the same backend, however their URLs are written.

use crate::kinds::Kind;
use allswell_checks::contract::{Category, unwrapped};
use figment::value::{Dict, Value};
use percent_encoding::percent_decode_str;

/// A server of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server {
    kind: &'static str,
    pub(super) category: Category,
    /// In lower case.
    pub(super) host: String,
    port: Option<u16>,
}

/// The server that the keys of a check name. `None`: they name none, or something else, such as a bucket.
pub(super) fn server(kind: &Kind, table: &Dict) -> Option<Server> {
    let place = ["url", "address"].iter().find_map(|key| table.get(*key).and_then(Value::as_str))?;
    let Parts { host, port, .. } = Parts::new(place, kind);
    Some(Server { kind: kind.name, category: kind.category, host, port })
}

/// The backend of a check: a text that is equal for equal backends. It has secrets.
pub(super) fn of(kind: &Kind, table: &Dict) -> String {
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    let Some(url) = text("url") else {
        return format!("{} {}", kind.name, serde_json::to_string(table).unwrap_or_default());
    };
    let Parts { is_encrypted, user, password, host, port, path, query } = Parts::new(url, kind);
    let user = text("username").map_or(user, str::to_owned);
    let password = text("password").map_or(password, str::to_owned);
    format!("{} {is_encrypted} {user:?} {password:?} {host} {port:?} {path:?} {query:?}", kind.name)
}

/// A URL, taken apart.
struct Parts {
    is_encrypted: bool,
    user: String,
    password: String,
    host: String,
    port: Option<u16>,
    path: String,
    query: Vec<String>,
}

impl Parts {
    fn new(url: &str, kind: &Kind) -> Self {
        let url = unwrapped(url.trim());
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let scheme = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
        // `rediss` and `amqps`, where there is `redis` and `amqp`.
        let is_encrypted = scheme.strip_suffix('s').is_some_and(|plain| kind.schemes.contains(&plain));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(',') => (host, port.parse().ok()),
            _ => (address.trim_end_matches(':'), kind.default_port.filter(|_| !is_encrypted)),
        };
        let mut query: Vec<_> = query.split('&').filter(|parameter| !parameter.is_empty()).map(decoded).collect();
        query.sort();
        Self {
            is_encrypted,
            user: decoded(user),
            password: decoded(password),
            host: decoded(host).to_ascii_lowercase(),
            port,
            path: decoded(path).trim_end_matches('/').to_owned(),
            query,
        }
    }
}

/// The text without percent-encoding.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
