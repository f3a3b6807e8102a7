//! Soak test: many components fail and recover at random for a long time, and the service must report exactly that.

use super::{is_full, table::print_lines, trial::Resources};
use crate::{
    helpers::{Allswell, get},
    servers::{
        breaker::{Breaker, Fault},
        hostile::Hostile,
    },
};
use std::time::{Duration, Instant};

const COMPONENTS: usize = 8;

/// The sum of the samples of a metric with a label.
fn metric(service: &Allswell, name: &str, label: &str) -> u64 {
    let text = get(service.address, "/metrics").body;
    let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn a_soak_reports_every_fault_and_leaks_nothing() {
    let seed = fastrand::u64(..);
    let mut chance = fastrand::Rng::with_seed(seed);
    let lasts = Duration::from_secs(if is_full() { 600 } else { 10 });
    let servers: Vec<(Hostile, Breaker)> = std::iter::repeat_with(|| {
        let server = Hostile::silent();
        let breaker = Breaker::to(server.port());
        (server, breaker)
    })
    .take(COMPONENTS)
    .collect();
    let mut configuration = "[defaults]\ninterval = \"50ms\"\ntimeout = \"1s\"\n".to_owned();
    for (index, (_, breaker)) in servers.iter().enumerate() {
        configuration += &format!("[checks.c{index}]\nkind = \"tcp\"\naddress = \"127.0.0.1:{}\"\n", breaker.port);
    }
    let service = Allswell::start(&configuration);
    service.await_report("/health", "all pass", |report| report.status == 200);
    let transitions = |index: usize| metric(&service, "allswell_transitions_total", &format!("component=\"c{index}\""));
    let at_first: Vec<u64> = (0..COMPONENTS).map(transitions).collect();
    let mut done = [0; COMPONENTS];
    let mut broken = [false; COMPONENTS];
    let start = Instant::now();
    let mut level = None;
    while start.elapsed() < lasts {
        let index = chance.usize(..COMPONENTS);
        broken[index] = !broken[index];
        servers[index].1.set(if broken[index] { Fault::Refused } else { Fault::None });
        let (expected, status) = if broken[index] { ("fail", 500) } else { ("pass", 200) };
        let reported = service
            .await_report(&format!("/health/c{index}"), &format!("seed {seed}: c{index} is {expected}"), |report| report.status == status);
        assert_eq!(reported.json()["components"][format!("c{index}")]["status"], expected);
        done[index] += 1;
        // The verdict follows from the components.
        let whole = service.get("/health");
        let failing: Vec<usize> = (0..COMPONENTS).filter(|index| broken[*index]).collect();
        assert_eq!(whole.status, if failing.is_empty() { 200 } else { 500 }, "seed {seed}: {failing:?}: {}", whole.text);
        if level.is_none() && start.elapsed() > lasts / 4 {
            level = Some(Resources::by(service.pid()));
        }
    }
    for (index, done) in done.into_iter().enumerate() {
        assert_eq!(transitions(index) - at_first[index], done, "seed {seed}: transitions of c{index}");
    }
    let level = level.expect("a quarter of the time has passed");
    let after = Resources::by(service.pid());
    assert!(after.is_back_at(level), "seed {seed}: resources grow: {level:?}, then {after:?}");
    let outcomes = |outcome: &str| metric(&service, "allswell_probes_total", &format!("outcome=\"{outcome}\""));
    let (passed, failed) = (outcomes("pass"), outcomes("fail"));
    assert!(passed > 0 && failed > 0, "{passed} passed, {failed} failed");
    let sum: u64 = done.iter().sum();
    print_lines(
        "9-soak",
        &format!(
            "| {} s, {COMPONENTS} components, every 50 ms | {sum} faults and recoveries, {sum} transitions reported | {passed} probes passed, {failed} failed | {level} | {after} |\n",
            lasts.as_secs()
        ),
    );
}
