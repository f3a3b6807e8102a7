//! Finds the variables that set a key, and those that Kubernetes and Docker inject for services.

use std::net::IpAddr;

/// The tables of a configuration.
pub(super) const SECTIONS: [&str; 6] = ["checks", "defaults", "groups", "log", "server", "service"];

/// The beginning of the name of every variable that sets a key.
pub(super) const PREFIX: &str = "ALLSWELL_";

/// The key that a variable sets: `checks.db.url` for `ALLSWELL_CHECKS__DB__URL`.
pub(super) fn key_of(name: &str, value: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__"))?;
    let key: Vec<_> = rest.split("__").map(str::to_ascii_lowercase).collect();
    // Without an empty level, as in `ALLSWELL_SERVER__LISTEN__`.
    (SECTIONS.contains(&&*key[0]) && !key.iter().any(String::is_empty) && !is_service_link(name, value)).then_some(key)
}

/// Whether Kubernetes or Docker set this variable for a service: `X_SERVICE_HOST`, `X_SERVICE_PORT`, `X_SERVICE_PORT_HTTP`, `X_PORT`,
/// `X_PORT_80_TCP`, `X_PORT_80_TCP_ADDR` and the like, for a service `x`.
///
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_port = || value.parse::<u16>().is_ok();
    if name.ends_with("_SERVICE_HOST") {
        return value.parse::<IpAddr>().is_ok();
    }
    // The name of a port has no two dashes in a row.
    if name.ends_with("_SERVICE_PORT") || name.rsplit_once("_SERVICE_PORT_").is_some_and(|(_, port)| !port.contains("__")) {
        return is_port();
    }
    if name.ends_with("_PORT") && is_endpoint(value) {
        return true;
    }
    let name = ["_ADDR", "_PORT", "_PROTO"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let Some((start, _)) = name.rsplit_once('_').filter(|(_, protocol)| PROTOCOLS.contains(protocol)) else { return false };
    start.rsplit_once("_PORT_").is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// The protocols of ports of services.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether this is the URL of a port, such as `tcp://10.0.0.1:80`.
pub(super) fn is_endpoint(value: &str) -> bool {
    value.split_once("://").is_some_and(|(protocol, address)| {
        PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol)) && address.rsplit_once(':').is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_set_no_key() {
        assert_eq!(key_of("ALLSWELL_CHECKS__B_PORT", "tcp://10.0.0.1:80"), None);
        assert_eq!(key_of("ALLSWELL_CHECKS__B_SERVICE_HOST", "10.0.0.1"), None);
        assert_eq!(key_of("ALLSWELL_A__B", "1"), None);
        assert_eq!(key_of("ALLSWELL_CHECKS__A_SERVICE_PORT_B__URL", "1").map(|key| key.len()), Some(3));
        assert_eq!(key_of("ALLSWELL_CHECKS__DB__UR", "1").map(|key| key.len()), Some(3));
    }

    #[test]
    fn a_name_with_an_empty_level_sets_no_key() {
        for name in ["ALLSWELL_SERVER__LISTEN__", "ALLSWELL_SERVER____DRAIN", "ALLSWELL___SERVER__DRAIN"] {
            assert_eq!(key_of(name, "1"), None, "{name}");
        }
    }
}
