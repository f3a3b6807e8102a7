//! What backends see of polls: nothing; and how soon a fresh answer comes.

use crate::{
    figures::Figures,
    scene::Scene,
    service::Service,
    table::Row,
    wrk::{Load, wrk},
};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How many probes reach a backend in each interval, however many poll.
pub(crate) fn per_interval(scene: &Scene) -> Vec<Row> {
    const SECONDS: u64 = 20;
    let service = Service::allswell(&scene.configuration("interval = \"1s\"\ntimeout = \"500ms\"\njitter = 0.0"));
    service.await_status(200);
    let counted = [0, 32, 1000].map(|pollers| {
        // From just after one probe to just after another.
        let first = next_ping(scene, scene.pings());
        let began = Instant::now();
        if pollers > 0 {
            wrk(service.address, Load { connections: pollers, seconds: SECONDS, ..Load::KEPT });
        }
        sleep(Duration::from_secs(SECONDS).saturating_sub(began.elapsed()));
        let last = next_ping(scene, scene.pings());
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let probes = (last - first) as f64;
        (pollers, probes / began.elapsed().as_secs_f64())
    });
    let found: Vec<String> = counted.iter().map(|(pollers, probes)| format!("{probes:.2} with {pollers:.0} pollers")).collect();
    let exact = counted.iter().all(|(_, probes)| (0.98..=1.02).contains(probes));
    vec![Row::new("probes on a backend in an interval", "exactly 1", found.join(", "), exact)]
}

/// Waits until there is one more than that.
fn next_ping(scene: &Scene, known: u64) -> u64 {
    crate::helpers::eventually("a probe", || Some(scene.pings()).filter(|pings| *pings > known))
}

/// How long a fresh answer takes beyond the backend's own time.
pub(crate) fn fresh(scene: &Scene) -> Vec<Row> {
    let configuration = format!(
        "[checks.slow]\nkind = \"postgres\"\nurl = \"{}\"\nquery = \"SELECT pg_sleep(0.1)\"\ninterval = \"1m\"\ntimeout = \"5s\"\n",
        scene.postgres_url()
    );
    let service = Service::allswell(&configuration);
    service.await_status(200);
    let beyond: Figures = (0..21)
        .map(|_| {
            // At most one round of fresh probes begins in a second.
            sleep(Duration::from_millis(1100));
            let answer = service.get("/health?fresh");
            let took = answer.json()["components"]["slow"]["duration_ms"].as_f64().expect("a duration");
            answer.took.as_secs_f64() * 1e3 - took
        })
        .collect();
    let found = format!("T + {} ms, with a T of 100 ms by `pg_sleep`", beyond.shown(2));
    vec![Row::at_most("`?fresh` with a backend that takes T", "≤ T + 2 ms at the median", found, beyond.median(), 2.0)]
}
