//! The header of the PROXY protocol, with which a load balancer announces its client at the start of a connection: versions 1 and 2.
//!
//! The specification: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>. Checksums and other extensions of version 2 are skipped.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str,
};

/// The first bytes of version 1.
pub(in crate::http) const V1_PREFIX: &[u8] = b"PROXY ";

/// The first bytes of version 2.
pub(in crate::http) const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, with its line end.
const MAX_V1_BYTES: usize = 107;

/// The part of version 2 before the addresses: signature, command, family and length.
const V2_FIXED_BYTES: usize = 16;

/// The addresses and ports of TCP over IPv4, and of TCP over IPv6.
const V2_IPV4_BYTES: usize = 12;
const V2_IPV6_BYTES: usize = 36;

/// How many bytes at the start of a connection decide about the header.
pub(super) const MAX_DECISIVE_BYTES: usize = MAX_V1_BYTES;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// More bytes are needed to decide.
    Undecided,
    /// Not a valid header. They belong to the request or to the TLS handshake.
    Other,
    /// A header.
    Header(ProxyHeader),
}

/// A valid header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProxyHeader {
    /// Its length. For version 2 not all of it has arrived yet.
    pub(super) length: usize,
    /// The announced client. `None`: the load balancer itself, as for its health checks, or a client without an IP address.
    pub(super) source: Option<SocketAddr>,
}

/// Reads the first bytes of a connection.
pub(super) fn read(bytes: &[u8]) -> Opening {
    if starts_like(bytes, V2_SIGNATURE) {
        read_v2(bytes)
    } else if starts_like(bytes, V1_PREFIX) {
        read_v1(bytes)
    } else {
        Opening::Other
    }
}

/// Whether bytes begin with a prefix, as far as they have arrived.
fn starts_like(bytes: &[u8], prefix: &[u8]) -> bool {
    let compared = bytes.len().min(prefix.len());
    bytes[..compared] == prefix[..compared]
}

/// Section 2.1: one line of text.
fn read_v1(bytes: &[u8]) -> Opening {
    let visible = &bytes[..bytes.len().min(MAX_V1_BYTES)];
    let Some(end) = visible.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < MAX_V1_BYTES { Opening::Undecided } else { Opening::Other };
    };
    let line = visible.get(V1_PREFIX.len()..end).and_then(|line| str::from_utf8(line).ok());
    // After `UNKNOWN` a receiver ignores everything up to the end of the line.
    let is_unknown = |line: &str| line.split(' ').next() == Some("UNKNOWN");
    let source = line.and_then(v1_source);
    if source.is_none() && !line.is_some_and(is_unknown) {
        return Opening::Other;
    }
    Opening::Header(ProxyHeader { length: end + 2, source })
}

/// The source in a well-formed line of version 1, after `PROXY `.
fn v1_source(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split(' ');
    let family = fields.next()?;
    let mut address = || -> Option<IpAddr> {
        let text = fields.next()?;
        match family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, _) = (address()?, address()?);
    let mut port = || fields.next().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u16>().ok();
    let (port, _) = (port()?, port()?);
    fields.next().is_none().then_some(SocketAddr::new(source, port))
}

/// Section 2.2: a binary header.
fn read_v2(bytes: &[u8]) -> Opening {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else { return Opening::Undecided };
    let [.., command, family, high, low] = *fixed;
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let length = V2_FIXED_BYTES + announced;
    let without_source = Opening::Header(ProxyHeader { length, source: None });
    let address_bytes = match (command, family) {
        (0x21, 0x11) => V2_IPV4_BYTES,
        (0x21, 0x21) => V2_IPV6_BYTES,
        // The load balancer itself, whatever the family is; unspecified; datagrams over IPv4 and IPv6; Unix sockets.
        (0x20, _) | (0x21, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => return without_source,
        _ => return Opening::Other,
    };
    if announced < address_bytes {
        return Opening::Other;
    }
    if rest.len() < address_bytes {
        return Opening::Undecided;
    }
    Opening::Header(ProxyHeader { length, source: v2_source(&rest[..address_bytes]) })
}

/// The source in the addresses of version 2: source, destination, port of the source, port of the destination.
fn v2_source(addresses: &[u8]) -> Option<SocketAddr> {
    let (source, ports): (IpAddr, _) = match addresses.len() {
        V2_IPV4_BYTES => (Ipv4Addr::from(*addresses.first_chunk::<4>()?).into(), &addresses[8..]),
        _ => (Ipv6Addr::from(*addresses.first_chunk::<16>()?).into(), &addresses[32..]),
    };
    Some(SocketAddr::new(source, u16::from_be_bytes(*ports.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of version 2.
    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).expect("a length").to_be_bytes();
        [V2_SIGNATURE, &[command, family], &length, payload].concat()
    }

    fn header(length: usize, source: Option<&str>) -> Opening {
        Opening::Header(ProxyHeader { length, source: source.map(|source| source.parse().expect("an address")) })
    }

    #[test]
    fn version_1_announces_a_client() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Some("192.0.2.7:56324")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", Some("[2001:db8::1]:1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
        ] {
            assert_eq!(read(format!("{line}GET / HTTP/1.1\r\n\r\n").as_bytes()), header(line.len(), source), "{line}");
        }
    }

    #[test]
    fn malformed_lines_of_version_1_are_not_headers() {
        for line in [
            "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 9\r\n",
            "PROXY TCP4 192.0.2.300 198.51.100.1 56324 443\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 70000 443\r\n",
            "PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY \r\n",
            "PROXY / HTTP/1.1\r\n\r\n",
            "proxy UNKNOWN\r\n",
        ] {
            assert_eq!(read(line.as_bytes()), Opening::Other, "{line}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(MAX_V1_BYTES));
        assert_eq!(read(long.as_bytes()), Opening::Other, "no line end within the longest line");
        assert_eq!(read(&long.as_bytes()[..MAX_V1_BYTES - 1]), Opening::Undecided);
    }

    #[test]
    fn version_2_announces_a_client_or_the_load_balancer_itself() {
        let ipv4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
        let with_extensions = [&ipv4[..], &[0x03, 0, 4, 1, 2, 3, 4], &[0xea; 300]].concat();
        let ipv6 = [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0, 80, 1, 187]].concat();
        for (bytes, source) in [
            (v2(0x21, 0x11, &ipv4), Some("192.0.2.7:56324")),
            (v2(0x21, 0x11, &with_extensions), Some("192.0.2.7:56324")),
            (v2(0x21, 0x21, &ipv6), Some("[2001:db8::1]:80")),
            (v2(0x21, 0x31, &[b'/'; 216]), None),
            (v2(0x21, 0x00, &[]), None),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, &ipv4), None),
            (v2(0x20, 0xff, &[0; 9]), None),
            (v2(0x21, 0x00, &vec![0; 65_535]), None),
        ] {
            assert_eq!(read(&bytes), header(bytes.len(), source), "{bytes:?}");
        }
        assert_eq!(read(&v2(0x21, 0x00, &vec![0; 65_535])[..20]), header(16 + 65_535, None), "known before it has arrived");
    }

    #[test]
    fn headers_of_version_2_that_are_not_defined_are_none() {
        for bytes in [v2(0x11, 0x11, &[0; 12]), v2(0x22, 0x11, &[0; 12]), v2(0x21, 0x41, &[0; 12]), v2(0x21, 0x11, &[0; 11])] {
            assert_eq!(read(&bytes), Opening::Other, "{bytes:?}");
        }
    }

    #[test]
    fn a_request_is_recognised_by_its_first_different_byte() {
        for request in ["GET", "PU", "POST", "PRI * HTTP/2.0", "\r\nG", "\r\n\r\nGET", "\x16\x03\x01"] {
            assert_eq!(read(request.as_bytes()), Opening::Other, "{request}");
        }
        for undecided in ["", "P", "PROXY", "\r", "\r\n\r\n"] {
            assert_eq!(read(undecided.as_bytes()), Opening::Undecided, "{undecided}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(prefix in prop::sample::select(vec![&b""[..], V1_PREFIX, V2_SIGNATURE]), rest in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [prefix, &rest].concat();
            let opening = read(&bytes);
            if bytes.len() >= MAX_DECISIVE_BYTES {
                prop_assert_ne!(opening, Opening::Undecided);
            }
        }

        #[test]
        fn a_decision_does_not_change_with_further_bytes(bytes in prop::collection::vec(prop::sample::select(b"PROXY TCP46.:\r\n01UNKW\0QIT!\x11".to_vec()), 0..150), cut in 0_usize..150) {
            let early = read(&bytes[..cut.min(bytes.len())]);
            prop_assert!(early == Opening::Undecided || early == read(&bytes));
        }

        #[test]
        fn an_announced_address_is_read_from_both_versions(ip in any::<[u8; 16]>(), port: u16, is_ipv4: bool) {
            let (source, text, binary): (IpAddr, _, _) = if is_ipv4 {
                let ip = Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]);
                (ip.into(), format!("PROXY TCP4 {ip} {ip} {port} 1\r\n"), v2(0x21, 0x11, &[&ip.octets()[..], &ip.octets(), &port.to_be_bytes(), &[0, 1]].concat()))
            } else {
                let ip = Ipv6Addr::from(ip);
                (ip.into(), format!("PROXY TCP6 {ip} {ip} {port} 1\r\n"), v2(0x21, 0x21, &[&ip.octets()[..], &ip.octets(), &port.to_be_bytes(), &[0, 1]].concat()))
            };
            let expected = |length| Opening::Header(ProxyHeader { length, source: Some(SocketAddr::new(source, port)) });
            prop_assert_eq!(read(text.as_bytes()), expected(text.len()));
            prop_assert_eq!(read(&binary), expected(binary.len()));
        }
    }
}
