//! Finds out, without asking any resolver, whether an address can be listened on, and says what to write if not.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The message for a text that cannot be listened on. It is not quoted: it may be a URL with a password.
pub(super) fn mistake(listen: &str) -> Option<&'static str> {
    // What the system accepts.
    if listen.parse::<SocketAddr>().is_ok() {
        return None;
    }
    Some(match listen {
        "" => "the address is empty: write \"0.0.0.0:8080\"",
        _ if listen.trim() != listen => "the address has blanks around it: remove them",
        _ if listen.contains("://") => "an address has no scheme: write \"0.0.0.0:8080\"; `[server.tls]` makes it HTTPS",
        _ if listen.contains('/') => {
            "an address is a host and a port alone: write \"0.0.0.0:8080\"; paths and sockets of files cannot be listened on"
        }
        _ if listen.chars().all(|c| c.is_ascii_digit()) => {
            "a port alone is not an address: write the host before it, as in \"0.0.0.0:8080\""
        }
        _ if listen.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) => {
            "the port is missing: write \"[::]:8080\", with the IPv6 address in brackets"
        }
        _ => match listen.rsplit_once(':') {
            None => "the port is missing: write it after the host, as in \"0.0.0.0:8080\"",
            Some((host, port)) => return host_mistake(host).or_else(|| port_mistake(port)),
        },
    })
}

fn port_mistake(port: &str) -> Option<&'static str> {
    match port {
        "" => Some("the port after the last `:` is missing: write \"0.0.0.0:8080\""),
        _ if port.parse::<u16>().is_ok() => None,
        _ if port.chars().all(|c| c.is_ascii_digit()) => Some("the port is larger than 65535: write \"0.0.0.0:8080\""),
        _ => Some("the port is not a number: write \"0.0.0.0:8080\""),
    }
}

fn host_mistake(host: &str) -> Option<&'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        let (address, zone) = inner.trim_end_matches(']').split_once('%').unwrap_or((inner.trim_end_matches(']'), ""));
        return match (address.parse::<Ipv6Addr>(), inner.ends_with(']')) {
            (_, false) => Some("the IPv6 address has no closing bracket: write \"[::]:8080\""),
            (Err(_), true) => Some("the text in brackets is not an IPv6 address: write \"[::]:8080\""),
            (Ok(_), true) if !zone.is_empty() => {
                Some("write the number of the interface after `%`, as in \"[fe80::1%2]:8080\": `ip link` lists the numbers")
            }
            // With a port that is not one.
            (Ok(_), true) => None,
        };
    }
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    Some(match host {
        "" => "the host before the port is missing: write \"0.0.0.0:8080\", or \"[::]:8080\" with IPv6",
        "*" | "+" => "`*` is not an address: write \"0.0.0.0:8080\", or \"[::]:8080\" with IPv6",
        _ if host.contains(':') => "an IPv6 address needs brackets: write \"[::1]:8080\"",
        _ if host.contains(',') => "only one address can be listened on: write \"0.0.0.0:8080\" or \"[::]:8080\" for all interfaces",
        _ if host.contains('@') => "an address has no user: write \"0.0.0.0:8080\"",
        _ if !host.is_ascii() => "a host name has ASCII letters only: write the IP address",
        _ if !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) => {
            "not an address to listen on: write \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\""
        }
        _ if host.len() > 253 || labels.iter().any(|label| label.is_empty() || label.len() > 63) => {
            "no host has such a name: write the IP address, as in \"0.0.0.0:8080\""
        }
        _ if labels.last().is_some_and(|label| is_number(label)) && !is_ipv4(&labels) => {
            "not an IPv4 address, which has four numbers up to 255: write \"0.0.0.0:8080\""
        }
        _ => return None,
    })
}

/// A number as `inet_aton` reads it: decimal, octal or hexadecimal.
fn number(label: &str) -> Option<u64> {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None if label.len() > 1 && label.starts_with('0') => u64::from_str_radix(label, 8).ok(),
        None => label.parse().ok(),
    }
}

fn is_number(label: &str) -> bool {
    label.chars().all(|c| c.is_ascii_digit()) || number(label).is_some()
}

/// Whether `inet_aton`, which every resolver asks first, reads this: one to four numbers, and the last fills the rest of the address.
fn is_ipv4(labels: &[&str]) -> bool {
    let numbers: Option<Vec<u64>> = labels.iter().map(|label| number(label)).collect();
    let Some(numbers) = numbers.filter(|numbers| (1..=4).contains(&numbers.len())) else { return false };
    let rest = 8 * (5 - numbers.len());
    numbers.split_last().is_some_and(|(last, before)| before.iter().all(|number| *number < 256) && last >> rest == 0)
}

/// Whether two valid addresses cannot be listened on at once: the same port, and the same host or all hosts of the same family.
pub(super) fn collide(one: &str, other: &str) -> bool {
    let (Some((host, port)), Some((other_host, other_port))) = (one.rsplit_once(':'), other.rsplit_once(':')) else { return false };
    let port = port.parse::<u16>().ok().filter(|port| *port != 0);
    if port.is_none() || port != other_port.parse().ok() {
        return false;
    }
    let address = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    match (address(host), address(other_host)) {
        (Some(one), Some(other)) => one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified())),
        _ => host == other_host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::ToSocketAddrs;

    #[test]
    fn what_the_system_can_listen_on_is_accepted() {
        for address in [
            "0.0.0.0:8080",
            "127.0.0.1:0",
            "[::]:8080",
            "[fe80::1%2]:8080",
            "[::ffff:127.0.0.1]:8080",
            "localhost:8080",
            "127.1:8080",
            "0:8080",
            "0x7f000001:8080",
            "127.0.0.010:8080",
        ] {
            assert_eq!(mistake(address), None, "{address}");
            assert!(address.to_socket_addrs().is_ok(), "the resolver of this machine does not know {address}");
        }
        for address in ["my_host.internal:8080", "host-1:80", "db.:8080"] {
            assert_eq!(mistake(address), None, "{address}");
        }
    }

    #[test]
    fn what_no_system_can_listen_on_is_refused_with_what_to_write() {
        for (address, expected) in [
            ("", "is empty"),
            (" 0.0.0.0:8080", "blanks around it"),
            ("*:8080", "`*` is not an address"),
            ("http://0.0.0.0:8080", "no scheme"),
            (":8080", "the host before the port is missing"),
            ("8080", "a port alone"),
            ("localhost", "the port is missing"),
            ("localhost:", "the port after the last `:`"),
            ("0.0.0.0:http", "not a number"),
            ("0.0.0.0:65536", "larger than 65535"),
            ("0.0.0.0:8080/health", "a host and a port alone"),
            ("/run/allswell.sock", "a host and a port alone"),
            ("::1:8080", "the IPv6 address in brackets"),
            ("fe80::1:2:3:4:5:8080:x:80", "needs brackets"),
            ("::", "[::]:8080"),
            ("[fe80::1%eth0]:8080", "the number of the interface"),
            ("[localhost]:8080", "the text in brackets is not"),
            ("[::1:8080", "no closing bracket"),
            ("[::1]:x", "not a number"),
            ("256.0.0.1:8080", "not an IPv4 address"),
            ("1.2.3.4.5:8080", "not an IPv4 address"),
            ("09.0.0.1:8080", "not an IPv4 address"),
            ("a..b:8080", "no host has such a name"),
            ("bücher:8080", "ASCII letters only"),
            ("0.0.0.0,127.0.0.1:8080", "only one address"),
            ("${HOST}:8080", "not an address"),
        ] {
            assert!(mistake(address).is_some_and(|message| message.contains(expected)), "{address}: {:?}", mistake(address));
        }
    }

    #[test]
    fn two_listeners_collide_on_one_port() {
        for (one, other) in [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:80", "[::1]:80"), ("localhost:80", "localhost:80")] {
            assert!(collide(one, other) && collide(other, one), "{one}, {other}");
        }
        for (one, other) in [("0.0.0.0:8080", "0.0.0.0:8081"), ("127.0.0.1:80", "127.0.0.2:80"), ("0.0.0.0:0", "0.0.0.0:0")] {
            assert!(!collide(one, other), "{one}, {other}");
        }
    }
}
