//! A server, from a set of variables.

use super::{Lookup, value};
use crate::contract::{EnvironmentCheck, EnvironmentKey};
#[cfg(any(feature = "rabbitmq", feature = "sql-server"))]
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Names of variables that together describe a server. Of each list the first that is set counts.
#[derive(Clone, Copy, Default)]
pub(crate) struct ServerVariables {
    /// Host, or the path of a Unix socket.
    pub(crate) host: &'static [&'static str],
    pub(crate) port: &'static [&'static str],
    pub(crate) username: &'static [&'static str],
    pub(crate) password: &'static [&'static str],
    /// The path of a URL: database, number of a database or virtual host.
    pub(crate) path: &'static [&'static str],
    /// Whether the server requires TLS: `true`, `1`, or as Laravel writes it `tls`.
    pub(crate) tls: &'static [&'static str],
}

/// A server that variables describe.
pub(crate) struct Server {
    /// The variable of the host, after which the check is named.
    pub(super) variable: &'static str,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) path: String,
    pub(crate) has_tls: bool,
    /// `username` and `password`, or `password_file`.
    pub(super) login: Vec<EnvironmentKey>,
}

impl ServerVariables {
    /// The server, if its host is set.
    pub(crate) fn read(&self, variable: Lookup<'_>) -> Option<Server> {
        let first = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, value(variable, name)?)));
        let (name, written) = first(self.host)?;
        // As phpredis takes it.
        let encrypted = ["tls://", "ssl://"].iter().find_map(|scheme| written.strip_prefix(scheme));
        let (host, own_port) = split(encrypted.unwrap_or(&written));
        // Kubernetes sets `REDIS_PORT=tcp://10.0.0.1:6379` for a service with the name `redis`.
        let port = first(self.port).and_then(|(_, port)| port.parse().ok());
        let is_on = |text: &str| ["1", "on", "rediss", "ssl", "tls", "true", "yes"].contains(&&*text.to_ascii_lowercase());
        let key = |key, names| first(names).map(|(name, value)| EnvironmentKey { key, value, variable: Some(name) });
        // As the images of Docker take it.
        let file = || {
            let file = self.password.iter().find_map(|name| value(variable, &format!("{name}_FILE")))?;
            Some(EnvironmentKey { key: "password_file", value: file, variable: None })
        };
        Some(Server {
            variable: name,
            host: host.to_owned(),
            port: own_port.or(port),
            path: first(self.path).map(|(_, path)| path).unwrap_or_default(),
            has_tls: encrypted.is_some() || first(self.tls).is_some_and(|(_, text)| is_on(&text)),
            login: key("username", self.username).into_iter().chain(key("password", self.password).or_else(file)).collect(),
        })
    }
}

impl Server {
    /// Whether a variable names the user.
    #[cfg(feature = "sql-server")]
    pub(crate) fn has_username(&self) -> bool {
        self.login.iter().any(|key| key.key == "username")
    }

    /// `host:port` as in a URL.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') && !self.host.contains(',') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// The check of this server, by its URL. Some put the whole URL into the variable of the host.
    pub(crate) fn check(self, url: impl FnOnce(&Self) -> String) -> EnvironmentCheck {
        let is_url = self.host.contains("://");
        let url = if is_url { self.host.clone() } else { url(&self) };
        let url = EnvironmentKey { key: "url", value: url, variable: is_url.then_some(self.variable) };
        EnvironmentCheck { variable: self.variable, keys: [url].into_iter().chain(self.login).collect() }
    }
}

/// The text with everything encoded that has a meaning in a URL.
#[cfg(any(feature = "rabbitmq", feature = "sql-server"))]
pub(crate) fn encoded(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Host and port; an IPv6 address may stand in brackets. `WordPress` writes a socket as `localhost:/run/mysqld/mysqld.sock`.
fn split(written: &str) -> (&str, Option<u16>) {
    let unbracketed = |host| str::strip_prefix(host, '[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Some((_, socket)) = written.split_once(':').filter(|(_, socket)| socket.starts_with('/') && !socket.starts_with("//")) {
        return (socket, None);
    }
    match written.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (unbracketed(host), Some(port)),
            Err(_) => (unbracketed(written), None),
        },
        _ => (unbracketed(written), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: ServerVariables = ServerVariables {
        host: &["X_HOST"],
        port: &["X_PORT"],
        username: &["X_USERNAME", "X_USER"],
        password: &["X_PASSWORD"],
        path: &["X_NAME"],
        tls: &["X_TLS"],
    };

    fn url(set: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let server = VARIABLES.read(&variable)?;
        let login: Vec<_> = server.login.iter().map(|key| format!("{}={}", key.key, key.value)).collect();
        Some(format!("{} {} {} {}", server.authority(), server.path, server.has_tls, login.join(" ")).trim_end().to_owned())
    }

    #[test]
    fn a_host_with_its_port_and_login_becomes_a_server() {
        for (set, expected) in [
            (
                &[("X_HOST", "db"), ("X_PORT", "5433"), ("X_NAME", "orders"), ("X_USER", "app"), ("X_PASSWORD", "a b")][..],
                "db:5433 orders false username=app password=a b",
            ),
            (&[("X_HOST", "db:7"), ("X_PORT", "8"), ("X_TLS", "TRUE")], "db:7  true"),
            (&[("X_HOST", "db"), ("X_PORT", "tcp://10.0.0.1:6379"), ("X_PASSWORD", "null")], "db  false"),
            (&[("X_HOST", "::1"), ("X_PORT", "5")], "[::1]:5  false"),
            (&[("X_HOST", "[::1]:6")], "[::1]:6  false"),
            (&[("X_HOST", " db\r\n")], "db  false"),
            (&[("X_HOST", "db"), ("X_USER", "app"), ("X_PASSWORD_FILE", "/run/pw")], "db  false username=app password_file=/run/pw"),
        ] {
            assert_eq!(url(set).as_deref(), Some(expected), "{set:?}");
        }
        assert_eq!(url(&[("X_HOST", "null"), ("X_PORT", "1")]), None);
    }

    #[test]
    fn a_socket_may_stand_after_the_host() {
        assert_eq!(split("localhost:/run/mysqld/mysqld.sock"), ("/run/mysqld/mysqld.sock", None));
        assert_eq!(split("/run/mysqld/mysqld.sock"), ("/run/mysqld/mysqld.sock", None));
        assert_eq!(split("mysql://db/x"), ("mysql://db/x", None));
    }

    #[cfg(any(feature = "rabbitmq", feature = "sql-server"))]
    #[test]
    fn what_has_a_meaning_in_a_url_is_encoded() {
        assert_eq!(encoded("a/b c%"), "a%2Fb%20c%25");
    }
}
