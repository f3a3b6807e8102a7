//! `tcp`, against a real server that speaks first, and servers that misbehave.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        hostile::{BlackHole, Hostile},
        mariadb,
        proxy::Proxy,
    },
};

fn table(port: u16, more: &str) -> String {
    format!("kind = \"tcp\"\naddress = \"127.0.0.1:{port}\"\n{more}")
}

#[test]
fn a_paused_server_still_accepts_connections_but_sends_no_banner() {
    let server = mariadb("secret");
    server.pause();
    assert_failures(&[Case::new(
        "paused",
        table(server.port, "expect_banner = \"MariaDB\"\ntimeout = \"1s\""),
        "timeout",
        "no answer within 1s",
    )]);
    // The kernel accepts connections into the backlog.
    Probed::new(&table(server.port, "")).pass();
    server.resume();
}

#[test]
fn the_time_to_the_banner_is_observed_if_one_is_expected() {
    let server = Hostile::greeting(b"SSH-2.0\r\n");
    let observed = Probed::new(&table(server.port(), "expect_banner = \"SSH-2.0\"")).pass();
    assert!(observed.values()["banner_ms"].as_f64() >= observed.values()["connect_ms"].as_f64(), "{observed:?}");
    assert!(!Probed::new(&table(server.port(), "")).pass().values().contains_key("banner_ms"));
}

#[test]
fn each_failure_has_its_class_and_message() {
    let banner = "expect_banner = \"SSH-2.0\"\n";
    let port = |server: Hostile| server.port();
    let slow = "expect_banner = \"SSH-2.0\"\ntimeout = \"1s\"";
    let cut = Proxy::to(port(Hostile::greeting(b"SSH-1.99-old\r\n")));
    cut.cut_after(4);
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("refused, with a banner", table(1, banner), "unreachable", "connection refused"),
        Case::new("black hole", table(BlackHole::new().port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(port(Hostile::silent()), slow), "timeout", "no answer within 1s"),
        Case::new(
            "closes at once, as a proxy without a server",
            table(port(Hostile::closing()), ""),
            "unreachable",
            "the connection was accepted and closed at once: a proxy without a server behind it does this",
        ),
        Case::new("closes", table(port(Hostile::closing()), banner), "unreachable", "connection closed before a banner"),
        Case::new(
            "another banner",
            table(port(Hostile::greeting(b"220 mail\r\n")), banner),
            "unhealthy",
            "the banner does not contain the expected text",
        ),
        Case::new("breaks off", table(cut.port, banner), "unhealthy", "the banner does not contain the expected text"),
        Case::new(
            "resets in the middle",
            table(port(Hostile::greeting_and_resetting("SSH")), banner),
            "protocol",
            "the connection was closed in the middle of a reply",
        ),
        Case::new(
            "endless",
            table(port(Hostile::endlessly_greeting(b"SSH-1.99 ")), banner),
            "unhealthy",
            "the banner does not contain the expected text",
        ),
    ]);
}

#[test]
fn a_banner_may_come_slowly_or_within_endless_text() {
    let banner = "expect_banner = \"SSH-2.0\"\n";
    let port = |server: Hostile| server.port();
    Probed::new(&table(port(Hostile::greeting(b"SSH-2.0-slow\r\n")), banner)).pass();
    Probed::new(&table(port(Hostile::endlessly_greeting(b"and on SSH-2.0 and on ")), banner)).pass();
}

#[test]
fn a_probe_opens_one_connection_and_a_dropped_one_leaves_none() {
    let server = Hostile::greeting(b"SSH-2.0\r\n");
    for more in ["", "expect_banner = \"SSH-2.0\""] {
        let proxy = Proxy::to(server.port());
        let probed = Probed::new(&table(proxy.port, more));
        probed.passes(10);
        eventually("each probe has opened a connection", || (proxy.connections() == 10).then_some(()));
        // A loopback connection may be established at once; a banner that is sent byte by byte never is.
        probed.drop_at_every_await(false, usize::from(!more.is_empty()));
        eventually("no connection is left", || (proxy.open() == 0).then_some(()));
    }
}
