//! The addresses at which a client on the same machine reaches a listener.

use allswell_checks::wire::address::Address;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses at which a client on this machine reaches a listener on a bound address, in the order of the attempts.
pub(crate) fn of_bound(address: SocketAddr) -> Vec<Address> {
    let host = match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => format!("{}%{}", address.ip(), address.scope_id()),
        address => address.ip().to_string(),
    };
    of_host(&host, address.port())
}

/// The same for the value of `server.listen`. `None`: it is no address, or has port 0, which stands for a free one.
pub(crate) fn of_configured(listen: &str) -> Option<Vec<Address>> {
    let (host, port) = listen.trim().rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(of_host(host, port))
}

/// A listener on all addresses is reached on loopback. One for both families may be reached by one of them only: many containers have no `::1`.
fn of_host(host: &str, port: u16) -> Vec<Address> {
    let given = Address::new(if host == "*" { "0.0.0.0" } else { host }, port);
    let loopback = |ips: &[IpAddr]| ips.iter().map(|ip| Address::new(&ip.to_string(), port)).collect();
    match given.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => loopback(&[Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]),
        Ok(ip) if ip.to_canonical() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => loopback(&[Ipv4Addr::LOCALHOST.into()]),
        _ => vec![given],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:80", &["127.0.0.1:80"][..]),
            ("[::]:80", &["[::1]:80", "127.0.0.1:80"]),
            ("[::0]:80", &["[::1]:80", "127.0.0.1:80"]),
            (":::80", &["[::1]:80", "127.0.0.1:80"]),
            ("[::ffff:0.0.0.0]:80", &["127.0.0.1:80"]),
            ("::1:8080", &["[::1]:8080"]),
            ("10.0.0.7:8080", &["10.0.0.7:8080"]),
            ("localhost:1", &["localhost:1"]),
        ] {
            let found = of_configured(listen).expect("an address");
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{listen}");
        }
        assert_eq!((of_configured("127.0.0.1:0"), of_configured("localhost"), of_configured("h:x")), (None, None, None));
    }

    #[test]
    fn a_bound_address_keeps_its_scope() {
        let bound = |text: &str| of_bound(text.parse().expect("an address"));
        assert_eq!(bound("[fe80::1%3]:80"), [Address::new("fe80::1%3", 80)]);
        assert_eq!(bound("[::]:80"), [Address::new("::1", 80), Address::new("127.0.0.1", 80)]);
    }
}
