//! Link-local addresses, to which no redirect may lead.

use crate::contract::Failure;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether a connection may lead to a link-local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkLocal {
    /// To the configured host, and from a host that is link-local itself.
    Permitted,
    /// After a redirect.
    Refused,
}

impl LinkLocal {
    /// The addresses of a host that a connection may use.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub(super) fn select(self, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
        if self == Self::Refused {
            addresses.retain(|address| !is_link_local(address.ip()));
            if addresses.is_empty() {
                return Err(Failure::unhealthy("redirects to a link-local address, which is not followed"));
            }
        }
        Ok(addresses)
    }
}

/// Whether an address is link-local (RFC 3927, RFC 4291), in any form that leads there: clouds serve credentials to machines at such
/// addresses. AWS also does so at `fd00:ec2::/32`, which counts here.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            let is_of_aws = address.segments().starts_with(&[0xfd00, 0x0ec2]);
            address.is_unicast_link_local() || is_of_aws || embedded(address).is_some_and(|inner| inner.is_link_local())
        }
    }
}

/// The IPv4 address in an IPv6 one: mapped or compatible (RFC 4291, section 2.5.5), or translated by NAT64 (RFC 6052).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let [.., a, b, c, d] = address.octets();
    let translated = address.segments().starts_with(&NAT64).then(|| Ipv4Addr::new(a, b, c, d));
    translated.or_else(|| address.to_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str) -> bool {
        is_link_local(address.parse().expect("an address"))
    }

    #[test]
    fn link_local_addresses_are_recognised_in_every_form() {
        for address in [
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "fd00:ec2::254",
            "fd00:ec2::23",
        ] {
            assert!(judged(address), "{address}");
        }
    }

    #[test]
    fn a_host_keeps_those_of_its_addresses_that_are_not_link_local() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<SocketAddr>>();
        let mixed = addresses(&["169.254.169.254:80", "10.0.0.7:80", "[fe80::1]:80"]);
        let selected = LinkLocal::Refused.select(mixed.clone()).expect("one is left");
        assert_eq!(selected, addresses(&["10.0.0.7:80"]));
        assert_eq!(LinkLocal::Permitted.select(mixed.clone()).expect("all are left"), mixed);
        let failure = LinkLocal::Refused.select(addresses(&["169.254.169.254:80"])).expect_err("none is left");
        assert_eq!(failure.message(), "redirects to a link-local address, which is not followed");
    }

    #[test]
    fn other_addresses_are_not_link_local() {
        for address in [
            "169.253.255.255",
            "169.255.0.0",
            "127.0.0.1",
            "10.0.0.7",
            "192.168.0.1",
            "8.8.8.8",
            "::1",
            "::ffff:10.0.0.7",
            "fe40::1",
            "fec0::1",
            "fd00:ec3::254",
            "2001:db8::169.254.169.254",
            "64:ff9b::10.0.0.7",
        ] {
            assert!(!judged(address), "{address}");
        }
    }
}
