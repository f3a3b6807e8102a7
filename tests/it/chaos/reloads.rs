//! Reloads: a new configuration is no evidence about a backend.

use super::{
    is_full,
    table::{Measurement, print_rows},
};
use crate::{
    helpers::Allswell,
    reload::{TOKEN, poll_while, post, write},
    servers::hostile::Slow,
};
use std::time::Duration;

#[test]
fn reloads_under_load_change_no_verdict() {
    let rounds = if is_full() { 20 } else { 2 };
    let row = |fault, subject: &str| Measurement {
        fault,
        subject: subject.to_owned(),
        class: None,
        detected: Duration::ZERO,
        detection_bound: Duration::ZERO,
        recovered: Duration::ZERO,
        recovery_bound: Duration::ZERO,
        rounds,
    };
    // Slower than the deadline of a poll, faster than the timeout of the check.
    let slow = Slow::by(1500);
    let configuration = |more: &str| format!("[server]\ntoken = \"{TOKEN}\"\n[checks.slow]\n{}interval = \"1h\"\n{more}", slow.table());
    let service = Allswell::start(&configuration("timeout = \"5s\"\n"));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let others = poll_while(&service, "/health", || {
        for round in 0..rounds {
            for policy in ["timeout = \"6s\"", "fall = 2", "rise = 3", "hold = \"1m\"", "critical = true"] {
                write(&service, &configuration(&format!("{policy}\njitter = 0.{}\n", round % 5)));
                assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
            }
        }
    });
    assert!(others.is_empty(), "a policy changes no verdict: {others:?}");
    let others = poll_while(&service, "/health", || {
        for round in 0..rounds {
            let added = format!("[checks.added_{round}]\n{}timeout = \"5s\"\n", slow.table());
            write(&service, &configuration(&format!("timeout = \"5s\"\n{added}")));
            assert_eq!(post(&service, "/admin/reload", TOKEN).status, 200);
            let name = format!("added_{round}");
            service.await_report("/health", "the component has a result", |report| report.json()["components"][&name]["status"] == "pass");
        }
    });
    assert!(others.is_empty(), "a check that is added changes no verdict: {others:?}");
    print_rows(
        "7-reloads",
        vec![row("reload of a policy", "http, 1.5 s to answer"), row("reload that adds a slow check", "http, 1.5 s to answer")],
    );
}
