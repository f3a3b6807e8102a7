//! The app's settings of Celery and kombu, each with a real worker that has it, whose log must stay free of errors.

use super::{BROKER, Broker, NO_WORKER, PASSWORD, on, on_both_brokers, redis_url};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{Server, Worker, redis, send_tasks_with},
};
use serde_json::{Value, json};

/// A worker with options of the transport.
fn worker_with(broker: &str, options: &Value) -> Server {
    Worker { settings: json!({ "broker_transport_options": options }), ..Worker::at(broker) }.start()
}

/// Options of the app's transport on Redis, and the keys of the check.
fn transport_options() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "sep": ":" }), "separator = \":\""),
        (json!({ "sep": "." }), "separator = \".\""),
        (json!({ "priority_steps": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }), "priority_steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"),
        (json!({ "priority_steps": [2, 5], "sep": "|" }), "priority_steps = [2, 5]\nseparator = \"|\""),
        (json!({ "global_keyprefix": "shop-1:" }), "global_keyprefix = \"shop-1:\""),
        (json!({ "fanout_prefix": false }), "fanout_prefix = \"\""),
        (json!({ "fanout_prefix": "/shop-{db}." }), "fanout_prefix = \"/shop-{db}.\""),
        (json!({ "fanout_patterns": false }), "fanout_patterns = false"),
        (json!({ "queue_order_strategy": "priority" }), ""),
        (json!({ "ack_emulation": false, "visibility_timeout": 60, "unacked_key": "u", "client_name": "shop" }), ""),
        (
            json!({ "sep": "::", "global_keyprefix": "a.", "fanout_prefix": "/x.", "fanout_patterns": false, "priority_steps": [0, 5] }),
            "separator = \"::\"\nglobal_keyprefix = \"a.\"\nfanout_prefix = \"/x.\"\nfanout_patterns = false\npriority_steps = [0, 5]",
        ),
    ]
}

#[test]
fn each_transport_option_of_redis_has_its_key() {
    let server = redis(PASSWORD);
    let url = redis_url(server.port);
    for (options, keys) in transport_options() {
        let worker = worker_with(&url, &options);
        let probed = Probed::new(&on(&url, &format!("workers = [\"a@test\"]\nqueues = [\"celery\"]\nmin_workers = 1\n{keys}")));
        let observed = probed.pass();
        assert_eq!(observed.warning(), None, "{options}");
        assert_eq!(observed.values()["queues"], json!({ "celery": ["a@test"] }), "{options}");
        probed.passes(3);
        // Heartbeats arrive as well: the worker is known although another one is asked for.
        let other = Probed::new(&on(&url, &format!("workers = [\"c@test\"]\n{keys}")));
        eventually("a heartbeat", || (other.fail().values().get("workers") == Some(&json!(["a@test"]))).then_some(()));
        worker.assert_no_errors();
    }
}

#[test]
fn messages_of_all_priorities_are_counted_where_kombu_puts_them() {
    let server = redis(PASSWORD);
    let url = redis_url(server.port);
    for (options, keys) in transport_options() {
        let settings = json!({ "broker_transport_options": options });
        let calls: Vec<String> = (0..10).map(|priority| format!("nothing(), priority={priority}")).collect();
        send_tasks_with(&url, &settings, "bills", &calls.iter().map(String::as_str).collect::<Vec<_>>());
        let failure = Probed::new(&on(&url, &format!("queues = [\"bills\"]\npatience = \"100ms\"\n{keys}"))).fail();
        assert_eq!(failure.values()["backlog"], json!({ "bills": 10 }), "{options}");
        server.redis_cli(
            PASSWORD,
            &["-n", "3", "EVAL", "for _, k in ipairs(redis.call('KEYS', '*bills*')) do redis.call('DEL', k) end", "0"],
        );
    }
}

#[test]
fn exchanges_with_other_names_have_keys() {
    on_both_brokers("exchanges", |broker| {
        let url = broker.url();
        let settings = json!({ "control_exchange": "shop", "event_exchange": "shopev" });
        let worker = Worker { settings, ..Worker::at(&url) }.start();
        let keys = "control_exchange = \"shop\"\nevent_exchange = \"shopev\"";
        Probed::new(&on(&url, &format!("{keys}\nqueues = [\"celery\"]"))).passes(3);
        let by_heartbeat = Probed::new(&on(&url, &format!("{keys}\nworker_enable_remote_control = false\npatience = \"5s\"")));
        assert_eq!(by_heartbeat.observed("workers"), json!(["a@test"]));
        assert_failures(&[Case::new("other names", on(&url, ""), "unhealthy", NO_WORKER)]);
        worker.assert_no_errors();
    });
}

#[test]
fn a_wrong_separator_is_reported_before_a_command_reaches_the_workers() {
    let server = redis(PASSWORD);
    let url = redis_url(server.port);
    let worker = worker_with(&url, &json!({ "sep": ":" }));
    let probed = Probed::new(&on(&url, ""));
    for _ in 0..3 {
        let failure = probed.fail();
        let message = "the workers use another separator: set `separator` to `sep` in the app's `broker_transport_options`";
        assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", message));
    }
    worker.assert_no_errors();
    Probed::new(&on(&url, "separator = \":\"")).pass();
}

#[test]
fn a_worker_without_remote_control_passes_by_its_heartbeats_alone() {
    on_both_brokers("heartbeats-only", |broker| {
        let url = broker.url();
        let table = on(&url, "worker_enable_remote_control = false\nworkers = [\"a@test\"]\npatience = \"5s\"");
        let probed = Probed::new(&table);
        let worker = Worker { settings: json!({ "worker_enable_remote_control": false }), ..Worker::at(&url) }.start();
        let observed = probed.pass();
        assert_eq!((observed.warning(), &observed.values()["workers"]), (None, &json!(["a@test"])));
        assert_eq!(observed.values()["backlog"], json!({ "celery": 0 }));
        probed.passes(20);
        worker.assert_no_errors();
        let other = Probed::new(&on(&url, "worker_enable_remote_control = false\nworkers = [\"c@test\"]\npatience = \"100ms\""));
        assert_eq!(other.fail().message().split(';').next_back().map(str::trim), Some("no heartbeat within 100ms from the worker c@test"));
    });
}

#[test]
fn a_worker_that_accepts_no_json_gets_no_command_if_it_is_known_by_its_heartbeats() {
    on_both_brokers("pickle", |broker| {
        let url = broker.url();
        let settings = json!({ "accept_content": ["pickle"], "task_serializer": "pickle" });
        let worker = Worker { settings, ..Worker::at(&url) }.start();
        Probed::new(&on(&url, "worker_enable_remote_control = false\npatience = \"5s\"")).passes(3);
        worker.assert_no_errors();
    });
}

#[test]
fn replies_that_are_not_json_are_reported() {
    on_both_brokers("pickled-replies", |broker| {
        let url = broker.url();
        let settings = json!({ "accept_content": ["json", "pickle"], "task_serializer": "pickle" });
        let worker = Worker { settings, arguments: &["--without-heartbeat"], ..Worker::at(&url) }.start();
        assert_failures(&[Case::new("pickle", on(&url, ""), "unhealthy", "no worker replied in JSON")]);
        worker.assert_no_errors();
    });
}

#[test]
fn compression_pools_and_missing_services_do_not_matter() {
    on_both_brokers("variants", |broker| {
        let url = broker.url();
        let variants: [(&str, Value, &[&str]); 5] = [
            ("solo", json!({ "task_compression": "gzip", "result_compression": "gzip" }), &[]),
            ("solo", json!({ "task_acks_late": true, "worker_prefetch_multiplier": 1 }), &["--without-heartbeat"]),
            ("threads", json!({}), &[]),
            ("prefork", json!({ "worker_proc_alive_timeout": 60 }), &["--heartbeat-interval", "30"]),
            // The last one, because its queue for commands stays.
            ("solo", json!({ "control_queue_exclusive": false, "control_queue_durable": true }), &[]),
        ];
        for (pool, settings, arguments) in variants {
            let worker = Worker { pool, settings: settings.clone(), arguments, ..Worker::at(&url) }.start();
            Probed::new(&on(&url, "queues = [\"celery\"]\nworkers = [\"a@test\"]")).passes(3);
            worker.assert_no_errors();
        }
    });
}

#[test]
fn workers_that_share_a_name_count_once() {
    let server = redis(PASSWORD);
    let url = redis_url(server.port);
    let _workers = [Worker::at(&url).start(), Worker { queues: "mails", ..Worker::at(&url) }.start()];
    let message = "1 worker replied, fewer than 2; several workers share the name a@test: give each its own";
    assert_failures(&[Case::new("one name", on(&url, "min_workers = 2"), "unhealthy", message)]);
    Probed::new(&on(&url, "queues = [\"celery\", \"mails\"]")).pass();
}

#[test]
fn keys_for_redis_are_a_warning_on_rabbitmq() {
    let url = Broker::RabbitMq("none").url();
    let probed = Probed::new(&on(&url, "separator = \":\"\nglobal_keyprefix = \"x\""));
    let warnings: Vec<_> = probed.check.warnings().into_iter().map(|warning| (warning.key, warning.message.into_owned())).collect();
    let message = "has no effect with RabbitMQ: it is an option of kombu's Redis transport";
    assert_eq!(warnings, [("separator", message.to_owned()), ("global_keyprefix", message.to_owned())]);
    assert!(BROKER.port > 0);
}
