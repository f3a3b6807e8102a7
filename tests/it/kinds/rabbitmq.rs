//! `rabbitmq`, against a real broker.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, SHARED_BROKER as BROKER, SHARED_PASSWORD as PASSWORD,
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        rabbitmq, rabbitmq_member, tls_front, tls_front_for_known_clients,
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
        Case::new("vhost", url(&format!("amqp://app:{PASSWORD}@127.0.0.1:{port}/none")), "rejected", "the vhost does not exist"),
        Case::new("first queue", table(port, "queues = [\"none\", \"invoices\"]"), "unhealthy", "there is no queue none"),
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
fn another_protocol_is_named() {
    let replying = |words: &'static [u8]| Hostile::replying(move |_| words.to_vec());
    for (words, message) in [
        (&b"AMQP\0\x01\0\0"[..], "the server speaks AMQP 1.0, not AMQP 0-9-1"),
        (b"AMQP\x03\x01\0\0", "the server speaks AMQP 1.0, not AMQP 0-9-1"),
        (b"AMQP\x01\x01\0\x09", "the server speaks another version of AMQP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the port speaks HTTP, not AMQP"),
        (b"ERROR\nmessage:Bad command\n\n\0", "the port speaks STOMP, not AMQP"),
    ] {
        assert_failures(&[Case::new("another protocol", table(replying(words).port(), ""), "protocol", message)]);
    }
}

#[test]
fn the_reason_of_a_refused_login_is_named() {
    BROKER.add_vhost("stopped", &[]);
    BROKER.rabbitmqctl(&["eval", "rabbit_vhost_sup_sup:stop_and_delete_vhost(<<\"stopped\">>)."]);
    for (user, limits) in [("no-rights", ""), ("no-connections", r#"{"max-connections": 0}"#), ("no-channels", r#"{"max-channels": 0}"#)] {
        BROKER.rabbitmqctl(&["add_user", user, "pw"]);
        if !limits.is_empty() {
            BROKER.rabbitmqctl(&["set_permissions", "-p", "/", user, "^$", "^$", "^$"]);
            BROKER.rabbitmqctl(&["set_user_limits", user, limits]);
        }
    }
    let user = |user: &str| format!("kind = \"rabbitmq\"\nurl = \"amqp://{user}:pw@127.0.0.1:{}/\"", BROKER.port);
    assert_failures(&[
        Case::new("vhost down", on_vhost(BROKER.port, "stopped", ""), "unhealthy", "the vhost is down"),
        Case::new("no rights", user("no-rights"), "rejected", "the user may not access the vhost"),
        Case::new("connections", user("no-connections"), "exhausted", "the user's connection limit is reached"),
        Case::new("channels", user("no-channels"), "exhausted", "the user's channel limit is reached"),
    ]);
}

#[test]
fn a_user_with_a_single_channel_passes() {
    BROKER.add_vhost("single", &["invoices"]);
    BROKER.rabbitmqctl(&["add_user", "single", "pw"]);
    BROKER.rabbitmqctl(&["set_user_limits", "single", r#"{"max-channels": 1}"#]);
    let probed = |queues: &str| {
        let url = format!("amqp://single:pw@127.0.0.1:{}/single", BROKER.port);
        Probed::new(&format!("kind = \"rabbitmq\"\nurl = \"{url}\"\n{queues}")).passes(3);
    };
    BROKER.rabbitmqctl(&["set_permissions", "-p", "single", "single", "^$", ".*", ".*"]);
    probed("");
    probed("queues = [\"invoices\"]");
}

#[test]
fn a_queue_that_does_not_work_fails_for_its_reason() {
    let broker = rabbitmq(PASSWORD);
    let mut member = rabbitmq_member(PASSWORD, &broker);
    for queue in ["orders", "payments"] {
        member.add_replicated_queue("/", queue, "quorum");
    }
    member.add_queue("invoices");
    member.publish("/", "orders", &["one", "two", "three"]);
    let probed = |queue: &str, more: &str| Probed::new(&table(broker.port, &format!("queues = [\"{queue}\"]\n{more}")));
    let (orders, payments, invoices) = (probed("orders", "fail_messages = 5"), probed("payments", ""), probed("invoices", ""));
    eventually("the messages are counted", || (orders.pass().values()["queues"]["orders"]["messages"] == 3).then_some(()));
    payments.pass();
    invoices.pass();
    member.kill();
    for (queue, probed) in [("orders", orders), ("payments", payments)] {
        let failure = eventually("the broker has noticed that its member is gone", || {
            let failure = probed.probe().err()?;
            (failure.class().as_str() == "unhealthy").then_some(failure)
        });
        assert_eq!(failure.message(), format!("the queue {queue} has no leader: check that a majority of its nodes is running"));
    }
    assert_eq!(invoices.fail().message(), "the node of the queue invoices is down");
}

#[test]
fn a_quorum_queue_whose_only_member_is_stopped_fails() {
    BROKER.add_vhost("stopped-member", &[]);
    BROKER.add_replicated_queue("stopped-member", "orders", "quorum");
    let probed = Probed::new(&on_vhost(BROKER.port, "stopped-member", "queues = [\"orders\"]"));
    probed.pass();
    BROKER.rabbitmqctl(&["eval", "ra:stop_server(quorum_queues, {'stopped-member_orders', node()})."]);
    assert_eq!(probed.fail().message(), "the queue orders has no leader: check that a majority of its nodes is running");
}

#[test]
fn an_empty_stream_passes_and_does_not_hide_a_queue_after_it() {
    BROKER.add_vhost("streams", &["invoices"]);
    BROKER.add_replicated_queue("streams", "events", "stream");
    BROKER.add_replicated_queue("streams", "orders", "quorum");
    let probed = Probed::new(&on_vhost(BROKER.port, "streams", "queues = [\"events\", \"invoices\", \"orders\"]"));
    probed.passes(3);
    BROKER.rabbitmqctl(&["eval", "ra:stop_server(quorum_queues, {streams_orders, node()})."]);
    assert_eq!(probed.fail().message(), "the queue orders has no leader: check that a majority of its nodes is running");
}

#[test]
fn a_queue_of_another_connection_is_named() {
    BROKER.add_vhost("exclusive", &[]);
    let resource = "{resource, <<\"exclusive\">>, queue, <<\"replies\">>}";
    let declare = format!("rabbit_amqqueue:declare({resource}, true, false, [], whereis(rabbit_sup), <<\"app\">>).");
    BROKER.rabbitmqctl(&["eval", &declare]);
    assert_failures(&[Case::new(
        "exclusive",
        on_vhost(BROKER.port, "exclusive", "queues = [\"replies\"]"),
        "rejected",
        "the queue replies is exclusive to another connection",
    )]);
}

#[test]
fn a_broker_that_blocks_publishers_is_exhausted_until_it_has_memory_again() {
    let broker = rabbitmq(PASSWORD);
    broker.add_queue("invoices");
    broker.rabbitmqctl(&["add_user", "reader", "pw"]);
    broker.rabbitmqctl(&["set_permissions", "reader", "^$", "^$", ".*"]);
    let (bare, with_queue) = (Probed::new(&table(broker.port, "")), Probed::new(&table(broker.port, "queues = [\"invoices\"]")));
    let reading = || Probed::new(&format!("kind = \"rabbitmq\"\nurl = \"amqp://reader:pw@127.0.0.1:{}/\"", broker.port));
    let reader = reading();
    for probed in [&bare, &with_queue, &reader] {
        probed.passes(2);
    }
    broker.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    for probed in [&bare, &with_queue, &Probed::new(&table(broker.port, ""))] {
        for _ in 0..2 {
            let failure = probed.fail();
            assert_eq!(failure.message(), "the broker is short of memory or disk space, and accepts no messages");
            assert_eq!(failure.class().as_str(), "exhausted");
        }
    }
    // A user that may not publish is not concerned.
    reader.passes(2);
    reading().passes(2);
    broker.rabbitmqctl(&["set_vm_memory_high_watermark", "0.9"]);
    for probed in [&bare, &with_queue] {
        eventually("the broker accepts messages again", || probed.probe().ok());
    }
}

#[test]
fn a_drained_node_says_so() {
    let broker = rabbitmq(PASSWORD);
    let probed = Probed::new(&table(broker.port, ""));
    probed.pass();
    broker.rabbitmqctl(&["eval", "rabbit_maintenance:drain()."]);
    assert_eq!(probed.fail().message(), "connection refused");
}

#[test]
fn a_probe_leaves_no_trace_on_messages() {
    BROKER.add_vhost("untouched", &["invoices"]);
    let probed = Probed::new(&on_vhost(BROKER.port, "untouched", "queues = [\"invoices\"]"));
    probed.passes(3);
    BROKER.publish("untouched", "invoices", &["one"]);
    probed.passes(3);
    let counts = ["list_queues", "-p", "untouched", "--quiet", "--no-table-headers", "messages_ready", "messages_unacknowledged"];
    assert_eq!(BROKER.rabbitmqctl(&counts).trim(), "1\t0");
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
fn a_probe_costs_one_round_trip_on_a_kept_connection_and_another_if_a_queue_is_empty() {
    BROKER.add_vhost("cost", &["invoices"]);
    let proxy = Proxy::to(BROKER.port);
    // The proxy may count two frames that are sent in a row as two round trips, and it counts heartbeats.
    for (queues, limit) in [("", 220), ("queues = [\"invoices\", \"invoices\"]", 380)] {
        let probed = Probed::new(&on_vhost(proxy.port, "cost", queues));
        probed.pass();
        let (connections, before) = (proxy.connections(), proxy.round_trips());
        probed.passes(100);
        assert_eq!(proxy.connections(), connections, "the connection is kept");
        let round_trips = proxy.round_trips() - before;
        assert!((100..limit).contains(&round_trips), "{round_trips} round trips");
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
