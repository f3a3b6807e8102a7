//! Warns about a listener that no other machine can reach, because this machine has addresses of the other family only.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// The routes of IPv4, <https://www.kernel.org/doc/html/latest/filesystems/proc.html#networking-info-in-proc-net>.
const ROUTES: &str = "/proc/net/route";

/// The addresses of IPv6.
const IPV6_ADDRESSES: &str = "/proc/net/if_inet6";

/// What to change, if the listener accepts IPv4 only and this machine has IPv6 only. `None` also if the system does not show its addresses.
pub(super) fn warning(key: &str, listener: SocketAddr) -> Option<String> {
    let (routes, addresses) = (fs::read_to_string(ROUTES).ok()?, fs::read_to_string(IPV6_ADDRESSES).ok()?);
    let is_any = listener.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    (is_any && !has_ipv4(&routes) && has_ipv6(&addresses)).then(|| {
        let port = listener.port();
        format!("{key}: this machine has IPv6 addresses only, and 0.0.0.0 accepts IPv4 only: write \"[::]:{port}\", which accepts both")
    })
}

/// Whether there is a route to another machine: a line after the header that is not of the loopback interface.
fn has_ipv4(routes: &str) -> bool {
    routes.lines().skip(1).filter_map(|line| line.split_whitespace().next()).any(|interface| interface != "lo")
}

/// Whether there is an address that is neither of the loopback interface nor link-local. The fourth field is the scope: 0 is global.
fn has_ipv6(addresses: &str) -> bool {
    let fields = addresses.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.into_iter().any(|fields| fields.get(3) == Some(&"00") && fields.get(5) != Some(&"lo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn a_route_beyond_loopback_is_ipv4() {
        assert!(!has_ipv4(HEADER));
        assert!(!has_ipv4(&format!("{HEADER}lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n")));
        assert!(has_ipv4(&format!("{HEADER}eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")));
    }

    #[test]
    fn a_global_address_is_ipv6() {
        let loopback = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let link_local = "fe80000000000000000000000000abcd 02 40 20 80     eth0\n";
        assert!(!has_ipv6(&format!("{loopback}{link_local}")));
        assert!(has_ipv6(&format!("{loopback}fd000000000000000000000000000001 02 40 00 80     eth0\n")), "also a unique local one");
    }
}
