//! Times pure functions: the state machine, building reports, rendering every dialect, and content negotiation. Run it by
//! `cargo bench --bench pure`.
//!
//! The state machine and content negotiation are private to the crate, so this compiles their files itself.

use allswell::{
    Aggregator, Check, Failure, Observation, async_trait,
    component::Policy,
    dialect::{Detail, Dialect},
    report::{Report, Status},
};
use axum::http::{HeaderMap, HeaderValue, header::ACCEPT};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc, time::Duration};
use tokio::runtime;

#[expect(dead_code, reason = "the engine uses the rest")]
#[path = "../src/engine"]
mod engine {
    pub(crate) mod moment;
    pub(crate) mod track;
}
#[path = "../src/http/accept.rs"]
mod accept;
#[expect(dead_code, unused_imports, reason = "the routes use the rest, and the tests run in the crate")]
#[path = "../src/http/negotiate.rs"]
mod negotiate;

// The paths by which those files refer to these modules.
use allswell::{component, dialect, report};
use engine::{moment::Moment, track::Track};

/// A check of which one instance in ten fails, with observed values like those of a database.
struct Database(usize);

#[async_trait]
impl Check for Database {
    async fn probe(&self) -> Result<Observation, Failure> {
        match self.0 % 10 {
            9 => Err(Failure::unreachable("connection refused")),
            _ => Ok(Observation::pass().with("role", "primary").with("connections", 17).with("lag_ms", 0.25)),
        }
    }
}

fn engine(checks: usize) -> Aggregator {
    let builder = (0..checks).fold(Aggregator::builder(), |builder, n| builder.check(&format!("db_{n}"), Database(n)));
    let mut checks = builder.build();
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(checks.probe_all(|_, _| {}));
    checks.aggregator().clone()
}

/// A new report, of which nothing is rendered yet.
fn new_report(engine: &Aggregator) -> Arc<Report> {
    // Any change invalidates the previous report.
    engine.drain();
    engine.undrain();
    engine.report()
}

fn states(criterion: &mut Criterion) {
    let policy = Policy::default().with_rise(2).with_fall(3).with_hold(Duration::from_secs(15));
    let start = Moment::now();
    let mut track = Track::default();
    track.record(&policy, Status::Pass, start);
    criterion.bench_function("state/record", |bencher| {
        bencher.iter(|| black_box(&mut track).record(black_box(&policy), black_box(Status::Pass), black_box(start)));
    });
    criterion.bench_function("state/judge", |bencher| bencher.iter(|| black_box(&track).judge(black_box(&policy), black_box(start.at))));
}

fn reports(criterion: &mut Criterion) {
    for checks in [10, 1000] {
        let engine = engine(checks);
        criterion.bench_with_input(BenchmarkId::new("report/cached", checks), &engine, |bencher, engine| {
            bencher.iter(|| black_box(engine).report());
        });
        criterion.bench_with_input(BenchmarkId::new("report/built", checks), &engine, |bencher, engine| {
            bencher.iter(|| new_report(black_box(engine)));
        });
    }
}

fn dialects(criterion: &mut Criterion) {
    let engine = engine(10);
    for dialect in Dialect::ALL {
        criterion.bench_function(&format!("dialect/{}", dialect.name()), |bencher| {
            bencher.iter_batched(|| new_report(&engine), |report| dialect.render(&report, Detail::Full), BatchSize::SmallInput);
        });
    }
}

fn negotiation(criterion: &mut Criterion) {
    for (client, accept) in
        [("curl", "*/*"), ("a_browser", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")]
    {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        criterion.bench_function(&format!("negotiation/{client}"), |bencher| {
            bencher.iter(|| negotiate::by_accept(black_box(&headers), true));
        });
    }
}

criterion_group!(benches, states, reports, dialects, negotiation);
criterion_main!(benches);
