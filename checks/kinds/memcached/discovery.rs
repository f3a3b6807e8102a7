//! The servers that the application's environment variables describe.

use crate::{
    contract::{EnvironmentCheck, EnvironmentKey},
    wire::variables::{Lookup, ServerVariables, is_driver_used, value},
};

const SERVER: ServerVariables = ServerVariables {
    host: &["MEMCACHED_HOST"],
    port: &["MEMCACHED_PORT"],
    username: &["MEMCACHED_USERNAME"],
    password: &["MEMCACHED_PASSWORD"],
    path: &[],
    tls: &[],
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
    let one = SERVER.read(variable).filter(|_| is_driver_used(variable, "memcached"));
    let one = one.map(|server| check("MEMCACHED_HOST", server.authority()));
    let is_single = |servers: &String| !servers.contains([',', ';', ' ']) && !servers.contains("//");
    let lists = LISTS.iter().filter_map(|name| Some(check(name, value(variable, name).filter(is_single)?)));
    lists.chain(one).collect()
}
