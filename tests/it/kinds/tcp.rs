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
fn everything_about_a_port() {
    let server = mariadb("secret");
    let version = Probed::new(&table(server.port, "expect_banner = \"MariaDB\""));
    let seen = version.pass();
    assert!(seen.values()["banner_ms"].as_f64() >= seen.values()["connect_ms"].as_f64(), "{seen:?}");
    let port = Probed::new(&table(server.port, ""));
    assert!(!port.pass().values().contains_key("banner_ms"));
    server.pause();
    assert_failures(&[Case::new(
        "paused",
        table(server.port, "expect_banner = \"MariaDB\"\ntimeout = \"1s\""),
        "timeout",
        "no answer within 1s",
    )]);
    // Its backlog still takes connections: that is all that the kind asks for without a banner.
    port.pass();
    server.resume();
}

#[test]
fn every_failure_has_its_class() {
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
            table(port(Hostile::endlessly_greeting("SSH-1.99 ")), banner),
            "unhealthy",
            "the banner does not contain the expected text",
        ),
    ]);
    Probed::new(&table(port(Hostile::greeting(b"SSH-2.0-slow\r\n")), banner)).pass();
    Probed::new(&table(port(Hostile::endlessly_greeting("and on SSH-2.0 and on ")), banner)).pass();
    Probed::new(&table(port(Hostile::silent()), "")).pass();
}

#[test]
fn a_probe_is_one_connection_and_leaves_none() {
    let server = Hostile::greeting(b"SSH-2.0\r\n");
    for more in ["", "expect_banner = \"SSH-2.0\""] {
        let proxy = Proxy::to(server.port());
        let probed = Probed::new(&table(proxy.port, more));
        probed.passes(10);
        eventually("every probe made a connection", || (proxy.connections() == 10).then_some(()));
        // A connection on this machine may be there at once; a banner, that comes a byte after the other, is not.
        probed.drop_at_every_await(false, usize::from(!more.is_empty()));
        eventually("no connection is left", || (proxy.open() == 0).then_some(()));
    }
}
