//! The servers that the application's environment variables describe.

use crate::{
    contract::{EnvironmentCheck, EnvironmentKey},
    wire::variables::{Lookup, is_driver_used, value},
};

/// Variables of `host:port`; several are separated by commas.
const LISTS: &[&str] = &["MEMCACHED_SERVERS", "MEMCACHE_SERVERS"];

/// A check of each server without a login, which the protocol of this kind does not have.
pub(super) fn checks(variable: Lookup<'_>, port: u16) -> Vec<EnvironmentCheck> {
    if ["MEMCACHED_USERNAME", "MEMCACHE_USERNAME"].iter().any(|name| value(variable, name).is_some()) {
        return Vec::new();
    }
    let check = |variable, server: String, port: u16| {
        // Otherwise it has a port already, or is the path of a Unix socket.
        let is_bare_host = !server.contains(':') && !server.starts_with('/');
        let value = if is_bare_host { format!("{server}:{port}") } else { server };
        EnvironmentCheck { variable, keys: vec![EnvironmentKey { key: "address", value, variable: None }] }
    };
    let one = value(variable, "MEMCACHED_HOST").filter(|_| is_driver_used(variable, "memcached")).map(|host| {
        // Kubernetes sets `MEMCACHED_PORT=tcp://10.0.0.1:11211` for a service with the name `memcached`.
        let port = value(variable, "MEMCACHED_PORT").and_then(|port| port.parse().ok()).unwrap_or(port);
        check("MEMCACHED_HOST", host, port)
    });
    let is_single = |servers: &String| !servers.contains([',', ';', ' ']) && !servers.contains("//");
    let lists = LISTS.iter().filter_map(|name| Some(check(name, value(variable, name).filter(is_single)?, port)));
    lists.chain(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_host_gets_a_port() {
        for (name, server, port, expected) in [
            ("MEMCACHED_SERVERS", "cache", None, "cache:11211"),
            ("MEMCACHED_SERVERS", "cache:7", None, "cache:7"),
            ("MEMCACHED_SERVERS", "/run/memcached.sock", None, "/run/memcached.sock"),
            ("MEMCACHED_HOST", "cache", Some("7"), "cache:7"),
            ("MEMCACHED_HOST", "cache", Some("tcp://10.0.0.1:11211"), "cache:11211"),
            // As Laravel has it.
            ("MEMCACHED_HOST", "/run/memcached.sock", Some("0"), "/run/memcached.sock"),
        ] {
            let variables = [(name, Some(server)), ("MEMCACHED_PORT", port), ("CACHE_DRIVER", Some("memcached"))];
            let variable = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted)?.1.map(str::to_owned);
            let found: Vec<_> = checks(&variable, 11_211).into_iter().flat_map(|check| check.keys).map(|key| key.value).collect();
            assert_eq!(found, [expected], "{server}");
        }
    }
}
