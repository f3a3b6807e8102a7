//! Measures that polls cause no probes, and how long the response to `?fresh` takes.

use crate::{
    backends::Backends,
    figures::Figures,
    servers::proxy::Proxy,
    service::Service,
    table::Row,
    wrk::{Load, wrk},
};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Counts the probes that reach a backend in each interval, with different numbers of pollers: for Redis by its own statistics, and for backends that
/// reply once to each probe by the round trips through a proxy, relative to those without pollers.
pub(crate) fn probes_per_interval(backends: &Backends) -> Vec<Row> {
    // Three times that is less than `max_connection_age`: no connection is renewed meanwhile.
    const SECONDS: u64 = 15;
    // RabbitMQ also receives heartbeats, so it is not counted.
    let servers = [&backends.postgres, &backends.redis, &backends.memcached];
    let proxies = servers.map(|server| Proxy::to(server.port));
    let direct = backends.configuration("interval = \"1s\"\ntimeout = \"500ms\"\njitter = 0.0");
    let by_proxy = servers
        .iter()
        .zip(&proxies)
        .fold(direct, |text, (server, proxy)| text.replace(&format!(":{}", server.port), &format!(":{}", proxy.port)));
    let service = Service::allswell(&by_proxy);
    service.await_status(200);
    // Half an interval after a probe, no probe is in progress.
    let settled = || {
        await_next_ping(backends, backends.pings());
        sleep(Duration::from_millis(500));
        (Instant::now(), backends.pings(), proxies.each_ref().map(Proxy::round_trips))
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
    let (_, _, without_pollers) = counted[0];
    let counts = counted.iter().map(|(pollers, probes, _)| format!("{probes:.2} with {pollers} pollers"));
    let ratios = counted[1..].iter().flat_map(|(_, _, rates)| rates.iter().zip(without_pollers).map(|(rate, without)| rate / without));
    let ratios: Figures = ratios.collect();
    let measured = format!(
        "{}, counted by Redis; round trips to PostgreSQL, Redis and Memcached {} × those without pollers",
        counts.collect::<Vec<_>>().join(", "),
        ratios.to_text(2)
    );
    let is_unchanged = [0.0, 1.0].iter().all(|share| (0.98..=1.02).contains(&ratios.quantile(*share)));
    let is_exact = is_unchanged && counted.iter().all(|(_, probes, _)| (0.98..=1.02).contains(probes));
    vec![Row::new("probes of a backend per interval", "exactly 1", measured, is_exact)]
}

/// Waits until Redis has received more than `known` pings.
fn await_next_ping(backends: &Backends, known: u64) -> u64 {
    crate::helpers::eventually("a probe", || Some(backends.pings()).filter(|pings| *pings > known))
}

/// Measures how much longer the response to `?fresh` takes than the probe itself.
pub(crate) fn fresh(backends: &Backends) -> Vec<Row> {
    let configuration = format!(
        "[checks.slow]\nkind = \"postgres\"\nurl = \"{}\"\nquery = \"SELECT pg_sleep(0.1)\"\ninterval = \"1m\"\ntimeout = \"5s\"\n",
        backends.postgres_url()
    );
    let service = Service::allswell(&configuration);
    service.await_status(200);
    let beyond: Figures = (0..21)
        .map(|_| {
            // At most one round of fresh probes starts per second.
            sleep(Duration::from_millis(1100));
            let response = service.get("/health?fresh");
            let probe_ms = response.json()["components"]["slow"]["duration_ms"].as_f64().expect("a duration");
            response.took.as_secs_f64() * 1e3 - probe_ms
        })
        .collect();
    let measured = format!("T + {} ms, with `pg_sleep` as the backend and a T of 100 ms", beyond.to_text(2));
    vec![Row::at_most("`?fresh` with a backend that takes T", "≤ T + 2 ms at the median", measured, beyond.median(), 2.0)]
}
