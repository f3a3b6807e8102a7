//! Where a memcached server listens, in the forms of the client libraries.

use crate::{contract::from_text, wire::address::Address};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::{borrow::Cow, path::PathBuf, str::FromStr};

/// The port of memcached.
pub(super) const DEFAULT_PORT: u16 = 11_211;

/// A server: `host:port`, `host`, or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemcachedAddress {
    /// By TCP.
    Tcp(Address),
    /// By a Unix socket: `/run/memcached.sock`, or as Django and pymemcache write it `unix:/run/memcached.sock`.
    Socket(PathBuf),
}

impl FromStr for MemcachedAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let path = text.strip_prefix("unix:").map(|path| path.strip_prefix("//").unwrap_or(path));
        if let Some(path) = path.or(text.starts_with('/').then_some(text)) {
            let message = || "the path of a socket begins with `/`: write \"unix:/run/memcached.sock\"".to_owned();
            return path.starts_with('/').then(|| Self::Socket(path.into())).ok_or_else(message);
        }
        // The text is not quoted: it may contain a password.
        if text.contains("://") {
            return Err("not an address: write \"host:port\", such as \"cache.internal:11211\", without a scheme".to_owned());
        }
        if text.contains([',', ';']) || text.split_whitespace().nth(1).is_some() {
            return Err("this is a list of servers: configure a check for each".to_owned());
        }
        let address = Address::with_default_port(text, DEFAULT_PORT);
        address.map(Self::Tcp).map_err(|error| error.replace("db.internal:5432", "cache.internal:11211"))
    }
}

impl<'de> Deserialize<'de> for MemcachedAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl JsonSchema for MemcachedAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MemcachedAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "address", "examples": ["cache.internal:11211", "unix:/run/memcached.sock"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_an_address_is_read() {
        let tcp = |host: &str, port| Ok(MemcachedAddress::Tcp(Address::new(host, port)));
        let socket = || Ok(MemcachedAddress::Socket("/run/memcached.sock".into()));
        for (text, expected) in [
            ("cache:11212", tcp("cache", 11_212)),
            ("cache", tcp("cache", DEFAULT_PORT)),
            ("[::1]", tcp("::1", DEFAULT_PORT)),
            ("[::1]:7", tcp("::1", 7)),
            ("unix:/run/memcached.sock", socket()),
            ("unix:///run/memcached.sock", socket()),
            ("/run/memcached.sock", socket()),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_says_what_to_write() {
        for (text, message) in [
            ("a:1,b:1", "this is a list of servers: configure a check for each"),
            ("a:1;b:1", "this is a list of servers: configure a check for each"),
            ("memcached://cache", "not an address: write \"host:port\", such as \"cache.internal:11211\", without a scheme"),
            ("unix:run/memcached.sock", "the path of a socket begins with `/`: write \"unix:/run/memcached.sock\""),
            ("app:hunter2@cache:1", "an address has neither user nor password: write \"host:port\", such as \"cache.internal:11211\""),
            ("cache:x", "not an address: write \"host:port\", such as \"cache.internal:11211\""),
            ("::1", "write an IPv6 address in brackets: \"[::1]:PORT\""),
            ("2001:db8::2:11211", "write an IPv6 address in brackets: \"[::1]:PORT\""),
            ("", "not an address: write \"host:port\", such as \"cache.internal:11211\""),
        ] {
            assert_eq!(text.parse::<MemcachedAddress>(), Err(message.to_owned()), "{text}");
        }
    }
}
