//! `rabbitmq`, against a real broker.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, SHARED_BROKER as BROKER, SHARED_PASSWORD as PASSWORD,
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        rabbitmq, tls_front, tls_front_for_known_clients,
    },
};

/// A table for the user `app` and the vhost `/` on a port, with more keys.
fn table(port: u16, more: &str) -> String {
    on_vhost(port, "", more)
}

/// The same for a vhost.
fn on_vhost(port: u16, vhost: &str, more: &str) -> String {
    format!("kind = \"rabbitmq\"\nurl = \"amqp://app:{PASSWORD}@127.0.0.1:{port}/{vhost}\"\n{more}")
}

fn encrypted(host: &str, port: u16, more: &str) -> String {
    format!("kind = \"rabbitmq\"\nurl = \"amqps://app:{PASSWORD}@{host}:{port}/\"\n{more}")
}

#[test]
fn a_paused_broker_is_a_timeout_and_a_killed_one_unreachable() {
    let mut broker = rabbitmq(PASSWORD);
    broker.pause();
    assert_failures(&[Case::new("paused", table(broker.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    broker.resume();
    broker.kill();
    assert_failures(&[Case::new("killed", table(broker.port, ""), "unreachable", "connection refused")]);
}

#[test]
fn a_vhost_without_free_connections_is_exhausted() {
    BROKER.add_vhost("full", &[]);
    BROKER.rabbitmqctl(&["set_vhost_limits", "-p", "full", r#"{"max-connections": 0}"#]);
    assert_failures(&[Case::new("no slots", on_vhost(BROKER.port, "full", ""), "exhausted", "the server's connection limit is reached")]);
}

#[test]
fn each_failure_has_its_class_and_message() {
    BROKER.add_queue("invoices");
    let (hole, port) = (BlackHole::new(), BROKER.port);
    let cut = Proxy::to(port);
    cut.cut_after(100);
    let url = |url: &str| format!("kind = \"rabbitmq\"\nurl = \"{url}\"");
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("black hole", table(hole.port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(Hostile::silent().port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", table(Hostile::hanging_up().port(), ""), "unreachable", "connection closed before a reply"),
        Case::new("another protocol", table(Hostile::babbling().port(), ""), "protocol", "the reply is not AMQP 0-9-1"),
        Case::new("endless", table(Hostile::endless(b"", b"\x01\0\0\0\0").port(), ""), "protocol", "the reply is not AMQP 0-9-1"),
        Case::new("breaks off", table(cut.port, ""), "protocol", "the connection was closed in the middle of a reply"),
        Case::new("TLS to a plain port", encrypted("127.0.0.1", port, ""), "tls", "the port does not speak TLS"),
        Case::new("password", url(&format!("amqp://app:wrong@127.0.0.1:{port}/")), "rejected", "the credentials are not accepted"),
        Case::new(
            "vhost",
            url(&format!("amqp://app:{PASSWORD}@127.0.0.1:{port}/none")),
            "rejected",
            "the vhost does not exist, or the user may not access it",
        ),
        Case::new("queue", table(port, "queues = [\"invoices\", \"none\"]"), "unhealthy", "there is no queue none"),
        Case::new(
            "consumers",
            table(port, "queues = [\"invoices\"]\nmin_consumers = 1"),
            "unhealthy",
            "0 consumers of the queue invoices, fewer than 1",
        ),
    ]);
}

#[test]
fn the_certificate_of_the_broker_is_verified() {
    let (folder, old) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (good, expired) = (Certificates::new(folder.path()), Certificates::expired(old.path()));
    let trusting = |certificates: &Certificates| format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let (front, old_front) = (tls_front(BROKER.port, &good), tls_front(BROKER.port, &expired));
    let known = tls_front_for_known_clients(BROKER.port, &good);
    let ours =
        format!("tls.client_certificate_file = \"{}\"\ntls.client_key_file = \"{}\"\n", good.certificate.display(), good.key.display());
    assert_failures(&[
        Case::new("plain to a TLS port", table(front, ""), "protocol", "the server expects TLS, but the connection was plaintext"),
        Case::new("unknown CA", encrypted("localhost", front, ""), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", encrypted("127.0.0.1", front, &trusting(&good)), "tls", "the certificate is for another name"),
        Case::new("expired", encrypted("localhost", old_front, &trusting(&expired)), "tls", "the certificate has expired"),
        Case::new(
            "no certificate of ours",
            encrypted("localhost", known, &trusting(&good)),
            "tls",
            "the server requires a client certificate",
        ),
        Case::new(
            "no such file",
            encrypted("localhost", front, "tls.ca_file = \"/none\""),
            "tls",
            "the file in `tls.ca_file` does not exist",
        ),
    ]);
    Probed::new(&encrypted("localhost", front, &trusting(&good))).pass();
    Probed::new(&encrypted("127.0.0.1", front, &format!("{}tls.server_name = \"localhost\"", trusting(&good)))).pass();
    Probed::new(&encrypted("localhost", known, &(trusting(&good) + &ours))).pass();
}

#[test]
fn a_user_without_any_permission_suffices() {
    BROKER.add_vhost("restricted", &["invoices"]);
    BROKER.rabbitmqctl(&["add_user", "probe", "probe-password"]);
    BROKER.rabbitmqctl(&["set_permissions", "-p", "restricted", "probe", "^$", "^$", "^$"]);
    let url = format!("amqp://probe:probe-password@127.0.0.1:{}/restricted", BROKER.port);
    let observed = Probed::new(&format!("kind = \"rabbitmq\"\nurl = \"{url}\"\nqueues = [\"invoices\"]\nwarn_messages = 1")).pass();
    assert_eq!(observed.values()["queues"]["invoices"], serde_json::json!({ "messages": 0, "consumers": 0 }));
    assert!(observed.values()["server_version"].as_str().is_some_and(|version| version.starts_with("3.")), "{observed:?}");
}

#[test]
fn more_waiting_messages_than_the_limit_warn_or_fail() {
    BROKER.add_vhost("waiting", &["invoices"]);
    let limited = |limit: &str| Probed::new(&on_vhost(BROKER.port, "waiting", &format!("queues = [\"invoices\"]\n{limit}_messages = 1")));
    let (warning, failing) = (limited("warn"), limited("fail"));
    assert_eq!(warning.pass().warning(), None);
    BROKER.publish("waiting", "invoices", &["one", "two"]);
    eventually("two messages wait", || {
        (warning.pass().warning() == Some("2 messages wait in the queue invoices, more than 1")).then_some(())
    });
    let failure = failing.fail();
    assert_eq!(failure.message(), "2 messages wait in the queue invoices, more than 1");
    assert_eq!(failure.values()["queues"]["invoices"]["messages"], 2);
}

#[test]
fn a_probe_costs_one_round_trip_on_a_kept_connection() {
    BROKER.add_vhost("cost", &["invoices"]);
    let proxy = Proxy::to(BROKER.port);
    for queues in ["", "queues = [\"invoices\", \"invoices\"]"] {
        let probed = Probed::new(&on_vhost(proxy.port, "cost", queues));
        probed.pass();
        let (connections, before) = (proxy.connections(), proxy.round_trips());
        probed.passes(100);
        assert_eq!(proxy.connections(), connections, "the connection is kept");
        // The proxy may count two frames that are sent in a row as two round trips, and it counts heartbeats.
        let round_trips = proxy.round_trips() - before;
        assert!((100..180).contains(&round_trips), "{round_trips} round trips");
    }
}

#[test]
fn a_dropped_probe_leaves_no_connection_channel_or_queue_behind() {
    BROKER.add_vhost("dropped", &["invoices"]);
    let probed = Probed::new(&on_vhost(BROKER.port, "dropped", "queues = [\"invoices\"]"));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    eventually("only the kept connection, with one channel, is left", || {
        let connections = BROKER.rabbitmqctl(&["list_connections", "--quiet", "--no-table-headers", "vhost", "channels"]);
        let left: Vec<&str> = connections.lines().filter_map(|line| line.strip_prefix("dropped\t")).collect();
        (left == ["1"]).then_some(())
    });
    let queues = BROKER.rabbitmqctl(&["list_queues", "-p", "dropped", "--quiet", "--no-table-headers", "name"]);
    assert_eq!(queues.trim(), "invoices");
}
