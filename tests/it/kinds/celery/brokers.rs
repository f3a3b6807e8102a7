//! The forms of broker URLs, several brokers, Sentinel, and brokers in trouble.

use super::{BROKER, Broker, NO_WORKER, PASSWORD, on, rabbit_url, redis_url};
use crate::{
    helpers::{eventually, free_port},
    probing::{Case, Probed, assert_failures},
    servers::{Worker, folder, hostile::BlackHole, redis, redis_replica, redis_with, redis_with_tls, send_tasks, sentinel},
};
use allswell_checks::{contract::Backend, kinds::celery::Celery};
use serde_json::json;

/// The first broker that works is that of the workers, as for kombu.
#[test]
fn of_several_brokers_the_one_with_workers_is_asked() {
    let (mut first, second) = (redis(PASSWORD), redis(PASSWORD));
    let urls = format!("{};{}", redis_url(first.port), redis_url(second.port));
    let worker = Worker::at(&urls).start();
    let probed = Probed::new(&on(&urls, "workers = [\"a@test\"]"));
    probed.passes(3);
    let late = Probed::new(&on(&urls, "workers = [\"a@test\"]"));
    first.kill();
    eventually("the worker has moved to the second broker", || probed.probe().ok());
    assert_eq!(probed.observed("workers"), json!(["a@test"]));
    first.restart();
    // The worker stays where it is, and a check that begins with the first broker finds it.
    eventually("the check finds it", || late.probe().ok());
    late.passes(3);
    drop(worker);
    for table in [on(&urls, ""), on(&format!("{};{}", redis_url(free_port()), redis_url(second.port)), "")] {
        eventually("no worker is left", || (Probed::new(&table).fail().message() == NO_WORKER).then_some(()));
    }
    let gone = format!("{};{}", redis_url(free_port()), rabbit_url(free_port()));
    assert_failures(&[Case::new("none is up", on(&gone, ""), "unreachable", "connection refused")]);
}

#[test]
fn a_silent_broker_costs_one_probe() {
    BROKER.add_vhost("after-silence", &[]);
    let url = Broker::RabbitMq("after-silence").url();
    let _worker = Worker::at(&url).start();
    let hole = BlackHole::new();
    let probed = Probed::new(&on(&format!("{};{url}", rabbit_url(hole.port)), ""));
    let in_time = || {
        let probe = async { tokio::time::timeout(std::time::Duration::from_secs(3), probed.check.probe()).await };
        probed.runtime.block_on(probe).ok()
    };
    assert!(in_time().is_none(), "the first broker is silent");
    assert!(in_time().is_some_and(|result| result.is_ok()), "the next probe begins with the second one");
}

#[test]
fn sentinels_lead_to_the_broker_in_each_form_of_their_url() {
    let primary = redis(PASSWORD);
    let _replica = redis_replica(&primary, PASSWORD, &[]);
    let watching = sentinel(primary.port, PASSWORD, PASSWORD);
    eventually("the sentinel knows the primary", || {
        watching.redis_cli(PASSWORD, &["SENTINEL", "MASTER", "orders"]).contains("\nmaster\n").then_some(())
    });
    let (port, closed) = (watching.port, free_port());
    let url = format!("sentinel://:{PASSWORD}@127.0.0.1:{closed}/3;sentinel://:{PASSWORD}@127.0.0.1:{port}/3");
    // Before a refused sentinel, redis-py waits, and the worker replies late.
    let only = format!("sentinel://:{PASSWORD}@127.0.0.1:{port}/3");
    let options = json!({ "master_name": "orders", "sentinel_kwargs": { "password": PASSWORD }, "sentinel_fanout_compat": true });
    let worker = Worker { settings: json!({ "broker_transport_options": options }), ..Worker::at(&only) }.start();
    let password = format!("sentinel_password = \"{PASSWORD}\"");
    for (form, keys) in [
        (&*url, "master_name = \"orders\""),
        (&only, "master_name = \"orders\""),
        // The channels of kombu before 5.4.
        (&only, "master_name = \"orders\"\nfanout_prefix = \"/{{db}}.\""),
        (&format!("redis+sentinel://:{PASSWORD}@127.0.0.1:{closed},127.0.0.1:{port}/orders/3"), ""),
        (&format!("redis-sentinel://:{PASSWORD}@127.0.0.1:{port}/3?sentinelMasterId=orders"), ""),
    ] {
        let probed = Probed::new(&on(form, &format!("{password}\n{keys}\nqueues = [\"celery\"]")));
        assert_eq!(probed.observed("workers"), json!(["a@test"]), "{form}");
        probed.passes(3);
    }
    worker.assert_no_errors();
    let with = |keys: &str| on(&url, keys);
    assert_failures(&[
        Case::new(
            "no such name",
            with(&format!("{password}\nmaster_name = \"none\"")),
            "unhealthy",
            "sentinel: no primary named none is known",
        ),
        Case::new("sentinel's password", with("master_name = \"orders\""), "rejected", "sentinel: the server requires a password"),
    ]);
}

#[test]
fn each_trouble_of_redis_as_a_broker_has_its_class_and_message() {
    let server = redis_with(folder(), PASSWORD, &["--min-replicas-to-write", "1"]);
    let replica = redis_replica(&server, PASSWORD, &[]);
    let (url, replicas) = (redis_url(server.port), redis_url(replica.port));
    let set = |key: &str, value: &str| server.redis_cli(PASSWORD, &["CONFIG", "SET", key, value]);
    let fails = |name, url: &str, class, message| assert_failures(&[Case::new(name, on(url, ""), class, message)]);
    fails("a replica", &replicas, "unhealthy", "the server is a replica, and read-only");
    let _worker = Worker::at(&url).start();
    Probed::new(&on(&url, "")).pass();
    set("maxmemory", "1");
    fails("no memory", &url, "exhausted", "the server is out of memory");
    set("maxmemory", "0");
    drop(replica);
    eventually("the replica is missed", || {
        let failure = Probed::new(&on(&url, "")).probe().err()?;
        (failure.message() == "the server has too few replicas to write").then_some(())
    });
    set("min-replicas-to-write", "0");
    send_tasks(&url, "bills", &["nothing()"]);
    server.redis_cli(PASSWORD, &["-n", "3", "SET", "mails", "text"]);
    assert_failures(&[Case::new(
        "another type",
        on(&url, "queues = [\"mails\"]\nfail_backlog = 1"),
        "unhealthy",
        "the key of the queue mails is not a list",
    )]);
}

#[test]
fn a_broker_on_a_socket_is_read_as_kombu_does() {
    let directory = folder();
    let socket = directory.path().join("redis.sock").display().to_string();
    let _server = redis_with(directory, PASSWORD, &["--unixsocket", &socket]);
    let url = format!("redis+socket://:{PASSWORD}@{socket}?virtual_host=3");
    let worker = Worker::at(&url).start();
    let probed = Probed::new(&on(&url, "queues = [\"celery\"]"));
    probed.passes(3);
    assert_eq!(probed.check.warnings(), []);
    let other = url.replace("virtual_host=3", "virtual_host=2");
    assert_failures(&[Case::new("another database", on(&other, ""), "unhealthy", NO_WORKER)]);
    worker.assert_no_errors();
}

#[test]
fn the_tls_parameters_of_kombu_have_their_effect() {
    let (server, certificates) = redis_with_tls();
    let authority = certificates.authority.display();
    let url = |parameters: &str| format!("rediss://localhost:{}/3?{parameters}", server.port);
    let trusting = url(&format!("ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={authority}"));
    let worker = Worker::at(&trusting).start();
    for parameters in [&*format!("ssl_cert_reqs=required&ssl_ca_certs={authority}"), "ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs=none"] {
        Probed::new(&on(&url(parameters), "queues = [\"celery\"]")).passes(2);
    }
    worker.assert_no_errors();
    let unknown = "the certificate's issuer is not trusted";
    assert_failures(&[Case::new("unknown issuer", on(&url("ssl_cert_reqs=required"), ""), "tls", unknown)]);
    let warnings = Probed::new(&on(&url("ssl_cert_reqs=required&ssl_version=3"), "")).check.warnings();
    let messages: Vec<_> = warnings.into_iter().map(|warning| warning.message.into_owned()).collect();
    assert_eq!(messages, ["the parameter `ssl_version` of the URL has no effect here"]);
}

#[test]
fn what_is_no_broker_is_refused_by_name() {
    let refused = |broker: &str| {
        let config = json!({ "broker": broker, "master_name": broker.starts_with("sentinel").then_some("orders") });
        let config = serde_json::from_value(config).expect("a configuration");
        Celery::build(config).err().map(|error| error.message.into_owned())
    };
    for (broker, message) in [
        ("sqs://", "the transport `sqs` is not supported: this kind asks workers over RabbitMQ or Redis only"),
        ("sqla+postgresql://db/app", "the transport `sqla` is not supported: this kind asks workers over RabbitMQ or Redis only"),
        ("amqp://a;sentinel://b", "names brokers and sentinels: name either sentinels or brokers between `;`"),
        ("sentinel://a;amqp://b", "names brokers and sentinels: name either sentinels or brokers between `;`"),
        (" ; ", "is empty: write `amqp://…`, `redis://…` or `sentinel://…`"),
    ] {
        assert_eq!(refused(broker).as_deref(), Some(message), "{broker}");
    }
    for broker in ["librabbitmq://a", "pyamqp://a//", "sentinel://a;sentinel://b", "amqp://a;redis://b"] {
        assert_eq!(refused(broker), None, "{broker}");
    }
}

/// Workers cannot start on such an exchange: theirs is a fanout exchange.
#[test]
fn an_exchange_of_another_type_has_no_mailboxes() {
    BROKER.add_vhost("direct", &[]);
    let declare = "rabbit_exchange:declare({resource, <<\"direct\">>, exchange, <<\"celery.pidbox\">>}, direct, false, false, false, [], <<\"app\">>).";
    BROKER.rabbitmqctl(&["eval", declare]);
    assert_failures(&[Case::new("direct", on(&Broker::RabbitMq("direct").url(), ""), "unhealthy", NO_WORKER)]);
}
