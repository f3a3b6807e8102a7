//! `memcached`, against a real server.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server, folder,
        hostile::{BlackHole, Hostile},
        memcached, memcached_says,
        proxy::Proxy,
        tls_front, twemproxy,
    },
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, Instant},
};

/// A table for a port, with more keys.
fn table(port: u16, more: &str) -> String {
    format!("kind = \"memcached\"\naddress = \"127.0.0.1:{port}\"\n{more}")
}

/// A number of a server's statistics.
fn stat(server: &Server, name: &str) -> u64 {
    let stats = memcached_says(server.port, "stats\r\n", "END");
    let value = stats.lines().find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no number {name}: {stats}"))
}

#[test]
fn a_pass_observes_version_memory_and_connections() {
    let server = memcached(&[]);
    let observed = Probed::new(&table(server.port, "")).pass();
    let values = observed.values();
    assert!(values["server_version"].as_str().is_some_and(|version| version.starts_with("1.")), "{observed:?}");
    assert_eq!((&values["evictions"], &values["used_bytes"], &values["limit_bytes"]), (&0.into(), &0.into(), &(64 << 20).into()));
    assert!(values["curr_connections"].as_u64().is_some_and(|connections| connections > 0), "{observed:?}");
}

#[test]
fn a_key_that_was_written_is_deleted() {
    let server = memcached(&[]);
    Probed::new(&table(server.port, "write = true")).pass();
    assert_eq!(Probed::new(&table(server.port, "")).observed("used_bytes"), 0);
}

#[test]
fn a_paused_server_is_a_timeout_and_a_killed_one_unreachable() {
    let mut server = memcached(&[]);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

#[test]
fn each_failure_has_its_class_and_message() {
    let server = memcached(&[]);
    let (hole, folder) = (BlackHole::new(), tempfile::tempdir().expect("a folder"));
    let cut = Proxy::to(server.port);
    cut.cut_after(3);
    let front = tls_front(server.port, &Certificates::new(folder.path()));
    let nonsense = "the reply is not in the memcached protocol";
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("black hole", table(hole.port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(Hostile::silent().port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", table(Hostile::hanging_up().port(), ""), "unreachable", "connection closed before a reply"),
        Case::new("another protocol", table(Hostile::babbling().port(), ""), "protocol", nonsense),
        Case::new("another text protocol", table(Hostile::answering("HTTP/1.1 400 Bad Request\r\n\r\n").port(), ""), "protocol", nonsense),
        Case::new(
            "another key",
            table(Hostile::answering("VALUE another 0 1\r\nx\r\nEND\r\n").port(), ""),
            "protocol",
            "the server replied with another key",
        ),
        Case::new("an endless line", table(Hostile::endless(b"VERSION ", b"1").port(), ""), "protocol", "the reply is too long"),
        Case::new(
            "endless lines",
            table(Hostile::endless(b"VALUE allswell:probe 0 1\r\n", b"x\r\n").port(), ""),
            "protocol",
            "the reply is too long",
        ),
        Case::new("breaks off", table(cut.port, ""), "protocol", "the connection was closed in the middle of a reply"),
        Case::new("plain to a TLS port", table(front, ""), "protocol", "the server expects TLS, but the connection was plaintext"),
    ]);
}

#[test]
fn a_probe_costs_one_round_trip_on_a_kept_connection() {
    let server = memcached(&[]);
    let proxy = Proxy::to(server.port);
    for write in ["", "write = true"] {
        let probed = Probed::new(&table(proxy.port, write));
        probed.pass();
        let sets = stat(&server, "cmd_set");
        let (connections, round_trips) = (proxy.connections(), proxy.round_trips());
        probed.passes(100);
        assert_eq!((proxy.connections(), proxy.round_trips()), (connections, round_trips + 100));
        assert_eq!(stat(&server, "cmd_set") - sets, if write.is_empty() { 0 } else { 100 });
    }
}

#[test]
fn a_dropped_probe_leaves_no_connection_or_key_behind() {
    let server = memcached(&[]);
    // The server lists the address of each connection, and its own for the listener.
    let listener = format!(":{}", server.port);
    let clients = || {
        let connections = memcached_says(server.port, "stats conns\r\n", "END");
        connections.lines().filter(|line| line.contains(":addr ") && !line.trim_end().ends_with(&listener)).count()
    };
    let fresh = Probed::new(&table(server.port, "write = true\nconnection = \"fresh\""));
    let probed = Probed::new(&table(server.port, "write = true"));
    fresh.drop_at_every_await(false, 2);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    eventually("only the kept connection and that of this test are left", || (clients() == 2).then_some(()));
    assert_eq!(stat(&server, "curr_items"), 0);
}

#[test]
fn a_server_without_free_connections_is_exhausted() {
    let server = memcached(&["-c", "40", "-t", "1"]);
    let mut held = Vec::new();
    eventually("no connection is free", || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        let _ = stream.write_all(b"version\r\n");
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).unwrap_or(0);
        held.push(stream);
        answer[..read].starts_with(b"ERROR").then_some(())
    });
    assert_failures(&[Case::new("no slots", table(server.port, ""), "exhausted", "the server's connection limit is reached")]);
    drop(held);
    let probed = Probed::new(&table(server.port, "write = true"));
    eventually("connections are free again", || probed.probe().ok());
}

#[test]
fn a_server_out_of_memory_is_exhausted() {
    // The server evicts nothing, and its items have the size of ours, so that they take memory of the same slab.
    let full = memcached(&["-m", "2", "-M"]);
    let probed = Probed::new(&table(full.port, "write = true"));
    probed.pass();
    let sets: Vec<String> = (0..40_000).map(|key| format!("set another0:{key:016x} 0 0 16 noreply\r\n{key:016x}\r\n")).collect();
    memcached_says(full.port, &(sets.concat() + "mn\r\n"), "MN");
    assert_failures(&[Case::new("no memory", table(full.port, "write = true"), "exhausted", "the server is out of memory")]);
    Probed::new(&table(full.port, "")).pass();
}

#[test]
fn a_server_that_requires_a_login_is_rejected() {
    let users = tempfile::NamedTempFile::new().expect("a file");
    fs::write(users.path(), "app:secret\n").expect("a file");
    fs::set_permissions(users.path(), PermissionsExt::from_mode(0o644)).expect("permissions");
    let server = memcached(&["-Y", &users.path().display().to_string()]);
    let sentence = "the server requires authentication, which this check does not support";
    assert_failures(&[Case::new("a login", table(server.port, ""), "rejected", sentence)]);
}

const UNREACHED: &str = "the proxy cannot reach a memcached server";

#[test]
fn a_proxy_that_closes_the_connection_at_stats_passes_while_it_reaches_a_server() {
    let mut server = memcached(&[]);
    let twemproxy = twemproxy(server.port, &[]);
    let probed = ["", "write = true"].map(|more| {
        let counted = Proxy::to(twemproxy.port);
        let probed = Probed::new(&table(counted.port, more));
        probed.passes(10);
        assert_eq!(counted.connections(), 2, "`stats` has cost one, and is left out since");
        probed
    });
    server.kill();
    for probed in &probed {
        assert_eq!(probed.fail().message(), UNREACHED);
    }
    assert_failures(&[
        Case::new("reads", table(twemproxy.port, ""), "unhealthy", UNREACHED),
        Case::new("writes", table(twemproxy.port, "write = true"), "unhealthy", UNREACHED),
    ]);
}

#[test]
fn statistics_that_are_never_answered_cost_neither_the_verdict_nor_the_timeout() {
    let server = memcached(&[]);
    let proxy = Proxy::replacing(server.port, b"version\r\nstats\r\n", b"");
    let probed = Probed::new(&table(proxy.port, "write = true"));
    let start = Instant::now();
    probed.passes(10);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(proxy.connections(), 2, "the connection with the open question is not used again");
    let dropped = Probed::new(&table(proxy.port, ""));
    dropped.drop_at_every_await(false, 1);
    dropped.passes(3);
}

#[test]
fn a_restart_of_the_server_does_not_cost_the_observed_values() {
    let mut server = memcached(&[]);
    let probed = Probed::new(&table(server.port, ""));
    for _ in 0..2 {
        probed.pass();
        server.kill();
        server.restart();
        for _ in 0..3 {
            assert!(probed.pass().values().contains_key("server_version"));
        }
    }
}

#[test]
fn a_server_that_accepts_no_new_connections_warns_on_the_kept_one() {
    let server = memcached(&["-c", "40", "-t", "1", "-o", "no_maxconns_fast"]);
    let probed = Probed::new(&table(server.port, ""));
    probed.pass();
    let mut held = Vec::new();
    let warning = eventually("no connection is free", || {
        held.push(TcpStream::connect(("127.0.0.1", server.port)).expect("a connection"));
        probed.pass().warning().map(str::to_owned)
    });
    assert_eq!(warning, "the server accepts no new connections: its connection limit is reached");
    let limited = table(server.port, "timeout = \"1s\"");
    assert_failures(&[Case::new("a new connection", limited, "timeout", "no answer within 1s")]);
}

#[test]
fn a_unix_socket_and_a_name_are_addresses_too() {
    let directory = folder();
    // The server is started as another user.
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).expect("permissions");
    let socket = directory.path().join("memcached.sock");
    let path = socket.display().to_string();
    let mut server = Command::new("memcached").args(["-u", "nobody", "-s", &path]).spawn().expect("memcached");
    eventually("the server listens", || socket.exists().then_some(()));
    for address in [format!("unix:{path}"), path.clone()] {
        Probed::new(&format!("kind = \"memcached\"\naddress = \"{address}\"\nwrite = true")).passes(2);
    }
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    let gone = format!("kind = \"memcached\"\naddress = \"unix:{path}\"");
    assert_failures(&[Case::new("killed", gone, "unreachable", "connection refused")]);
    // The server listens at 127.0.0.1 only: `localhost` is ::1 as well on many hosts.
    let server = memcached(&[]);
    Probed::new(&table(server.port, "").replace("127.0.0.1", "localhost")).pass();
}
