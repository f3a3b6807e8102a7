//! What is pure, by itself: the state machine, the making of reports, every dialect, and the choice of one.
//!
//! The state machine and the choice of a dialect are nobody's business outside of the crate, so that this compiles their files itself.

use allswell::{
    Aggregator, Check, Failure, Observation, async_trait,
    component::Policy,
    dialect::{Detail, Dialect},
    report::{Report, Status},
};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc, time::Duration};
use tokio::runtime;

#[expect(dead_code, reason = "the engine needs more of it")]
#[path = "../src/engine"]
mod engine {
    pub(crate) mod moment;
    pub(crate) mod track;
}
#[expect(dead_code, unused_imports, reason = "the routes need more of it, and its tests run there")]
#[path = "../src/http/negotiate.rs"]
mod negotiate;

// By the names that those files know them by.
use allswell::{component, dialect, report};
use engine::{moment::Moment, track::Track};

/// One in ten fails, with values and words as a database's.
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

/// A report of which nothing was rendered yet.
fn anew(engine: &Aggregator) -> Arc<Report> {
    // Whatever changes makes the last report out of date.
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
        criterion.bench_with_input(BenchmarkId::new("report/the_last_one", checks), &engine, |bencher, engine| {
            bencher.iter(|| black_box(engine).report());
        });
        criterion.bench_with_input(BenchmarkId::new("report/made_anew", checks), &engine, |bencher, engine| {
            bencher.iter(|| anew(black_box(engine)));
        });
    }
}

fn dialects(criterion: &mut Criterion) {
    let engine = engine(10);
    for dialect in Dialect::ALL {
        criterion.bench_function(&format!("dialect/{}", dialect.name()), |bencher| {
            bencher.iter_batched(|| anew(&engine), |report| dialect.render(&report, Detail::Full), BatchSize::SmallInput);
        });
    }
}

fn negotiation(criterion: &mut Criterion) {
    for (who, accept) in
        [("curl", "*/*"), ("a_browser", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")]
    {
        criterion.bench_function(&format!("negotiation/{who}"), |bencher| {
            bencher.iter(|| negotiate::by_accept([black_box(accept).as_bytes()].into_iter()));
        });
    }
}

criterion_group!(benches, states, reports, dialects, negotiation);
criterion_main!(benches);
