//! Leaks: neither dropped probes nor renewed connections leave anything behind.

use crate::{
    helpers::{Allswell, eventually},
    servers::{
        hostile::{BlackHole, Hostile},
        mariadb, postgres, rabbitmq, redis,
    },
};
use std::fs;

/// The threads and file descriptors of a process.
fn held(pid: u32) -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).expect("proc").count();
    (count("task"), count("fd"))
}

#[test]
fn dropped_probes_leave_nothing_behind() {
    let (silent, hole) = (Hostile::silent(), BlackHole::new());
    let mut configuration = "[defaults]\ninterval = \"100ms\"\ntimeout = \"50ms\"\n".to_owned();
    for (name, port) in [("silent", silent.port()), ("hole", hole.port)] {
        for (kind, url) in [
            ("http", "http://"),
            ("mysql", "mysql://a:b@"),
            ("postgres", "postgres://a:b@"),
            ("rabbitmq", "amqp://a:b@"),
            ("redis", "redis://:b@"),
        ] {
            configuration += &format!("[checks.{kind}_{name}]\nkind = \"{kind}\"\nurl = \"{url}127.0.0.1:{port}/1\"\n");
        }
    }
    let service = Allswell::start(&configuration);
    let rounds = |count: u64| {
        service.await_report("/health", "every probe timed out again and again", |response| {
            let json = response.json();
            json["components"].as_object().is_some_and(|all| {
                all.values().all(|one| one["failure"]["class"] == "timeout" && one["consecutive"].as_u64() > Some(count))
            })
        })
    };
    rounds(10);
    let early = held(service.pid());
    rounds(60);
    // Ten probes may be running at any moment, each with one or two sockets and perhaps a thread.
    let slack = 25;
    let late = eventually("threads and descriptors stay", || {
        let late = held(service.pid());
        (late.0 <= early.0 + slack && late.1 <= early.1 + slack).then_some(late)
    });
    assert!(late.0 < 60 && late.1 < 100, "threads and descriptors: {early:?}, then {late:?}");
    // Six hundred failed probes: a line per check at the start, one for its first result, and none for the others.
    assert!(service.log().lines().count() < 40, "{}", service.log());
}

#[test]
fn renewed_connections_leave_nothing_behind_and_cause_no_failure() {
    let (postgres, mariadb, redis, rabbitmq) = (postgres("secret"), mariadb("secret"), redis("secret"), rabbitmq("secret"));
    let mut configuration = "[defaults]\ninterval = \"100ms\"\ntimeout = \"10s\"\n".to_owned();
    for (kind, url, port, path) in [
        ("postgres", "postgres://app:secret@", postgres.port, "/orders"),
        ("mysql", "mysql://app:secret@", mariadb.port, "/orders"),
        ("redis", "redis://:secret@", redis.port, "/0"),
        ("rabbitmq", "amqp://app:secret@", rabbitmq.port, "/"),
    ] {
        configuration +=
            &format!("[checks.{kind}]\nkind = \"{kind}\"\nmax_connection_age = \"150ms\"\nurl = \"{url}127.0.0.1:{port}{path}\"\n");
    }
    let service = Allswell::start(&configuration);
    let rounds = |count: u64| {
        service.await_report("/health", "every probe passed again and again", |response| {
            let json = response.json();
            json["components"]
                .as_object()
                .is_some_and(|all| all.values().all(|one| one["status"] == "pass" && one["consecutive"].as_u64() > Some(count)))
        })
    };
    rounds(20);
    let early = held(service.pid());
    rounds(100);
    // Closing a connection to the broker takes at most five seconds.
    eventually("threads and descriptors stay", || {
        let late = held(service.pid());
        (late.0 <= early.0 + 5 && late.1 <= early.1 + 10).then_some(())
    });
    drop(service);
    // The broker logs "closing AMQP connection … - allswell": a warning if the client did not close the connection, otherwise a notice.
    for (server, level, complaint) in
        [(&postgres, "LOG", "unexpected EOF"), (&mariadb, "[Warning]", "Aborted connection"), (&rabbitmq, "[warning]", " - allswell,")]
    {
        let log = fs::read_to_string(server.directory.path().join("log")).expect("a log");
        let complaints: Vec<_> = log.lines().filter(|line| line.contains(level) && line.contains(complaint)).collect();
        // When the service ends, each connection may stay unclosed once.
        assert!(complaints.len() <= 1, "{complaints:?}");
    }
}
