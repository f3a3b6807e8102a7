//! `celery`, with real workers on both brokers.

use crate::{
    helpers::{Allswell, eventually},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server, celery, celery_without_remote_control,
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        rabbitmq, redis, send_tasks, tls_front,
    },
};
use serde_json::json;
use std::thread;

const PASSWORD: &str = "correct-horse";

/// How Redis 5 answers the first words of the driver, which leave together.
const OLD_REDIS: &str = "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n+OK\r\n+OK\r\n+OK\r\n";

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

/// Two workers: `a@test` does everything in one thread, `b@test` has a process for its tasks.
fn workers(broker: &str) -> (Server, Server) {
    thread::scope(|scope| {
        let b = scope.spawn(|| celery(broker, "b@test", "mails", "prefork"));
        (celery(broker, "a@test", "celery", "solo"), b.join().expect("a worker"))
    })
}

#[test]
fn everything_about_workers_on_rabbitmq() {
    let mut broker = rabbitmq(PASSWORD);
    let url = rabbit_url(broker.port);
    rabbitmq_failures(&broker);
    assert_failures(&[Case::new("nobody ever", on(&url, ""), "unhealthy", "no worker replied: none is connected")]);
    without_remote_control(&url);
    let (mut a, b) = workers(&url);
    rights_on_rabbitmq(&broker);
    proven(&url);
    cost(broker.port, rabbit_url, 100..320);
    let left = |connections: usize| {
        let owners = broker.rabbitmqctl(&["list_connections", "--quiet", "--no-table-headers", "name", "client_properties"]);
        let queues = broker.rabbitmqctl(&["list_queues", "--quiet", "--no-table-headers", "name"]);
        let bindings = broker.rabbitmqctl(&["list_bindings", "--quiet", "--no-table-headers", "source_name", "destination_name"]);
        let exchanges = broker.rabbitmqctl(&["list_exchanges", "--quiet", "--no-table-headers", "name"]);
        let found = |text: &str| text.matches("allswell.").count();
        (owners.matches("\"allswell\"").count(), found(&queues), found(&exchanges)) == (connections, connections, 0)
            && (connections > 0 || found(&bindings) == 0)
    };
    eventually("nothing is left of earlier checks", || left(0).then_some(()));
    let probed = dropped(&url);
    eventually("one connection, with one queue, is left", || left(1).then_some(()));
    drop(probed);
    eventually("nothing is left", || left(0).then_some(()));
    killed(&url);
    eventually("nothing is left", || left(0).then_some(()));

    let limited = Probed::new(&on(&url, ""));
    limited.pass();
    broker.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
    let full = "the broker is short of memory or disk space, and accepts no messages";
    eventually("the alarm", || (limited.probe().err()?.message() == full).then_some(()));
    assert_failures(&[Case::new("no memory", on(&url, ""), "exhausted", full)]);
    broker.rabbitmqctl(&["set_vm_memory_high_watermark", "0.8"]);
    eventually("the end of the alarm", || limited.probe().ok());
    drop(limited);

    busy(&url, &a);
    silence_and_return(&url, &a, b);
    a.terminate();
    let gone = Probed::new(&on(&url, ""));
    eventually("nobody is connected", || (gone.fail().message() == "no worker replied: none is connected").then_some(()));
    drop(gone);
    eventually("nothing is left", || left(0).then_some(()));
    broker.pause();
    assert_failures(&[Case::new("paused", on(&url, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    broker.resume();
    broker.kill();
    assert_failures(&[Case::new("killed", on(&url, ""), "unreachable", "connection refused")]);
}

#[test]
fn everything_about_workers_on_redis() {
    let mut broker = redis(PASSWORD);
    let url = redis_url(broker.port);
    redis_failures(&broker);
    assert_failures(&[Case::new("nobody", on(&url, ""), "unhealthy", "no worker replied: none is connected")]);
    without_remote_control(&url);
    let (mut a, b) = workers(&url);
    rights_on_redis(&broker);
    proven(&url);
    cost(broker.port, redis_url, 200..700);
    let connections = || broker.redis_cli(PASSWORD, &["CLIENT", "LIST"]).matches("user=probe ").count();
    eventually("nothing is left of earlier checks", || (connections() == 0).then_some(()));
    let probed = dropped(&format!("redis://probe:probe-password@127.0.0.1:{}/3", broker.port));
    eventually("one connection is left", || (connections() == 1).then_some(()));
    assert_eq!(keys_of_ours(&broker, "-1"), 0, "no key of ours lives for ever");
    drop(probed);
    killed(&url);
    assert_eq!(keys_of_ours(&broker, "-1"), 0, "no key of ours lives for ever");

    // Each priority has a list of its own.
    for list in ["bills", "bills\u{6}\u{16}3", "bills\u{6}\u{16}6", "bills\u{6}\u{16}9"] {
        broker.redis_cli(PASSWORD, &["-n", "3", "LPUSH", list, "a message"]);
    }
    let unconsumed = Probed::new(&on(&url, "queues = [\"bills\"]\npatience = \"1s\"\nfail_backlog = 3")).fail();
    assert_eq!(unconsumed.message(), "no worker consumes the queue bills; 4 messages wait in the queue bills, more than 3");

    late_answers_vanish(&broker, &url, &a);
    busy(&url, &a);
    silence_and_return(&url, &a, b);
    assert_eq!(keys_of_ours(&broker, "-1"), 0, "no key of ours lives for ever");
    a.terminate();
    let gone = Probed::new(&on(&url, ""));
    eventually("nobody is connected", || (gone.fail().message() == "no worker replied: none is connected").then_some(()));
    broker.pause();
    assert_failures(&[Case::new("paused", on(&url, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    broker.resume();
    broker.kill();
    assert_failures(&[Case::new("killed", on(&url, ""), "unreachable", "connection refused")]);
}

fn rabbitmq_failures(broker: &Server) {
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
        Case::new(
            "vhost",
            on(&format!("amqp://app:{PASSWORD}@127.0.0.1:{port}/none"), ""),
            "rejected",
            "the vhost does not exist, or the user may not access it",
        ),
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

fn redis_failures(broker: &Server) {
    let (hole, port) = (BlackHole::new(), broker.port);
    let cut = Proxy::to(port);
    cut.cut_after(100);
    let endless = Hostile::endless(b"$2000000000\r\n", b"x").port();
    let too_long = "the reply is not in the expected protocol";
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

/// What the workers prove, and what they do not.
fn proven(url: &str) {
    let all =
        Probed::new(&on(url, "workers = [\"a@test\", \"b@test\"]\nqueues = [\"celery\", \"mails\"]\nmin_workers = 2\nfail_backlog = 0"));
    let seen = all.pass();
    assert_eq!(seen.values()["workers"], json!(["a@test", "b@test"]));
    assert_eq!(seen.values()["queues"], json!({ "celery": ["a@test"], "mails": ["b@test"] }));
    assert_eq!(seen.values()["backlog"], json!({ "celery": 0, "mails": 0 }));
    assert_eq!(seen.warning(), None);
    // As soon as one has answered there is enough; of the others is known what their heartbeats tell.
    let one = Probed::new(&on(url, ""));
    eventually("both are known", || (one.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
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
    // What is not there closes a channel on RabbitMQ, and it is asked for again.
    let missing = Probed::new(&on(url, "queues = [\"celery\", \"bills\"]\npatience = \"1s\""));
    for _ in 0..3 {
        let failure = missing.fail();
        assert_eq!(failure.message(), "no worker consumes the queue bills");
        assert_eq!(failure.values()["backlog"]["celery"], 0);
    }
}

fn cost(port: u16, url: fn(u16) -> String, round_trips: std::ops::Range<usize>) {
    let proxy = Proxy::to(port);
    let probed = Probed::new(&on(&url(proxy.port), "min_workers = 2\nqueues = [\"celery\", \"mails\"]"));
    probed.pass();
    let (connections, before) = (proxy.connections(), proxy.round_trips());
    probed.passes(100);
    assert_eq!(proxy.connections(), connections, "a kept connection");
    let made = proxy.round_trips() - before;
    // Answers come one by one, and what is said between two of them may be counted as a turn.
    assert!(round_trips.contains(&made), "{made} round trips");
    // That a worker is silent is no reason to doubt the broker, however long it was waited for.
    for patience in ["50ms", "1100ms"] {
        let missing = Probed::new(&on(&url(proxy.port), &format!("workers = [\"c@test\"]\npatience = \"{patience}\"")));
        missing.fail();
        let connections = proxy.connections();
        missing.fail();
        missing.fail();
        assert_eq!(proxy.connections(), connections, "a kept connection");
    }
}

/// Drops probes wherever one can, and gives one that still works.
fn dropped(url: &str) -> Probed {
    let probed = Probed::new(&on(url, "queues = [\"celery\"]"));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    probed
}

/// The whole program, killed hard in the middle of its work.
fn killed(url: &str) {
    let service =
        Allswell::start(&format!("[checks.workers]\n{}\ninterval = \"100ms\"\ntimeout = \"50ms\"\n", on(url, "patience = \"40ms\"")));
    service.await_report("/health/workers", "it has asked", |response| {
        response.json()["components"]["workers"]["consecutive"].as_u64() > Some(3)
    });
    service.signal(rustix::process::Signal::KILL);
}

const BUSY: &str = "a recent heartbeat, but no reply within 1s from the worker a@test";

/// A worker that cannot answer is busy as long as it has been heard of lately.
fn busy(url: &str, a: &Server) {
    let named = Probed::new(&on(url, "workers = [\"a@test\"]\nqueues = [\"celery\"]\npatience = \"1s\""));
    let warned = || named.probe().ok()?.warning().map(str::to_owned);
    let paused = eventually("a heartbeat was heard before the pause", || {
        a.resume();
        named.probe().ok()?;
        a.pause();
        warned()
    });
    a.resume();
    assert_eq!(paused, BUSY);
    eventually("it answers again", || named.pass().warning().is_none().then_some(()));
    // With one thread for all, a long task holds up everything else; what is sent meanwhile waits.
    send_tasks(url, "celery", &[&["nap(8)"], &["nothing()"; 8][..]].concat());
    let napping = eventually("the task is begun", || named.pass().warning().map(str::to_owned));
    assert_eq!(napping, BUSY);
    let waiting = named.pass().values()["backlog"]["celery"].as_u64().expect("a number");
    assert!((2..=8).contains(&waiting), "{waiting} messages wait");
    let limit = |key: &str| Probed::new(&on(url, &format!("{key} = 1")));
    let message = format!("{waiting} messages wait in the queue celery, more than 1");
    assert_eq!(limit("warn_backlog").pass().warning(), Some(&*message));
    let failure = limit("fail_backlog").fail();
    assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", &*message));
    // Tasks of the other worker run in a process of their own.
    send_tasks(url, "mails", &["nap(2)"]);
    let other = Probed::new(&on(url, "workers = [\"b@test\"]"));
    for _ in 0..10 {
        assert_eq!(other.pass().warning(), None);
    }
    eventually("the work is done", || {
        let seen = named.probe().ok()?;
        (seen.warning().is_none() && seen.values()["backlog"]["celery"] == 0).then_some(())
    });
}

/// All workers fall silent: one is killed, one does not go on. In the end they are not believed to be busy, and one comes back.
fn silence_and_return(url: &str, a: &Server, mut b: Server) {
    let probed = Probed::new(&on(url, "patience = \"1s\""));
    let both = Probed::new(&on(url, "workers = [\"a@test\", \"b@test\"]\npatience = \"1s\""));
    both.pass();
    a.pause();
    b.kill();
    let all_are_silent = "no worker replied within 1s; no reply within 1s from the workers a@test, b@test";
    eventually("both have been silent for long", || both.probe().err().filter(|failure| failure.message() == all_are_silent));
    assert_eq!(probed.fail().message(), "no worker replied within 1s");
    a.resume();
    eventually("it answers again", || probed.probe().ok());
}

/// Workers that take no commands are known by their heartbeats alone.
fn without_remote_control(url: &str) {
    let probed = Probed::new(&on(url, ""));
    assert_eq!(probed.fail().message(), "no worker replied: none is connected");
    let mut quiet = celery_without_remote_control(url, "quiet@test", "celery");
    let seen = eventually("a heartbeat", || probed.probe().ok());
    assert_eq!(seen.warning(), Some("a recent heartbeat, but no mailbox for the worker quiet@test"));
    assert_eq!(seen.values()["workers"], json!(["quiet@test"]));
    // Who says goodbye is believed at once.
    quiet.terminate();
    assert_eq!(probed.fail().message(), "no worker replied: none is connected");
}

/// How many keys of ours have this time to live.
fn keys_of_ours(broker: &Server, time_to_live: &str) -> usize {
    let keys = broker.redis_cli(PASSWORD, &["-n", "3", "KEYS", "*allswell*"]);
    let lives = |key: &&str| broker.redis_cli(PASSWORD, &["-n", "3", "TTL", key]).trim() == time_to_live;
    keys.lines().filter(|key| !key.is_empty()).filter(lives).count()
}

/// A worker that answers only when nobody waits any more, and our keys have expired, does not make them anew.
fn late_answers_vanish(broker: &Server, url: &str, a: &Server) {
    let clear = || {
        let keys = broker.redis_cli(PASSWORD, &["-n", "3", "KEYS", "*allswell*"]);
        let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
        broker.redis_cli(PASSWORD, &[&["-n", "3", "DEL", "none"], &*keys].concat());
    };
    let late = Probed::new(&on(url, "workers = [\"a@test\"]\nmin_workers = 2\npatience = \"1s\""));
    late.pass();
    a.pause();
    let _ = late.probe();
    drop(late);
    // As if time had passed.
    clear();
    let next = Probed::new(&on(url, "workers = [\"a@test\"]\npatience = \"1s\""));
    a.resume();
    // A worker answers in order: who has answered this has answered that.
    eventually("it answers again", || next.probe().ok().filter(|seen| seen.warning().is_none()));
    let keys = broker.redis_cli(PASSWORD, &["-n", "3", "KEYS", "*allswell*"]);
    assert_eq!(keys.lines().filter(|key| !key.is_empty()).count(), 2, "a list and a set of the last check alone: {keys}");
    assert_eq!(keys_of_ours(broker, "-1"), 0);
    drop(next);
}

/// Exactly the rights that the documentation asks for, and fewer.
fn rights_on_rabbitmq(broker: &Server) {
    let grant =
        |configure: &str, write: &str, read: &str| broker.rabbitmqctl(&["set_permissions", "-p", "/", "probe", configure, write, read]);
    broker.rabbitmqctl(&["add_user", "probe", "probe-password"]);
    let table = |more: &str| on(&format!("amqp://probe:probe-password@127.0.0.1:{}/", broker.port), more);
    grant(r"^allswell\.", r"^(allswell\..*|celery\.pidbox)$", r"^(allswell\..*|celeryev)$");
    let least = Probed::new(&table("queues = [\"mails\"]"));
    eventually("both are known", || (least.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
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

fn rights_on_redis(broker: &Server) {
    let grant = |rights: &str| {
        let rights: Vec<&str> = rights.split(' ').collect();
        assert_eq!(
            broker.redis_cli(PASSWORD, &[&["ACL", "SETUSER", "probe", "reset", "on", ">probe-password"], &*rights].concat()).trim(),
            "OK"
        );
    };
    let table = |more: &str| on(&format!("redis://probe:probe-password@127.0.0.1:{}/3", broker.port), more);
    let least = "resetchannels &/3.celery.pidbox &/3.celeryev/worker.* ~allswell.* ~_kombu.binding.amq.allswell.* -@all +multi +exec +del +rpush +expire +sadd +publish +lrange +psubscribe +select";
    grant(least);
    let probed = Probed::new(&table("queues = [\"mails\"]"));
    eventually("both are known", || (probed.observed("workers") == json!(["a@test", "b@test"])).then_some(()));
    assert_eq!(probed.pass().values().get("backlog"), None, "it may not be seen, and that is no failure");
    assert_failures(&[Case::new(
        "a limit that cannot be told",
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
    grant(least);
}
