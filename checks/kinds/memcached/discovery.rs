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
    let with_port = |address: String| if address.contains(':') { address } else { format!("{address}:{port}") };
    let check = |variable, address| {
        let address = EnvironmentKey { key: "address", value: with_port(address), variable: None };
        EnvironmentCheck { variable, keys: vec![address] }
    };
    let one = value(variable, "MEMCACHED_HOST").filter(|_| is_driver_used(variable, "memcached")).map(|host| {
        // Kubernetes sets `MEMCACHED_PORT=tcp://10.0.0.1:11211` for a service with the name `memcached`.
        let port = value(variable, "MEMCACHED_PORT").and_then(|port| port.parse().ok()).unwrap_or(port);
        let is_address = host.contains(':');
        check("MEMCACHED_HOST", if is_address { host } else { format!("{host}:{port}") })
    });
    let is_single = |servers: &String| !servers.contains([',', ';', ' ']) && !servers.contains("//");
    let lists = LISTS.iter().filter_map(|name| Some(check(name, value(variable, name).filter(is_single)?)));
    lists.chain(one).collect()
}
