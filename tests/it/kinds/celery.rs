//! `celery`, with real workers on both brokers.

mod brokers;
mod rights;
mod settings;
mod stuck;

use crate::{
    helpers::{Allswell, eventually},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, SHARED_BROKER as BROKER, SHARED_PASSWORD as PASSWORD, Server, celery, celery_without_remote_control,
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        rabbitmq, redis, send_tasks, tls_front,
    },
};
use serde_json::json;
use std::{ops::Range, thread};

/// The replies of Redis 5 to the first commands of the driver, which it sends together.
const OLD_REDIS: &str = "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n+OK\r\n+OK\r\n+OK\r\n";

const NO_WORKER: &str = "no worker replied: none is connected";

/// A table on a broker, with more keys.
fn on(broker: &str, more: &str) -> String {
    format!("kind = \"celery\"\nbroker = \"{broker}\"\n{more}")
}

fn rabbit_url(port: u16) -> String {
    format!("amqp://app:{PASSWORD}@127.0.0.1:{port}//")
}

fn redis_url(port: u16) -> String {
    format!("redis://:{PASSWORD}@127.0.0.1:{port}/3")
}

/// A test's own place for messages: a vhost of the shared `RabbitMQ`, or a Redis.
enum Broker {
    RabbitMq(&'static str),
    Redis(Server),
}

impl Broker {
    fn url(&self) -> String {
        self.url_by(self.port())
    }

    /// The URL of the broker behind a proxy.
    fn url_by(&self, port: u16) -> String {
        match self {
            Self::RabbitMq(vhost) => format!("amqp://app:{PASSWORD}@127.0.0.1:{port}/{vhost}"),
            Self::Redis(_) => redis_url(port),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::RabbitMq(_) => BROKER.port,
            Self::Redis(server) => server.port,
        }
    }
}

/// Runs a scenario on both brokers at the same time: most of its time it waits for workers.
fn on_both_brokers(vhost: &'static str, scenario: impl Fn(&Broker) + Sync) {
    thread::scope(|scope| {
        let on_redis = scope.spawn(|| scenario(&Broker::Redis(redis(PASSWORD))));
        BROKER.add_vhost(vhost, &[]);
        scenario(&Broker::RabbitMq(vhost));
        on_redis.join().expect("the scenario succeeds on Redis");
    });
}

/// The worker `a@test`, which does everything in one thread, for the queue `celery`.
fn worker_a(broker: &str) -> Server {
    celery(broker, "a@test", "celery", "solo")
}

/// The worker `a@test`, and `b@test`, which runs its tasks in another process, for the queue `mails`.
fn workers(broker: &str) -> (Server, Server) {
    thread::scope(|scope| {
        let b = scope.spawn(|| celery(broker, "b@test", "mails", "prefork"));
        (worker_a(broker), b.join().expect("a worker"))
    })
}

#[test]
fn each_failure_of_rabbitmq_has_its_class_and_message() {
    let broker = &*BROKER;
    let (hole, port) = (BlackHole::new(), broker.port);
    let cut = Proxy::to(port);
    cut.cut_after(100);
    let (folder, expired) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let front = tls_front(port, &Certificates::new(folder.path()));
    let old = Certificates::expired(expired.path());
    let old_front = tls_front(port, &old);
    let trusting = format!("tls.ca_file = \"{}\"\n", old.authority.display());
    assert_failures(&[
        Case::new("refused", on(&rabbit_url(1), ""), "unreachable", "connection refused"),
        Case::new("black hole", on(&rabbit_url(hole.port), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", on(&rabbit_url(Hostile::silent().port()), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", on(&rabbit_url(Hostile::hanging_up().port()), ""), "unreachable", "connection closed before a reply"),
        Case::new("another protocol", on(&rabbit_url(Hostile::babbling().port()), ""), "protocol", "the reply is not AMQP 0-9-1"),
        Case::new("endless", on(&rabbit_url(Hostile::endless(b"", b"\x01\0\0\0\0").port()), ""), "protocol", "the reply is not AMQP 0-9-1"),
        Case::new("breaks off", on(&rabbit_url(cut.port), ""), "protocol", "the connection was closed in the middle of a reply"),
        Case::new("password", on(&format!("amqp://app:wrong@127.0.0.1:{port}/"), ""), "rejected", "the credentials are not accepted"),
        Case::new("vhost", on(&format!("amqp://app:{PASSWORD}@127.0.0.1:{port}/none"), ""), "rejected", "the vhost does not exist"),
        Case::new(
            "plain to a TLS port",
            on(&rabbit_url(front), ""),
            "protocol",
            "the server expects TLS, but the connection was plaintext",
        ),
        Case::new(
            "TLS to a plain port",
            on(&format!("amqps://app:{PASSWORD}@127.0.0.1:{port}/"), ""),
            "tls",
            "the port does not speak TLS",
        ),
        Case::new(
            "unknown CA",
            on(&format!("amqps://app:{PASSWORD}@localhost:{front}/"), ""),
            "tls",
            "the certificate's issuer is not trusted",
        ),
        Case::new(
            "expired",
            on(&format!("amqps://app:{PASSWORD}@localhost:{old_front}/"), &trusting),
            "tls",
            "the certificate has expired",
        ),
    ]);
}

#[test]
fn each_failure_of_redis_has_its_class_and_message() {
    let broker = redis(PASSWORD);
    let (hole, port) = (BlackHole::new(), broker.port);
    let cut = Proxy::to(port);
    cut.cut_after(100);
    let endless = Hostile::endless(b"$2000000000\r\n", b"x").port();
    let too_long = "the reply is too long";
    assert_failures(&[
        Case::new("refused", on(&redis_url(1), ""), "unreachable", "connection refused"),
        Case::new("black hole", on(&redis_url(hole.port), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", on(&redis_url(Hostile::silent().port()), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", on(&redis_url(Hostile::hanging_up().port()), ""), "unreachable", "connection reset"),
        Case::new("another protocol", on(&redis_url(Hostile::babbling().port()), ""), "protocol", "the reply is not in the Redis protocol"),
        Case::new("too old", on(&redis_url(Hostile::answering(OLD_REDIS).port()), ""), "unhealthy", "the server is older than Redis 6"),
        Case::new("endless", on(&redis_url(endless), ""), "protocol", too_long),
        Case::new("breaks off", on(&redis_url(cut.port), ""), "protocol", "the reply is not in the Redis protocol"),
        Case::new("password", on(&format!("redis://:wrong@127.0.0.1:{port}/3"), ""), "rejected", "the credentials are not accepted"),
        Case::new("database", on(&format!("redis://:{PASSWORD}@127.0.0.1:{port}/99"), ""), "rejected", "there is no such database"),
        // A real server waits for the end of a line.
        Case::new(
            "TLS to a plain port",
            on(&format!("rediss://{}/3", Hostile::babbling().address), ""),
            "tls",
            "the port does not speak TLS",
        ),
    ]);
}

#[test]
fn a_broker_without_workers_fails() {
    on_both_brokers("no-workers", |broker| {
        assert_failures(&[Case::new("no worker", on(&broker.url(), ""), "unhealthy", NO_WORKER)]);
    });
}

#[test]
fn a_worker_without_remote_control_is_known_by_its_heartbeats() {
    on_both_brokers("no-remote-control", |broker| {
        let url = broker.url();
        let probed = Probed::new(&on(&url, ""));
        let _quiet = celery_without_remote_control(&url, "quiet@test", "celery");
        let observed = eventually("the check has heard a heartbeat", || probed.probe().ok());
        assert_eq!(observed.warning(), Some("a recent heartbeat, but no mailbox for the worker quiet@test"));
        assert_eq!(observed.values()["workers"], json!(["quiet@test"]));
    });
}

#[test]
fn a_worker_that_says_goodbye_is_no_longer_listed() {
    on_both_brokers("goodbye", |broker| {
        let url = broker.url();
        let mut worker = worker_a(&url);
        let probed = Probed::new(&on(&url, ""));
        eventually("the worker is listed", || (probed.observed("workers") == json!(["a@test"])).then_some(()));
        worker.terminate();
        eventually("no worker is listed", || (probed.fail().message() == NO_WORKER).then_some(()));
    });
}

#[test]
fn workers_queues_and_backlog_are_observed_and_compared() {
    on_both_brokers("observed", |broker| {
        let url = &*broker.url();
        let (_a, _b) = workers(url);
        let keys = "workers = [\"a@test\", \"b@test\"]\nqueues = [\"celery\", \"mails\"]\nmin_workers = 2\nfail_backlog = 0";
        let observed = Probed::new(&on(url, keys)).pass();
        assert_eq!(observed.values()["workers"], json!(["a@test", "b@test"]));
        assert_eq!(observed.values()["queues"], json!({ "celery": ["a@test"], "mails": ["b@test"] }));
        assert_eq!(observed.values()["backlog"], json!({ "celery": 0, "mails": 0 }));
        assert_eq!(observed.warning(), None);
        // One reply is enough to pass; the check knows the other worker by its heartbeats.
        let one = Probed::new(&on(url, ""));
        eventually("both workers are known", || (one.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
        missing_workers_and_consumers_are_named(url);
        a_missing_queue_does_not_hide_the_backlog_of_others(url);
        a_probe_keeps_its_connection(broker);
    });
}

fn missing_workers_and_consumers_are_named(url: &str) {
    assert_failures(&[
        Case::new("no such worker", on(url, "workers = [\"c@test\"]"), "unhealthy", "no reply within 1s from the worker c@test"),
        Case::new(
            "no such workers",
            on(url, "workers = [\"c@test\", \"a@test\", \"d@test\"]\npatience = \"1s\""),
            "unhealthy",
            "no reply within 1s from the workers c@test, d@test",
        ),
        Case::new("too few", on(url, "min_workers = 3"), "unhealthy", "2 workers replied, fewer than 3"),
        Case::new("not consumed", on(url, "queues = [\"celery\", \"bills\"]"), "unhealthy", "no worker consumes the queue bills"),
        Case::new(
            "neither consumed",
            on(url, "queues = [\"bills\", \"mails\", \"none\"]"),
            "unhealthy",
            "no worker consumes the queues bills, none",
        ),
    ]);
}

/// On `RabbitMQ` a missing queue closes the channel, so that the check opens another one for each probe.
fn a_missing_queue_does_not_hide_the_backlog_of_others(url: &str) {
    let missing = Probed::new(&on(url, "queues = [\"celery\", \"bills\"]\npatience = \"1s\""));
    for _ in 0..3 {
        let failure = missing.fail();
        assert_eq!(failure.message(), "no worker consumes the queue bills");
        assert_eq!(failure.values()["backlog"]["celery"], 0);
    }
}

fn a_probe_keeps_its_connection(broker: &Broker) {
    let proxy = Proxy::to(broker.port());
    let url = broker.url_by(proxy.port);
    let probed = Probed::new(&on(&url, "min_workers = 2\nqueues = [\"celery\", \"mails\"]"));
    probed.pass();
    let (connections, before) = (proxy.connections(), proxy.round_trips());
    probed.passes(100);
    assert_eq!(proxy.connections(), connections, "the connection is kept");
    let round_trips = proxy.round_trips() - before;
    // Workers reply one after the other, and the proxy may count what is sent between two replies as another round trip.
    let expected: Range<usize> = match broker {
        Broker::RabbitMq(_) => 100..320,
        Broker::Redis(_) => 200..700,
    };
    assert!(expected.contains(&round_trips), "{round_trips} round trips");
    // A silent worker is no reason to doubt the connection to the broker, however long the check has waited for it.
    for patience in ["50ms", "1100ms"] {
        let missing = Probed::new(&on(&url, &format!("workers = [\"c@test\"]\npatience = \"{patience}\"")));
        missing.fail();
        let connections = proxy.connections();
        missing.fail();
        missing.fail();
        assert_eq!(proxy.connections(), connections, "the connection is kept");
    }
}

/// How many connections, queues and exchanges of ours a vhost of the shared `RabbitMQ` has; and how many bindings.
fn left_on_rabbitmq(vhost: &str) -> ([usize; 3], usize) {
    let list = |what: &str, columns: &[&str]| BROKER.rabbitmqctl(&[&[what, "--quiet", "--no-table-headers"], columns].concat());
    let of_vhost = |what: &str, columns: &[&str]| list(what, &[&["-p", vhost], columns].concat()).matches("allswell.").count();
    let connections = list("list_connections", &["vhost", "client_properties"]);
    let is_ours = |line: &&str| line.starts_with(&format!("{vhost}\t")) && line.contains("\"allswell\"");
    let found = [connections.lines().filter(is_ours).count(), of_vhost("list_queues", &["name"]), of_vhost("list_exchanges", &["name"])];
    (found, of_vhost("list_bindings", &["source_name", "destination_name"]))
}

#[test]
fn a_dropped_or_killed_check_leaves_nothing_on_rabbitmq() {
    BROKER.add_vhost("left", &[]);
    let url = Broker::RabbitMq("left").url();
    let _worker = worker_a(&url);
    let probed = dropped(&url);
    eventually("one connection, with one queue, is left", || (left_on_rabbitmq("left").0 == [1, 1, 0]).then_some(()));
    drop(probed);
    eventually("nothing is left", || (left_on_rabbitmq("left") == ([0; 3], 0)).then_some(()));
    kill_in_the_middle_of_a_probe(&url);
    eventually("nothing is left", || (left_on_rabbitmq("left") == ([0; 3], 0)).then_some(()));
}

#[test]
fn a_dropped_or_killed_check_leaves_nothing_without_a_time_to_live_on_redis() {
    let server = redis(PASSWORD);
    server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "on", ">probe-password", "~*", "&*", "+@all"]);
    let _worker = worker_a(&redis_url(server.port));
    let probed = dropped(&format!("redis://probe:probe-password@127.0.0.1:{}/3", server.port));
    let connections = || server.redis_cli(PASSWORD, &["CLIENT", "LIST"]).matches("user=probe ").count();
    eventually("one connection is left", || (connections() == 1).then_some(()));
    assert_eq!(immortal_keys(&server), 0);
    drop(probed);
    kill_in_the_middle_of_a_probe(&redis_url(server.port));
    assert_eq!(immortal_keys(&server), 0);
}

/// Drops probes at every await, and returns the check, which still works.
fn dropped(url: &str) -> Probed {
    let probed = Probed::new(&on(url, "queues = [\"celery\"]"));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    probed
}

/// Kills the whole program while it probes.
fn kill_in_the_middle_of_a_probe(url: &str) {
    let service =
        Allswell::start(&format!("[checks.workers]\n{}\ninterval = \"100ms\"\ntimeout = \"50ms\"\n", on(url, "patience = \"40ms\"")));
    service.await_report("/health/workers", "it has probed some times", |response| {
        response.json()["components"]["workers"]["consecutive"].as_u64() > Some(3)
    });
    service.signal(rustix::process::Signal::KILL);
}

/// All keys of ours in the database of the broker.
fn keys_of_ours(server: &Server) -> Vec<String> {
    let keys = server.redis_cli(PASSWORD, &["-n", "3", "KEYS", "*allswell*"]);
    keys.lines().filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// The number of keys of ours that never expire.
fn immortal_keys(server: &Server) -> usize {
    keys_of_ours(server).iter().filter(|key| server.redis_cli(PASSWORD, &["-n", "3", "TTL", key]).trim() == "-1").count()
}

#[test]
fn the_lists_of_all_priorities_count_as_backlog_on_redis() {
    let server = redis(PASSWORD);
    let url = redis_url(server.port);
    let _worker = worker_a(&url);
    for list in ["bills", "bills\u{6}\u{16}3", "bills\u{6}\u{16}6", "bills\u{6}\u{16}9"] {
        server.redis_cli(PASSWORD, &["-n", "3", "LPUSH", list, "a message"]);
    }
    let failure = Probed::new(&on(&url, "queues = [\"bills\"]\npatience = \"1s\"\nfail_backlog = 3")).fail();
    assert_eq!(failure.message(), "no worker consumes the queue bills; 4 messages wait in the queue bills, more than 3");
}

/// A worker may reply when the check has ended and its keys have expired.
#[test]
fn a_late_reply_creates_no_keys_on_redis() {
    let server = redis(PASSWORD);
    let url = redis_url(server.port);
    let worker = worker_a(&url);
    let late = Probed::new(&on(&url, "workers = [\"a@test\"]\npatience = \"1s\""));
    late.pass();
    worker.pause();
    let _ = late.probe();
    drop(late);
    // As if the keys had expired.
    for key in keys_of_ours(&server) {
        server.redis_cli(PASSWORD, &["-n", "3", "DEL", &key]);
    }
    let next = Probed::new(&on(&url, "workers = [\"a@test\"]\npatience = \"1s\""));
    worker.resume();
    // A worker replies in order: it has replied to the first check when it replies to the next.
    eventually("the worker replies again", || next.probe().ok().filter(|observed| observed.warning().is_none()));
    let keys = keys_of_ours(&server);
    assert_eq!(keys.len(), 2, "the list and the set of the last check: {keys:?}");
    assert_eq!(immortal_keys(&server), 0);
}

const BUSY: &str = "a recent heartbeat, but no reply within 1s from the worker a@test";

/// Pauses a worker until the check passes all the same, which it does once it has heard a heartbeat; resumes the worker and returns the warning.
fn warning_during_a_pause(probed: &Probed, worker: &Server) -> String {
    let warning = eventually("the check has heard a heartbeat before the pause", || {
        worker.resume();
        probed.probe().ok()?;
        worker.pause();
        probed.probe().ok()?.warning().map(str::to_owned)
    });
    worker.resume();
    eventually("the worker replies again", || probed.pass().warning().is_none().then_some(()));
    warning
}

#[test]
fn a_worker_that_does_not_reply_is_busy_while_its_heartbeat_is_fresh() {
    on_both_brokers("paused-worker", |broker| {
        let url = broker.url();
        let worker = worker_a(&url);
        let probed = Probed::new(&on(&url, "workers = [\"a@test\"]\npatience = \"1s\""));
        assert_eq!(warning_during_a_pause(&probed, &worker), BUSY);
    });
}

/// The worker `a@test` has one thread for everything.
#[test]
fn a_long_task_makes_its_worker_busy_and_the_backlog_grow() {
    on_both_brokers("long-task", |broker| {
        let url = &*broker.url();
        let (a, _b) = workers(url);
        let probed = Probed::new(&on(url, "workers = [\"a@test\"]\nqueues = [\"celery\"]\npatience = \"1s\""));
        assert_eq!(warning_during_a_pause(&probed, &a), BUSY);
        send_tasks(url, "celery", &[&["nap(8)"], &["nothing()"; 8][..]].concat());
        let warning = eventually("the task has begun", || probed.pass().warning().map(str::to_owned));
        assert_eq!(warning, BUSY);
        let waiting = probed.pass().values()["backlog"]["celery"].as_u64().expect("a number");
        assert!((2..=8).contains(&waiting), "{waiting} messages wait");
        let limit = |key: &str| Probed::new(&on(url, &format!("{key} = 1")));
        let message = format!("{waiting} messages wait in the queue celery, more than 1");
        assert_eq!(limit("warn_backlog").pass().warning(), Some(&*message));
        let failure = limit("fail_backlog").fail();
        assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", &*message));
        a_task_in_another_process_does_not_make_its_worker_busy(url);
        eventually("the tasks are done", || {
            let observed = probed.probe().ok()?;
            (observed.warning().is_none() && observed.values()["backlog"]["celery"] == 0).then_some(())
        });
    });
}

fn a_task_in_another_process_does_not_make_its_worker_busy(url: &str) {
    send_tasks(url, "mails", &["nap(2)"]);
    let probed = Probed::new(&on(url, "workers = [\"b@test\"]"));
    for _ in 0..10 {
        assert_eq!(probed.pass().warning(), None);
    }
}

/// One worker is killed, the other one paused.
#[test]
fn workers_whose_heartbeats_are_old_fail_until_one_replies_again() {
    on_both_brokers("silent", |broker| {
        let url = &*broker.url();
        let (a, mut b) = workers(url);
        let any = Probed::new(&on(url, "patience = \"1s\""));
        let both = Probed::new(&on(url, "workers = [\"a@test\", \"b@test\"]\npatience = \"1s\""));
        both.pass();
        eventually("both workers are known", || (any.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
        a.pause();
        b.kill();
        let all_are_silent = "no worker replied within 1s; no reply within 1s from the workers a@test, b@test";
        eventually("the last heartbeats are old", || both.probe().err().filter(|failure| failure.message() == all_are_silent));
        assert_eq!(any.fail().message(), "no worker replied within 1s");
        a.resume();
        eventually("a worker replies again", || any.probe().ok());
    });
}

#[test]
fn a_broker_in_trouble_fails_with_its_own_class() {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = redis(PASSWORD);
            a_paused_broker_is_a_timeout_and_a_killed_one_unreachable(&mut server, redis_url);
        });
        let mut server = rabbitmq(PASSWORD);
        a_memory_alarm_of_rabbitmq_is_exhausted_until_it_ends(&server);
        a_paused_broker_is_a_timeout_and_a_killed_one_unreachable(&mut server, rabbit_url);
    });
}

fn a_memory_alarm_of_rabbitmq_is_exhausted_until_it_ends(server: &Server) {
    let url = rabbit_url(server.port);
    let _worker = worker_a(&url);
    let probed = Probed::new(&on(&url, ""));
    probed.pass();
    server.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
    let full = "the broker is short of memory or disk space, and accepts no messages";
    eventually("the alarm", || (probed.probe().err()?.message() == full).then_some(()));
    assert_failures(&[Case::new("no memory", on(&url, ""), "exhausted", full)]);
    server.rabbitmqctl(&["set_vm_memory_high_watermark", "0.8"]);
    eventually("the end of the alarm", || probed.probe().ok());
}

fn a_paused_broker_is_a_timeout_and_a_killed_one_unreachable(server: &mut Server, url: fn(u16) -> String) {
    let url = url(server.port);
    server.pause();
    assert_failures(&[Case::new("paused", on(&url, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", on(&url, ""), "unreachable", "connection refused")]);
}

#[test]
fn on_rabbitmq_the_documented_permissions_suffice_and_fewer_do_not() {
    BROKER.add_vhost("permissions", &[]);
    let worker_url = Broker::RabbitMq("permissions").url();
    let _workers = workers(&worker_url);
    BROKER.rabbitmqctl(&["add_user", "celery-probe", "probe-password"]);
    let grant = |configure: &str, write: &str, read: &str| {
        BROKER.rabbitmqctl(&["set_permissions", "-p", "permissions", "celery-probe", configure, write, read])
    };
    let table = |more: &str| on(&format!("amqp://celery-probe:probe-password@127.0.0.1:{}/permissions", BROKER.port), more);
    grant(r"^allswell\.", r"^(allswell\..*|celery\.pidbox)$", r"^(allswell\..*|celeryev)$");
    let least = Probed::new(&table("queues = [\"mails\"]"));
    eventually("both workers are known", || (least.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
    assert_eq!(least.observed("backlog"), json!({ "mails": 0 }));
    grant(r"^allswell\.", r"^celery\.pidbox$", r"^allswell\.");
    Probed::new(&table("min_workers = 2")).pass();
    for (configure, write, read) in
        [("^$", r"^celery\.pidbox$", r"^allswell\."), (r"^allswell\.", "^$", r"^allswell\."), (r"^allswell\.", ".*", "^$")]
    {
        grant(configure, write, read);
        assert_failures(&[Case::new("fewer rights", table(""), "rejected", "the user may not send commands to the workers")]);
    }
}

#[test]
fn on_redis_the_documented_rights_suffice_and_fewer_do_not() {
    let broker = redis(PASSWORD);
    let _workers = workers(&redis_url(broker.port));
    let grant = |rights: &str| {
        let rights: Vec<&str> = rights.split(' ').collect();
        assert_eq!(
            broker.redis_cli(PASSWORD, &[&["ACL", "SETUSER", "probe", "reset", "on", ">probe-password"], &*rights].concat()).trim(),
            "OK"
        );
    };
    let table = |more: &str| on(&format!("redis://probe:probe-password@127.0.0.1:{}/3", broker.port), more);
    let least = "resetchannels &/3.celery.pidbox &/3.celeryev/worker.* ~allswell.* ~_kombu.binding.amq.allswell.* -@all +multi +exec +del +rpush +expire +sadd +publish +lrange +psubscribe +select";
    // One more right, for the separator.
    grant(&format!("{least} +srandmember ~_kombu.binding.celery.pidbox"));
    Probed::new(&table("")).pass();
    assert_failures(&[Case::new(
        "another separator",
        table("separator = \":\""),
        "unhealthy",
        "the workers use another separator: set `separator` to `sep` in the app's `broker_transport_options`",
    )]);
    grant(least);
    let probed = Probed::new(&table("queues = [\"mails\"]"));
    eventually("both workers are known", || (probed.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
    assert_eq!(probed.pass().values().get("backlog"), None, "a backlog that the user may not see is no failure");
    assert_failures(&[Case::new(
        "a limit that cannot be checked",
        table("fail_backlog = 1"),
        "rejected",
        "the user may not read the length of the queue celery",
    )]);
    grant(&format!("{least} +llen ~celery*"));
    assert_eq!(Probed::new(&table("fail_backlog = 1")).observed("backlog"), json!({ "celery": 0 }));
    grant(&least.replace(" +psubscribe", "").replace(" &/3.celeryev/worker.*", ""));
    Probed::new(&table("min_workers = 2")).pass();
    for missing in [" +multi", " +rpush", " +publish", " +lrange", " &/3.celery.pidbox", " ~allswell.*", " ~_kombu.binding.amq.allswell.*"]
    {
        grant(&least.replace(missing, ""));
        assert_failures(&[Case::new(missing, table(""), "rejected", "the user may not send commands to the workers")]);
    }
}
