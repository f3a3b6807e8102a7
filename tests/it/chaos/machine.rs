//! Faults of the machine: clock jumps, a stopped service, and disks that are full, read-only or hung.

use super::{
    INTERVAL, is_full,
    table::{Measurement, print_rows},
    trial::{Expected, Trial},
};
use crate::{
    helpers::{Allswell, eventually},
    servers::{mounts::Mounted, redis},
};
use rustix::process::Signal;
use std::{
    cell::RefCell,
    fs, thread,
    time::{Duration, Instant},
};

#[test]
fn full_read_only_and_hung_disks_are_detected() {
    let mut rows: Vec<Measurement> = Vec::new();
    if let Some(small) = Mounted::tmpfs("size=256k") {
        let filler = small.path().join("filler");
        let mut trial = Trial::new("storage", &storage(&small), None);
        let fill = || {
            // Until the disk is full.
            let _ = fs::write(&filler, vec![0; 1 << 20]);
        };
        rows.push(trial.meets("full disk", Expected::Fails(&["exhausted"]), fill, || drop(fs::remove_file(&filler))));
    }
    if let Some(frozen) = Mounted::ext4() {
        let mut trial = Trial::new("storage", &storage(&frozen), None);
        let held = RefCell::new(None);
        trial.rounds = trial.rounds.min(10);
        rows.push(trial.meets(
            "hung mount",
            Expected::Fails(&["timeout"]),
            || *held.borrow_mut() = Some(frozen.freeze()),
            || drop(held.borrow_mut().take()),
        ));
        let read_only = Expected::Fails(&["unhealthy", "rejected"]);
        rows.push(trial.meets("read-only file system", read_only, || frozen.make_read_only(), || frozen.make_writable()));
    }
    print_rows("5-disks", rows);
}

fn storage(mounted: &Mounted) -> String {
    format!("kind = \"storage\"\npath = \"{}\"", mounted.path().display())
}

#[test]
fn a_clock_jump_changes_only_displayed_times() {
    let library = ["x86_64", "aarch64"].map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"));
    let library = library.into_iter().find(|library| fs::exists(library).unwrap_or(false)).expect("libfaketime; run `cargo xtask servers`");
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    let set = |offset: &str| fs::write(&clock, offset).expect("a file");
    set("+0");
    let configuration = Trial::configuration("kind = \"tcp\"\naddress = \"127.0.0.1:1\"", None).replace("127.0.0.1:1", &silent());
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("a path")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let service = Allswell::start_with(&configuration, &variables);
    let generated = |service: &Allswell| service.get("/health").json()["generated_at"].as_str().expect("a time").to_owned();
    let mut trial = Trial::of(service, "tcp", None);
    let before = generated(&trial.service);
    set("+3600");
    let jumped = eventually("the clock has jumped", || Some(generated(&trial.service)).filter(|now| now[..13] != before[..13]));
    assert!(jumped > before, "{before}, then {jumped}");
    set("+0");
    let mut rows = Vec::new();
    for (fault, offset) in [("clock steps an hour forward", "+3600"), ("clock steps an hour back", "-3600")] {
        rows.push(trial.meets(fault, Expected::Passes, || set(offset), || set("+0")));
    }
    print_rows("6-clock", rows);
}

fn silent() -> String {
    crate::servers::hostile::Hostile::silent().address.to_string()
}

#[test]
fn a_resumed_service_reports_no_old_results() {
    print_rows("7-stopped", vec![stopped(), stopped_while_the_backend_died()]);
}

fn stopped() -> Measurement {
    let server = crate::servers::hostile::Hostile::silent();
    let (nap, naps) = if is_full() { (Duration::from_secs(60), 2) } else { (Duration::from_secs(4), 1) };
    let configuration = Trial::configuration(&format!("kind = \"tcp\"\naddress = \"{}\"", server.address), None);
    let service = Allswell::start(&configuration);
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let mut row = Measurement {
        fault: "SIGSTOP of allswell itself",
        subject: format!("for {} s", nap.as_secs()),
        class: Some("stale, or a fresh result by the deadline".to_owned()),
        detected: Duration::ZERO,
        detection_bound: Duration::from_millis(800),
        recovered: Duration::ZERO,
        recovery_bound: INTERVAL.mul_f64(1.1) + super::TIMEOUT,
        rounds: naps,
    };
    for _ in 0..naps {
        service.signal(Signal::STOP);
        thread::sleep(nap);
        service.signal(Signal::CONT);
        let awake = Instant::now();
        let first = service.get("/health");
        row.detected = row.detected.max(first.took);
        // Results from before the stop are too old: the response has waited for new ones, or reports them as stale.
        let json = first.json();
        for (name, component) in json["components"].as_object().expect("components") {
            let age = age(&json["generated_at"], &component["checked_at"]);
            assert!(age < Duration::from_secs(4) || component["failure"]["class"] == "stale", "{name} is {age:?} old: {component}");
        }
        service.await_report("/health", "the component passes again", |report| report.status == 200);
        row.recovered = row.recovered.max(awake.elapsed());
    }
    assert!(row.recovered < row.recovery_bound + super::NOISE, "{row:?}");
    row
}

/// The first probe after the stop decides, whatever `fall` and `hold` allow.
fn stopped_while_the_backend_died() -> Measurement {
    const PASSWORD: &str = "correct-horse";
    let mut backend = redis(PASSWORD);
    let table = format!("kind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{}\"\nfall = 3\nhold = \"1m\"", backend.port);
    let service = Allswell::start(&Trial::configuration(&table, None));
    let mut row = Measurement {
        fault: "SIGSTOP of allswell itself while the backend died",
        subject: "redis with fall = 3 and hold = 1m".to_owned(),
        class: Some("stale, then unreachable".to_owned()),
        detected: Duration::ZERO,
        detection_bound: Duration::from_millis(800),
        recovered: Duration::ZERO,
        recovery_bound: INTERVAL.mul_f64(1.1) + super::TIMEOUT,
        rounds: if is_full() { 20 } else { 1 },
    };
    for _ in 0..row.rounds {
        service.await_report("/health", "the component passes", |report| report.status == 200);
        service.signal(Signal::STOP);
        backend.kill();
        thread::sleep(Duration::from_secs(4));
        service.signal(Signal::CONT);
        let awake = Instant::now();
        while awake.elapsed() < INTERVAL * 5 {
            let answer = service.get("/health");
            assert_eq!(answer.status, 500, "no new result has passed: {}", answer.text);
            row.detected = row.detected.max(answer.took);
        }
        backend.restart();
        let back = Instant::now();
        service.await_report("/health", "the component passes again", |report| report.status == 200);
        row.recovered = row.recovered.max(back.elapsed());
    }
    assert!(row.recovered < row.recovery_bound + super::NOISE, "{row:?}");
    row
}

fn age(now: &serde_json::Value, then: &serde_json::Value) -> Duration {
    let time = |value: &serde_json::Value| value.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    Duration::try_from(time(now).duration_since(time(then))).unwrap_or_default()
}
