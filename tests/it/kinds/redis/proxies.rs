//! Redis behind proxies, and servers that do not answer INFO.

use super::{PASSWORD, calls, info, set_user, table, table_of};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{Server, envoy_for_redis, folder, proxy::Proxy, redis, redis_with, twemproxy},
};
use std::time::{Duration, Instant};

/// INFO as the check sends it.
const INFO: &[u8] = b"*1\r\n$4\r\nINFO\r\n";

const UNREACHED: &str = "the proxy cannot reach a Redis server";

fn without_password() -> Server {
    redis_with(folder(), "", &[])
}

/// A table without a password, with more keys.
fn open_table(port: u16, more: &str) -> String {
    format!("kind = \"redis\"\nurl = \"redis://127.0.0.1:{port}\"\n{more}")
}

#[test]
fn a_proxy_that_closes_the_connection_at_info_passes() {
    let server = without_password();
    let twemproxy = twemproxy(server.port, &["redis: true"]);
    for more in ["", "write = true"] {
        let counted = Proxy::to(twemproxy.port);
        let probed = Probed::new(&open_table(counted.port, more));
        let observed = probed.pass();
        assert!(!observed.values().contains_key("server_version"), "{observed:?}");
        probed.passes(10);
        assert_eq!(counted.connections(), 2, "INFO has cost one, and is left out since");
    }
    assert_eq!(server.redis_cli("", &["DBSIZE"]).trim(), "0");
}

#[test]
fn a_proxy_without_a_server_fails_although_it_answers_ping() {
    let mut server = without_password();
    let (twemproxy, envoy) = (twemproxy(server.port, &["redis: true"]), envoy_for_redis(server.port, ""));
    let probed = [&twemproxy, &envoy].map(|proxy| Probed::new(&open_table(proxy.port, "")));
    eventually("both proxies reach the server", || probed.iter().all(|probed| probed.probe().is_ok()).then_some(()));
    server.kill();
    for (port, more) in [(twemproxy.port, ""), (twemproxy.port, "write = true"), (envoy.port, ""), (envoy.port, "write = true")] {
        let failure = Probed::new(&open_table(port, more)).fail();
        assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", UNREACHED));
    }
    for probed in probed {
        assert_eq!(probed.fail().message(), UNREACHED);
    }
}

#[test]
fn envoy_passes_with_what_it_reports_of_its_servers() {
    let server = without_password();
    let envoy = envoy_for_redis(server.port, "");
    let probed = Probed::new(&open_table(envoy.port, "write = true"));
    let observed = eventually("Envoy reaches the server", || probed.probe().ok());
    assert!(observed.values().contains_key("server_version"), "{observed:?}");
    let resp3 = format!("kind = \"redis\"\nurl = \"redis://127.0.0.1:{}?protocol=3\"", envoy.port);
    let sentence = "the server does not support RESP3: write `protocol=2` in the URL";
    assert_failures(&[Case::new("RESP3", resp3, "rejected", sentence)]);
}

#[test]
fn a_proxy_with_a_password_rejects_others() {
    let server = redis(PASSWORD);
    let auth = format!("redis_auth: {PASSWORD}");
    let twemproxy = twemproxy(server.port, &["redis: true", &auth]);
    // Envoy itself would need the server's password.
    let (open, downstream) = (without_password(), format!("downstream_auth_passwords: [{{inline_string: {PASSWORD}}}]"));
    let envoy = envoy_for_redis(open.port, &downstream);
    for proxy in [&twemproxy, &envoy] {
        let wrong = table(proxy.port, "").replace(PASSWORD, "wrong");
        assert_failures(&[
            Case::new("no password", open_table(proxy.port, ""), "rejected", "the server requires a password"),
            Case::new("password", wrong, "rejected", "the credentials are not accepted"),
        ]);
        let probed = Probed::new(&table(proxy.port, "write = true"));
        eventually("the proxy reaches the server", || probed.probe().ok());
    }
}

#[test]
fn what_needs_info_fails_where_a_proxy_closes_the_connection_at_it() {
    let server = without_password();
    let twemproxy = twemproxy(server.port, &["redis: true"]);
    let sentence = "the server or a proxy closes the connection at INFO, which this check needs";
    assert_failures(&[Case::new("role", open_table(twemproxy.port, "role = \"primary\""), "unhealthy", sentence)]);
}

#[test]
fn info_that_is_never_answered_costs_neither_the_verdict_nor_the_timeout() {
    let server = redis(PASSWORD);
    let proxy = Proxy::replacing(server.port, INFO, b"");
    let probed = Probed::new(&table(proxy.port, ""));
    let start = Instant::now();
    assert!(!probed.pass().values().contains_key("role"));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    // The connection with the open question is not used again; INFO is left out from now on.
    probed.passes(10);
    assert_eq!(proxy.connections(), 2);
    assert!(calls(&server, "get") >= 10, "GET shows that there is a server");
}

#[test]
fn a_probe_that_was_dropped_while_it_waited_for_info_leaves_it_out_next_time() {
    let server = redis(PASSWORD);
    let proxy = Proxy::replacing(server.port, INFO, b"");
    let probed = Probed::new(&table(proxy.port, ""));
    probed.drop_at_every_await(false, 1);
    let start = Instant::now();
    probed.passes(5);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_does_not_know_info_passes_if_it_answers_get() {
    let server = redis(PASSWORD);
    let proxy = Proxy::replacing(server.port, INFO, b"*1\r\n$6\r\nNOSUCH\r\n");
    let probed = Probed::new(&table(proxy.port, ""));
    probed.passes(3);
    assert_eq!((proxy.connections(), calls(&server, "get")), (1, 3));
    let sentence = "the server does not support a command of this check";
    assert_failures(&[Case::new("role", table(proxy.port, "role = \"primary\""), "unhealthy", sentence)]);
}

#[test]
fn info_that_the_user_may_not_run_is_asked_once_only() {
    let server = redis(PASSWORD);
    set_user(&server, "mute", &["+ping"]);
    let probed = Probed::new(&table_of("mute", server.port, 0, ""));
    probed.passes(10);
    let log = server.redis_cli(PASSWORD, &["ACL", "LOG"]);
    let count = log.lines().skip_while(|line| *line != "count").nth(1);
    assert_eq!((count, log.matches("context").count()), (Some("1"), 1), "{log}");
}

#[test]
fn a_restart_of_the_server_does_not_cost_the_observed_values() {
    let mut server = redis(PASSWORD);
    let probed = Probed::new(&table(server.port, ""));
    probed.pass();
    server.kill();
    assert_eq!(probed.fail().message(), "connection refused");
    server.restart();
    for _ in 0..3 {
        assert_eq!(probed.observed("role"), "primary");
    }
    server.kill();
    server.restart();
    // The kept connection is dead, and INFO is not to blame.
    for _ in 0..3 {
        assert_eq!(probed.observed("role"), "primary");
    }
    assert_eq!(info(&server, "clients", "connected_clients"), "2");
}
