//! What backends see of polls: nothing; and how soon a fresh answer comes.

use crate::{
    figures::Figures,
    scene::Scene,
    servers::proxy::Proxy,
    service::Service,
    table::Row,
    wrk::{Load, wrk},
};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How many probes reach a backend in each interval, however many poll: by Redis's own count; and whether those that answer a probe by one word
/// hear as much as when nobody polls, by what passes on the way to them.
pub(crate) fn per_interval(scene: &Scene) -> Vec<Row> {
    // Three times that is less than a connection's age: none is renewed meanwhile.
    const SECONDS: u64 = 15;
    // RabbitMQ hears heartbeats as well.
    let servers = [&scene.postgres, &scene.redis, &scene.memcached];
    let proxies = servers.map(|server| Proxy::to(server.port));
    let direct = scene.configuration("interval = \"1s\"\ntimeout = \"500ms\"\njitter = 0.0");
    let by_proxy = servers
        .iter()
        .zip(&proxies)
        .fold(direct, |text, (server, proxy)| text.replace(&format!(":{}", server.port), &format!(":{}", proxy.port)));
    let service = Service::allswell(&by_proxy);
    service.await_status(200);
    // Half an interval after a probe, so that none is under way.
    let settled = || {
        next_ping(scene, scene.pings());
        sleep(Duration::from_millis(500));
        (Instant::now(), scene.pings(), proxies.each_ref().map(Proxy::round_trips))
    };
    let counted = [0, 32, 1000].map(|pollers| {
        let (began, first, before) = settled();
        if pollers > 0 {
            wrk(service.address, Load { connections: pollers, seconds: SECONDS, ..Load::KEPT });
        }
        sleep(Duration::from_secs(SECONDS).saturating_sub(began.elapsed()));
        let (ended, last, after) = settled();
        let each_second = |count: usize| f64::from(u32::try_from(count).expect("a small number")) / (ended - began).as_secs_f64();
        let probes = each_second(usize::try_from(last - first).expect("a small number"));
        (pollers, probes, [0, 1, 2].map(|which| each_second(after[which] - before[which])))
    });
    let (_, _, silence) = counted[0];
    let shown = counted.iter().map(|(pollers, probes, _)| format!("{probes:.2} with {pollers} pollers"));
    let ratios = counted[1..].iter().flat_map(|(_, _, heard)| heard.iter().zip(silence).map(|(heard, silence)| heard / silence));
    let ratios: Figures = ratios.collect();
    let found = format!(
        "{}, by Redis's count; round trips to PostgreSQL, Redis and Memcached {} × those without pollers",
        shown.collect::<Vec<_>>().join(", "),
        ratios.shown(2)
    );
    let as_before = [0.0, 1.0].iter().all(|share| (0.98..=1.02).contains(&ratios.quantile(*share)));
    let exact = as_before && counted.iter().all(|(_, probes, _)| (0.98..=1.02).contains(probes));
    vec![Row::new("probes on a backend in an interval", "exactly 1", found, exact)]
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
