//! Polls read memory: they cause no probe, open no connection, and do not wait.

use crate::{
    helpers::{Allswell, eventually, get, get_with},
    servers::{hostile::Hostile, redis},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const PASSWORD: &str = "correct-horse";

#[test]
fn a_thousand_polls_cause_no_probe_and_open_no_connection() {
    let redis = redis(PASSWORD);
    let service = Allswell::start(&format!(
        "[checks.cache]\nkind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{}\"\ninterval = \"1h\"\ntimeout = \"20s\"\n",
        redis.port
    ));
    assert_eq!(service.get("/health").status, 200);
    let counted = |info: &str, field: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
        line.chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse::<u64>()
            .expect("a number")
    };
    let pings = || counted(&redis.redis_cli(PASSWORD, &["INFO", "commandstats"]), "cmdstat_ping:");
    let connections = || counted(&redis.redis_cli(PASSWORD, &["INFO", "stats"]), "total_connections_received:");
    let (pings_before, connections_before) = (pings(), connections());
    let address = service.address;
    let pollers: Vec<_> = (0..4).map(|_| thread::spawn(move || (0..250).all(|_| get(address, "/health").status == 200))).collect();
    assert!(pollers.into_iter().all(|poller| poller.join().expect("no panic")));
    assert_eq!(pings(), pings_before);
    // Two connections of this test's own redis-cli came between the counts.
    assert_eq!(connections() - connections_before, 2);
}

#[test]
fn concurrent_fresh_polls_share_a_probe_and_at_most_one_runs_per_second() {
    let server = Hostile::silent();
    let service = Allswell::start(&format!("[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\ninterval = \"1h\"\n", server.address));
    assert_eq!(service.get("/health").status, 200);
    server.await_accepted(1);
    let (address, start) = (service.address, Instant::now());
    let pollers: Vec<_> = (0..20).map(|_| thread::spawn(move || get(address, "/health?fresh").status)).collect();
    assert!(pollers.into_iter().all(|poller| poller.join().expect("no panic") == 200));
    server.await_accepted(2);
    let rounds = server.accepted() - 1;
    let most = usize::try_from(start.elapsed().as_secs()).expect("a number") + 1;
    assert!((1..=most).contains(&rounds), "{rounds} rounds in {:?}", start.elapsed());
}

#[test]
fn fresh_requires_the_token_if_one_is_configured() {
    let server = Hostile::silent();
    let configuration =
        format!("[server]\ntoken = \"open-sesame\"\n[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\ninterval = \"1h\"\n", server.address);
    let service = Allswell::start(&configuration);
    assert_eq!(service.get("/health").status, 200);
    let without = service.get("/health?fresh");
    assert_eq!(without.status, 200, "the response has the verdict nevertheless");
    assert_eq!(without.json()["components"]["port"]["consecutive"], 1);
    let with = get_with(service.address, "/health?fresh", "Authorization: Bearer open-sesame\r\n");
    assert_eq!(with.json()["components"]["port"]["consecutive"], 2);
}

#[test]
fn every_response_leaves_by_the_deadline_with_the_known_results() {
    let server = Hostile::silent();
    let service = Allswell::start(&format!(
        "[server]\ndeadline = \"300ms\"\n[checks.web]\nkind = \"http\"\nurl = \"http://{}\"\ntimeout = \"1h\"\ninterval = \"2h\"\n\
         [checks.port]\nkind = \"tcp\"\naddress = \"{}\"\n",
        server.address, server.address
    ));
    let pending = service.get("/health");
    assert_eq!((pending.status, pending.class("web").as_deref()), (500, Some("pending")));
    assert!(pending.took >= Duration::from_millis(300), "the poll waits for the first result: {:?}", pending.took);
    assert!(pending.took < Duration::from_secs(5), "but not for long: {:?}", pending.took);
    assert_eq!(pending.json()["components"]["port"]["status"], "pass");
    assert_eq!(service.get("/health/port").status, 200);
    assert_eq!(service.get("/startupz").status, 500);
    assert_eq!(service.get("/livez").status, 200);
}

#[test]
fn a_stale_component_stays_failed_when_the_next_probe_fails() {
    for policy in ["fall = 3\n", "hold = \"1m\"\n", "fall = 3\nhold = \"1m\"\nrise = 2\n"] {
        let mut backend = redis(PASSWORD);
        let service = Allswell::start(&format!(
            "[checks.cache]\nkind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{}\"\ninterval = \"500ms\"\ntimeout = \"500ms\"\n{policy}",
            backend.port
        ));
        service.await_report("/health", "the component passes", |report| report.status == 200);
        service.signal(rustix::process::Signal::STOP);
        backend.kill();
        // The last result becomes older than the maximum age of two seconds.
        thread::sleep(Duration::from_millis(2500));
        service.signal(rustix::process::Signal::CONT);
        let resumed = Instant::now();
        while resumed.elapsed() < Duration::from_secs(2) {
            let answer = service.get("/health");
            assert_eq!(answer.status, 500, "{policy}{}", answer.text);
        }
        assert_eq!(service.get("/health").class("cache").as_deref(), Some("unreachable"));
        let last = eventually("the log has the reason", || service.events().into_iter().rfind(|event| event["component"] == "cache"));
        assert_eq!((&last["to"], &last["class"]), (&"fail".into(), &"unreachable".into()), "not only that the last result is too old");
        backend.restart();
        let well = service.await_report("/health", "the component passes again", |report| report.status == 200);
        assert_eq!(well.json()["components"]["cache"]["last_failure"]["class"], "unreachable", "{}", well.body);
    }
}

#[test]
fn a_resumed_service_waits_for_a_new_result() {
    let server = Hostile::silent();
    let service = Allswell::start(&format!(
        "[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\ninterval = \"100ms\"\ntimeout = \"100ms\"\n",
        server.address
    ));
    assert_eq!(service.get("/health").status, 200);
    service.signal(rustix::process::Signal::STOP);
    // The last result becomes older than the maximum age of two seconds.
    thread::sleep(Duration::from_millis(2500));
    service.signal(rustix::process::Signal::CONT);
    let answer = service.get("/health");
    assert_eq!(answer.status, 200, "the poll waits for a new result instead of reporting the old one as stale: {}", answer.text);
    assert_eq!(service.get("/livez").status, 200);
    eventually("the stall is logged", || service.events().into_iter().find(|event| event["message"] == "the probe engine was stalled"));
}
