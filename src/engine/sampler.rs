//! One task per component: waits for the next tick, probes with a timeout, catches panics, records the result. The only place that runs probes.

use super::{
    entry::Entry,
    moment::now,
    outcome::Outcome,
    pulse::Pulse,
    schedule::{FirstProbes, jittered, next_tick, rescheduled},
};
use crate::component::Component;
use allswell_checks::contract::{Failure, FailureClass, Observation, TimeSpan};
use fastrand::Rng;
use futures_util::FutureExt;
use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};

/// A probe that ends this long after its timeout was interrupted: the process was stopped, the machine was suspended, or the probe got no
/// processor time. Its result says nothing about the backend as it is now.
pub(super) const MAX_OVERRUN: Duration = Duration::from_millis(250);

/// Whether the result of an interrupted probe counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    Counts,
    IsDropped,
}

/// Probes one component at its ticks and on request, until it is dropped.
pub(crate) async fn sample(entry: Arc<Entry>, pulse: Arc<Pulse>, first_probes: FirstProbes, mut random: Rng) {
    let FirstProbes { at: mut next, mut second_after } = first_probes;
    let mut interval = entry.component().policy.interval;
    // The first probe answers every earlier request.
    let mut last_began = now();
    let mut was_interrupted = false;
    loop {
        let due = entry.demand.due(Some(last_began)).map_or(next, |requested| requested.min(next));
        tokio::select! {
            () = sleep_until(due) => {}
            () = entry.demand.changed() => {
                let before = mem::replace(&mut interval, entry.component().policy.interval);
                if before != interval {
                    next = rescheduled(next, Instant::now(), before, interval);
                }
                continue;
            }
        }
        let began = Instant::now();
        last_began = now();
        let counted = probe_and_record(&entry, &pulse, Interrupted::IsDropped).await;
        let ended = Instant::now();
        if !counted && !mem::replace(&mut was_interrupted, true) {
            // The result was dropped, so probe again at once; but a check that always overruns keeps its interval.
            next = ended;
            continue;
        }
        was_interrupted = !counted;
        // A requested probe does not move the schedule: otherwise all components would synchronise after `?fresh`.
        if next <= ended {
            let jitter = jittered(entry.component().policy.jitter, random.f64()) * mem::replace(&mut second_after, 1.0);
            next = next_tick(began, ended, interval.mul_f64(jitter));
        }
    }
}

/// Probes a component once and records the result, unless the probe was interrupted and does not count. Returns whether it counted.
pub(crate) async fn probe_and_record(entry: &Entry, pulse: &Pulse, interrupted: Interrupted) -> bool {
    let component = Arc::clone(&entry.component());
    // Durations use a clock that stands still while the machine is suspended, ages one that does not.
    let (began, began_at) = (Instant::now(), now());
    let result = probe(&component).await;
    let duration = began.elapsed();
    let late = now().saturating_duration_since(began_at).saturating_sub(component.policy.timeout);
    if late > MAX_OVERRUN && interrupted == Interrupted::IsDropped {
        tracing::debug!(component = component.name.as_str(), ?late, "the probe was interrupted and does not count");
        return false;
    }
    let redactor = pulse.redactor();
    // The words of an error are the check's own code, too.
    let outcome = catch_unwind(AssertUnwindSafe(|| Outcome::new(result, &redactor)));
    let outcome = outcome.unwrap_or_else(|panic| Outcome::new(Err(panicked(&*panic)), &redactor));
    entry.record(outcome, began_at, duration, pulse);
    true
}

/// Runs one probe with its timeout. A panic is a failure, also a panic while the probe is dropped.
async fn probe(component: &Component) -> Result<Observation, Failure> {
    let limit = component.policy.timeout;
    let mut probing = Box::pin(AssertUnwindSafe(async { component.check.probe().await }).catch_unwind());
    let result = match timeout(limit, probing.as_mut()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(panicked(&*panic)),
        Err(_) => Err(Failure::new(FailureClass::Timeout, format!("no answer within {}", TimeSpan(limit)))),
    };
    match catch_unwind(AssertUnwindSafe(|| drop(probing))) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Policy;
    use allswell_checks::contract::Check;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    /// A check that runs a closure.
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
    async fn a_panic_is_a_failure_also_when_the_probe_is_dropped() {
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
        let task = tokio::spawn(sample(entry, Arc::default(), FirstProbes::at(Instant::now()), Rng::with_seed(7)));
        tokio::time::sleep(Duration::from_secs(95)).await;
        // Probes begin at 0, 30, 60 and 90 s: the ticks at 10 and 20 s are skipped, not caught up.
        assert_eq!(STARTED.load(SeqCst), 4);
        task.abort();
    }

    #[tokio::test]
    async fn an_error_whose_display_panics_counts_as_a_panic_of_the_check() {
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
        probe_and_record(&entry, &Pulse::default(), Interrupted::IsDropped).await;
        let (report, _) = entry.report(Instant::now());
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Panicked));
    }
}
