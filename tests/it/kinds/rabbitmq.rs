//! `rabbitmq`, against a real broker.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server,
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        rabbitmq, tls_front, tls_front_for_known_clients,
    },
};

const PASSWORD: &str = "correct-horse";

/// A table for the user `app` on a port, with more keys.
fn table(port: u16, more: &str) -> String {
    format!("kind = \"rabbitmq\"\nurl = \"amqp://app:{PASSWORD}@127.0.0.1:{port}/\"\n{more}")
}

fn encrypted(host: &str, port: u16, more: &str) -> String {
    format!("kind = \"rabbitmq\"\nurl = \"amqps://app:{PASSWORD}@{host}:{port}/\"\n{more}")
}

/// A user with exactly the rights that the documentation asks for.
fn least(broker: &Server) {
    broker.rabbitmqctl(&["add_user", "probe", "probe-password"]);
    broker.rabbitmqctl(&["set_permissions", "-p", "/", "probe", "^$", "^$", "^$"]);
}

#[test]
fn everything_about_a_real_broker() {
    let mut broker = rabbitmq(PASSWORD);
    broker.rabbitmqctl(&[
        "eval",
        r#"rabbit_amqqueue:declare({resource, <<"/">>, queue, <<"invoices">>}, true, false, [], none, <<"app">>)."#,
    ]);
    failures(&broker);
    certificates(&broker);
    least_rights_and_observations(&broker);
    cost(&broker);
    dropped_probes_leave_nothing(&broker);

    broker.rabbitmqctl(&["set_vhost_limits", "-p", "/", r#"{"max-connections": 0}"#]);
    assert_failures(&[Case::new("no slots", table(broker.port, ""), "exhausted", "the server's connection limit is reached")]);
    broker.rabbitmqctl(&["clear_vhost_limits", "-p", "/"]);
    broker.pause();
    assert_failures(&[Case::new("paused", table(broker.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    broker.resume();
    broker.kill();
    assert_failures(&[Case::new("killed", table(broker.port, ""), "unreachable", "connection refused")]);
}

fn failures(broker: &Server) {
    let (hole, port) = (BlackHole::new(), broker.port);
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

fn certificates(broker: &Server) {
    let (folder, old) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (good, expired) = (Certificates::new(folder.path()), Certificates::expired(old.path()));
    let trusting = |certificates: &Certificates| format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let (front, old_front) = (tls_front(broker.port, &good), tls_front(broker.port, &expired));
    let known = tls_front_for_known_clients(broker.port, &good);
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
            "the file in `tls.ca_file` cannot be used",
        ),
    ]);
    Probed::new(&encrypted("localhost", front, &trusting(&good))).pass();
    Probed::new(&encrypted("127.0.0.1", front, &format!("{}tls.server_name = \"localhost\"", trusting(&good)))).pass();
    Probed::new(&encrypted("localhost", known, &(trusting(&good) + &ours))).pass();
}

fn least_rights_and_observations(broker: &Server) {
    least(broker);
    let port = broker.port;
    let url = format!("kind = \"rabbitmq\"\nurl = \"amqp://probe:probe-password@127.0.0.1:{port}/\"\n");
    let seen = Probed::new(&format!("{url}queues = [\"invoices\"]\nwarn_messages = 1")).pass();
    assert_eq!(seen.values()["queues"]["invoices"], serde_json::json!({ "messages": 0, "consumers": 0 }));
    assert!(seen.values()["server_version"].as_str().is_some_and(|version| version.starts_with("3.")), "{seen:?}");
    for message in ["one", "two"] {
        let publish = format!(r#"rabbit_basic:publish({{resource, <<"/">>, exchange, <<>>}}, <<"invoices">>, [], <<"{message}">>)."#);
        broker.rabbitmqctl(&["eval", &publish]);
    }
    let limited = Probed::new(&format!("{url}queues = [\"invoices\"]\nwarn_messages = 1"));
    eventually("two messages wait", || {
        (limited.pass().warning() == Some("2 messages wait in the queue invoices, more than 1")).then_some(())
    });
    let failure = Probed::new(&format!("{url}queues = [\"invoices\"]\nfail_messages = 1")).fail();
    assert_eq!(failure.message(), "2 messages wait in the queue invoices, more than 1");
    assert_eq!(failure.values()["queues"]["invoices"]["messages"], 2);
}

fn cost(broker: &Server) {
    let proxy = Proxy::to(broker.port);
    for queues in ["", "queues = [\"invoices\", \"invoices\"]"] {
        let probed = Probed::new(&table(proxy.port, queues));
        probed.pass();
        let (connections, before) = (proxy.connections(), proxy.round_trips());
        probed.passes(100);
        assert_eq!(proxy.connections(), connections, "a kept connection");
        // Two frames that leave one after the other may be counted as two, though nobody waited in between; and there are heartbeats.
        let made = proxy.round_trips() - before;
        assert!((100..180).contains(&made), "{made} round trips");
    }
}

fn dropped_probes_leave_nothing(broker: &Server) {
    let probed = Probed::new(&table(broker.port, "queues = [\"invoices\"]"));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    eventually("one connection, with one channel, is left", || {
        let connections = broker.rabbitmqctl(&["list_connections", "--quiet", "--no-table-headers", "channels"]);
        (connections.trim() == "1").then_some(())
    });
    let queues = broker.rabbitmqctl(&["list_queues", "--quiet", "--no-table-headers", "name"]);
    assert_eq!(queues.trim(), "invoices");
}
