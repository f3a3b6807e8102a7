//! Machines with one address family, and machines without a resolver.

use super::{may_have, ran, within};
use crate::helpers::{Allswell, Ran};
use std::time::{Duration, Instant};

const NAMESPACE: &[&str] = &["--net"];
const RUN: &str = "exec \"$0\" \"$@\"";
/// A pair of interfaces: the side of the machine has the address.
const PAIR: &str = "ip link set lo up; ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip link set veth1 up;";

/// Starts the service in a network of its own after a script, requests URLs, and returns the status codes and the log.
fn requested(script: &str, listen: &str, urls: &[&str]) -> (Vec<String>, String) {
    let requests: Vec<_> = urls.iter().map(|url| format!("curl -gs -m 5 -o /dev/null -w '%{{http_code}} ' '{url}' || true;")).collect();
    let wait = "for i in $(seq 300); do grep -q '\"listening\"\\|error' log && break; sleep 0.1; done;";
    let script = format!(
        "{script} printf '[log]\\nformat = \"json\"\\n[server]\\ndrain = \"0s\"\\n' >allswell.toml; \"$0\" serve --listen '{listen}' 2>log & {wait} {} kill $!; cat log >&2",
        requests.concat()
    );
    let Ran { stdout, stderr, .. } = ran(&within(NAMESPACE, &script), "", &[]);
    (stdout.split_whitespace().map(str::to_owned).collect(), stderr)
}

#[test]
fn the_unspecified_address_of_ipv6_accepts_both_families_whatever_the_kernel_is_set_to() {
    if !may_have(NAMESPACE) {
        return;
    }
    for sysctl in ["bindv6only=0", "bindv6only=1"] {
        let script = format!("ip link set lo up; echo {} >/proc/sys/net/ipv6/bindv6only;", &sysctl[11..]);
        let (codes, log) = requested(&script, "[::]:8080", &["http://127.0.0.1:8080/health", "http://[::1]:8080/health"]);
        assert_eq!(codes, ["200", "200"], "{sysctl}: {log}");
    }
}

#[test]
fn a_machine_with_ipv6_alone_is_named_when_the_listener_accepts_ipv4_alone() {
    if !may_have(NAMESPACE) {
        return;
    }
    let ipv6_only = format!("{PAIR} ip addr add 2001:db8::2/64 dev veth0 nodad;");
    let urls = ["http://[2001:db8::2]:8080/health", "http://127.0.0.1:8080/health"];
    let warning =
        "server.listen: this machine has IPv6 addresses only, and 0.0.0.0 accepts IPv4 only: write \\\"[::]:8080\\\", which accepts both";
    let (codes, log) = requested(&ipv6_only, "0.0.0.0:8080", &urls);
    assert_eq!(codes, ["000", "200"], "{log}");
    assert!(log.contains(warning), "{log}");
    let (codes, log) = requested(&ipv6_only, "[::]:8080", &urls);
    assert_eq!(codes, ["200", "200"], "{log}");
    assert!(!log.contains("addresses only"), "{log}");
    for (script, url) in [
        (format!("{ipv6_only} ip addr add 192.0.2.2/24 dev veth0;"), "http://192.0.2.2:8080/health"),
        ("ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6;".to_owned(), "http://127.0.0.1:8080/health"),
    ] {
        let (codes, log) = requested(&script, "0.0.0.0:8080", &[url]);
        assert_eq!((codes.concat().as_str(), log.contains("addresses only")), ("200", false), "{script}: {log}");
    }
}

#[test]
fn without_ipv6_the_error_says_what_to_write() {
    if !may_have(NAMESPACE) {
        return;
    }
    // As `ipv6.disable=1` of the kernel does, and `RestrictAddressFamilies=AF_INET` of systemd: there is no socket of this family.
    let filter = "import ctypes, os, struct, sys; libc = ctypes.CDLL(None, use_errno=True); \
                  code = b''.join(struct.pack('HBBI', *line) for line in [(0x20, 0, 0, 0), (0x15, 0, 3, 41), (0x20, 0, 0, 16), (0x15, 0, 1, 10), \
                  (0x06, 0, 0, 0x50061), (0x06, 0, 0, 0x7fff0000)]); buffer = ctypes.create_string_buffer(code, len(code)); \
                  program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(code) // 8, ctypes.addressof(buffer))); \
                  libc.prctl(38, 1, 0, 0, 0); libc.prctl(22, 2, program, 0, 0) and sys.exit('no filter'); os.execv(sys.argv[1], sys.argv[1:])";
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let wrapper = ["/usr/bin/python3", "-c", filter].map(str::to_owned);
    let refused = ran(&wrapper, "", &["serve", "--listen", "[::]:8080"]);
    let expected = "error: server.listen: cannot listen on [::]:8080: Address family not supported by protocol (os error 97): this machine has IPv6 disabled: \
                    write \"0.0.0.0:PORT\", or \"127.0.0.1:PORT\" for this machine alone\n";
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.ends_with(expected), "{}", refused.stderr);
    let disabled = within(NAMESPACE, &format!("ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; {RUN}"));
    let failed = ran(&disabled, "[checks.v6]\nkind = \"tcp\"\naddress = \"[2001:db8::1]:9\"\n", &["check"]);
    assert!(failed.stdout.contains("unreachable: this machine has no local address or port for the connection"), "{}", failed.stdout);
}

const NAMES: &str = "[defaults]\ntimeout = \"2s\"\n[checks.own]\nkind = \"tcp\"\naddress = \"localhost:9\"\n[checks.name]\nkind = \"tcp\"\n\
                     address = \"db.internal:9\"\n[checks.db]\nkind = \"postgres\"\nurl = \"postgres://app:secret@db.internal/orders?sslmode=disable\"\n";

/// Replaces a file of the system by a text.
fn with_file(place: &str, text: &str) -> String {
    format!("printf '{text}' >file; touch {place}; mount --bind file {place}; rm file;")
}

#[test]
fn without_a_resolver_names_fail_soon_and_localhost_does_not_need_one() {
    if !may_have(NAMESPACE) {
        return;
    }
    let unresolved = "unreachable: the name cannot be resolved now: the DNS server does not answer, or answers with an error";
    let up = "ip link set lo up;";
    for (script, own) in [
        (up.to_owned(), "unreachable: connection refused"),
        (
            format!("{up} {}", with_file("/etc/resolv.conf", "nameserver 127.0.0.1\\nsearch a.test b.test c.test\\noptions ndots:5\\n")),
            "connection refused",
        ),
        (format!("{up} {}", with_file("/etc/hosts", "::1 localhost\\n")), "unreachable: connection refused"),
        (format!("{up} mount -t tmpfs none /etc;"), unresolved),
    ] {
        let checked = ran(&within(NAMESPACE, &format!("{script} {RUN}")), NAMES, &["check"]);
        let line =
            |name: &str| checked.stdout.lines().find(|line| line.split_whitespace().nth(1) == Some(name)).unwrap_or_default().to_owned();
        assert!(line("own").contains(own), "{script}: {}", checked.stdout);
        assert!(line("name").contains(unresolved) && line("db").contains(unresolved), "{script}: {}", checked.stdout);
    }
}

#[test]
fn a_silent_resolver_costs_a_timeout_and_one_thread_per_check() {
    if !may_have(NAMESPACE) {
        return;
    }
    // Packets to the address of the resolver are dropped: its neighbour never answers.
    let resolver = with_file("/etc/resolv.conf", "nameserver 192.0.2.53\\nsearch a.test b.test c.test\\noptions ndots:5\\n");
    let silent =
        format!("{PAIR} ip addr add 192.0.2.2/24 dev veth0; ip neigh add 192.0.2.53 lladdr 02:00:00:00:00:01 dev veth0; {resolver} {RUN}");
    let wrapper = within(NAMESPACE, &silent);
    let began = Instant::now();
    let checked = ran(&wrapper, NAMES, &["check"]);
    assert_eq!(checked.stdout.matches("timeout: no answer within 2s").count(), 2, "{}", checked.stdout);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let service = Allswell::start_by(&wrapper, &NAMES.replace("2s\"", "200ms\"\ninterval = \"250ms\""), &[]);
    let threads = || super::status_field(service.pid(), "Threads").and_then(|count| count.parse::<usize>().ok()).expect("it runs");
    std::thread::sleep(Duration::from_secs(2));
    let early = threads();
    std::thread::sleep(Duration::from_secs(4));
    assert!(threads() <= early + 1 && early < 16, "{early} threads, then {}", threads());
}

#[test]
fn a_name_that_does_not_resolve_is_no_address_to_listen_on() {
    let refused = ran(&[], "", &["serve", "--listen", "none.invalid:8080"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("the host name does not resolve here: write the IP address of an interface"), "{}", refused.stderr);
}

#[test]
fn all_local_ports_in_use_are_named() {
    if !may_have(NAMESPACE) {
        return;
    }
    // Two connections that stay open use all ports.
    let server = "import os, socket, sys\nlistener = socket.create_server(('127.0.0.1', 9))\n\
                  clients = [socket.create_connection(('127.0.0.1', 9)) for _ in range(2)]\n\
                  [os.set_inheritable(one.fileno(), True) for one in [listener, *clients]]\nos.execv(sys.argv[1], sys.argv[1:])";
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    let script = format!("ip link set lo up; echo 40000 40001 >{range}; exec python3 -c \"{server}\" \"$0\" \"$@\"");
    let failed = ran(&within(NAMESPACE, &script), "[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:9\"\n", &["check"]);
    assert!(
        failed.stdout.contains("unreachable: this machine has no local address or port for the connection"),
        "{}{}",
        failed.stdout,
        failed.stderr
    );
}
