//! One task per component: tick, probe, time limit, panic. The only place that runs probes.

use super::{
    entry::{Entry, Outcome, Transition},
    pulse::Pulse,
};
use crate::{component::Component, report::Status};
use allswell_checks::contract::{Failure, FailureClass, Observation, TimeSpan, milliseconds};
use fastrand::Rng;
use futures_util::FutureExt;
use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// When a component's first two probes are due; from then on there is an interval between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Beginning {
    pub(crate) first: Instant,
    /// What part of an interval the second comes after the first.
    pub(crate) part: f64,
}

impl Beginning {
    /// With an interval between the first two as well.
    pub(crate) const fn at(first: Instant) -> Self {
        Self { first, part: 1.0 }
    }
}

/// Probes one component again and again, and whenever a new round of fresh probes is called.
pub(crate) async fn sample(entry: Arc<Entry>, pulse: Arc<Pulse>, mut rounds: watch::Receiver<u64>, beginning: Beginning, mut random: Rng) {
    let policy = &entry.component.policy;
    let Beginning { first: mut next, mut part } = beginning;
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            called = rounds.changed() => if called.is_err() { return },
        }
        let round = *rounds.borrow_and_update();
        let started = Instant::now();
        probe_and_record(&entry, &pulse, round).await;
        let now = Instant::now();
        // Who is called in between keeps its time: after a round of fresh probes very many would go in step.
        if next <= now {
            let interval = policy.interval.mul_f64(jittered(policy.jitter, random.f64()) * mem::replace(&mut part, 1.0));
            next = next_tick(started, now, interval);
        }
    }
}

/// Probes a component once and records the result.
pub(crate) async fn probe_and_record(entry: &Entry, pulse: &Pulse, round: u64) {
    let started = Instant::now();
    let result = probe(&entry.component).await;
    let duration = started.elapsed();
    let redactor = pulse.redactor();
    // The words of an error are the check's own code, too.
    let outcome = catch_unwind(AssertUnwindSafe(|| Outcome::of(result, &redactor)));
    let outcome = outcome.unwrap_or_else(|panic| Outcome::of(Err(panicked(&*panic)), &redactor));
    entry.record(outcome, duration, round);
    if !announce(entry, pulse) {
        pulse.tick();
    }
}

/// Keeps and logs the change of a component, and tells whether there was one: one line for a transition, none for a probe.
pub(crate) fn announce(entry: &Entry, pulse: &Pulse) -> bool {
    let Some(transition) = entry.transition() else { return false };
    pulse.history.keep(&entry.component.name, &transition);
    // Only now, so that whoever is woken finds the change in the history; and before the log, for which nobody shall wait.
    pulse.bump();
    let Transition { from, report, lasted } = transition;
    let component = &entry.component;
    let (component, kind, critical) = (component.name.as_str(), component.kind, component.policy.critical);
    let (from, to) = (from.map_or("pending", Status::as_str), report.status.as_str());
    // How long the state before held.
    let lasted_ms = lasted.map(milliseconds);
    let duration_ms = report.duration.map(milliseconds);
    let failure = report.failure.as_ref();
    let (class, cause) = (failure.map(|failure| failure.class.as_str()), failure.and_then(|failure| failure.cause.as_deref()));
    let words = failure.map(|failure| &*failure.message).or(report.warning.as_deref()).unwrap_or_default();
    match (report.status, critical) {
        (Status::Fail, true) => {
            tracing::error!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} fails: {words}");
        }
        (Status::Fail, false) => {
            tracing::warn!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} fails: {words}");
        }
        (Status::Warn, _) => tracing::warn!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} warns: {words}"),
        (Status::Pass, _) => tracing::info!(component, kind, from, to, duration_ms, lasted_ms, "{component} passes"),
    }
    true
}

/// One probe within its time limit. A panic, also while it is dropped, is a failure.
async fn probe(component: &Component) -> Result<Observation, Failure> {
    let limit = component.policy.timeout;
    let mut looking = Box::pin(AssertUnwindSafe(async { component.check.probe().await }).catch_unwind());
    let result = match timeout(limit, looking.as_mut()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(panicked(&*panic)),
        Err(_) => Err(Failure::new(FailureClass::Timeout, format!("no answer within {}", TimeSpan(limit)))),
    };
    match catch_unwind(AssertUnwindSafe(|| drop(looking))) {
        Ok(()) => result,
        Err(panic) => Err(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let failure = Failure::new(FailureClass::Panicked, "the check panicked");
    match words {
        Some(words) => failure.because(words.to_owned()),
        None => failure,
    }
}

/// What an interval is multiplied by, as chance has it, which is from 0 to 1.
fn jittered(jitter: f64, chance: f64) -> f64 {
    (1.0 + jitter * (2.0 * chance - 1.0)).max(0.0)
}

/// An interval after the last beginning; ticks that have passed meanwhile are skipped.
fn next_tick(started: Instant, now: Instant, interval: Duration) -> Instant {
    let interval = interval.max(Duration::from_millis(1));
    let missed = now.duration_since(started).as_nanos() / interval.as_nanos();
    started + interval * u32::try_from(missed + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Policy;
    use allswell_checks::contract::Check;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    /// Does what a closure says.
    struct Does<F>(F);

    #[async_trait::async_trait]
    impl<F: Fn() -> Fut + Send + Sync + 'static, Fut: Future<Output = Result<Observation, Failure>> + Send> Check for Does<F> {
        async fn probe(&self) -> Result<Observation, Failure> {
            self.0().await
        }
    }

    fn component(policy: Policy, check: impl Check) -> Component {
        Component::new("c".parse().expect("a name"), "custom", policy, Arc::new(check))
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_dropped_at_its_timeout() {
        let component = component(Policy::default(), Does(std::future::pending));
        let failure = probe(&component).await.expect_err("it never answers");
        assert_eq!((failure.class(), failure.message()), (FailureClass::Timeout, "no answer within 2s"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure_wherever_it_happens() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("while dropped");
            }
        }
        let early = component(Policy::default(), Does(|| async { panic!("boom {}", 7) }));
        let failure = probe(&early).await.expect_err("it panics");
        assert_eq!((failure.class(), failure.cause().as_deref()), (FailureClass::Panicked, Some("boom 7")));
        let late = component(
            Policy::default(),
            Does(|| async {
                let _bomb = Bomb;
                std::future::pending().await
            }),
        );
        assert_eq!(probe(&late).await.expect_err("it panics").cause().as_deref(), Some("while dropped"));
    }

    #[tokio::test(start_paused = true)]
    async fn probes_never_overlap_and_missed_ticks_are_skipped() {
        static RUNNING: AtomicU32 = AtomicU32::new(0);
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let slow = Does(|| async {
            assert_eq!(RUNNING.fetch_add(1, SeqCst), 0, "two probes at a time");
            STARTED.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_secs(25)).await;
            RUNNING.fetch_sub(1, SeqCst);
            Ok(Observation::pass())
        });
        let policy = Policy { jitter: 0.0, timeout: Duration::from_secs(60), ..Policy::default() };
        let entry = Arc::new(Entry::new(component(policy, slow)));
        let (_rounds, called) = watch::channel(0);
        let task = tokio::spawn(sample(entry, Arc::default(), called, Beginning::at(Instant::now()), Rng::with_seed(7)));
        tokio::time::sleep(Duration::from_secs(95)).await;
        // Beginnings at 0, 30, 60, 90: the ticks at 10 and 20 are skipped, not bunched.
        assert_eq!(STARTED.load(SeqCst), 4);
        task.abort();
    }

    #[tokio::test]
    async fn an_error_that_panics_when_it_is_told_is_a_panic_of_the_check() {
        #[derive(Debug)]
        struct Mute;
        impl std::fmt::Display for Mute {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("no words")
            }
        }
        impl std::error::Error for Mute {}
        let mute = component(Policy::default(), Does(|| async { Err(Failure::unreachable(Mute)) }));
        let entry = Entry::new(mute);
        probe_and_record(&entry, &Pulse::default(), 0).await;
        let (report, _) = entry.report(Instant::now());
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Panicked));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        for (chance, factor) in [(0.0, 0.8), (0.25, 0.9), (0.5, 1.0), (1.0, 1.2)] {
            assert!((jittered(0.2, chance) - factor).abs() < 1e-6, "{chance}");
        }
    }
}
