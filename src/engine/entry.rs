//! One component's place on the board: its last results, written by its sampler alone and read by everybody without a lock.

use super::{
    hour::Hour,
    moment::Moment,
    track::{Judgement, Reason, Track},
};
use crate::{
    component::Component,
    report::{ComponentReport, FailureReport, Minute, PastFailure, Status, Tally},
};
use allswell_checks::contract::{Failure, FailureClass, Observation, Redactor, TimeSpan, Value, Values};
use arc_swap::ArcSwap;
use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A component and what is known of it.
pub(crate) struct Entry {
    pub(crate) component: Component,
    state: ArcSwap<State>,
    /// Written by the sampler and the supervisor.
    hour: ArcSwap<Hour>,
    /// What the log said last, and since when. Never locked by a poll.
    announced: Mutex<Option<(Status, Instant)>>,
    /// How often the status has changed.
    transitions: AtomicU64,
}

/// What is known of one component.
#[derive(Clone, Default)]
struct State {
    track: Track,
    last: Option<Arc<LastResult>>,
    /// Stays while the component is judged to fail though its last probe passed.
    last_failure: Option<Arc<PastFailure>>,
    /// The last round of fresh probes that it has answered.
    round: u64,
    tally: Arc<Tally>,
}

struct LastResult {
    failed: bool,
    warning: Option<String>,
    values: Arc<Values>,
    duration: Duration,
}

/// What a probe brought back, bounded and without secrets.
pub(crate) struct Outcome {
    raw: Status,
    warning: Option<String>,
    failure: Option<FailureReport>,
    values: Values,
}

impl Outcome {
    /// Calls code of the check's: the `Display` of its errors.
    pub(crate) fn of(result: Result<Observation, Failure>, redactor: &Redactor) -> Self {
        match result {
            Ok(observation) => {
                let (warning, values) = observation.into_parts();
                let raw = if warning.is_some() { Status::Warn } else { Status::Pass };
                Self { raw, warning: warning.map(|text| bounded_text(&text)), failure: None, values: bounded(values) }
            }
            Err(failure) => {
                // Redacted first and cut then: half a secret would not be recognised.
                let cause = failure.cause().map(|cause| bounded_text(&redactor.redact(&cause)));
                let (class, message, values) = failure.into_parts();
                let message = if message.len() > TEXT { bounded_text(&message).into() } else { message };
                Self { raw: Status::Fail, warning: None, failure: Some(FailureReport { class, message, cause }), values: bounded(values) }
            }
        }
    }
}

/// A change of what a component is judged to be.
pub(crate) struct Transition {
    /// None: it had no result.
    pub(crate) from: Option<Status>,
    /// What it is now.
    pub(crate) report: ComponentReport,
    /// How long it was what it was.
    pub(crate) lasted: Option<Duration>,
}

impl Entry {
    pub(crate) fn new(component: Component) -> Self {
        Self {
            component,
            state: ArcSwap::default(),
            hour: ArcSwap::from_pointee(Hour::new(Instant::now())),
            announced: Mutex::default(),
            transitions: AtomicU64::new(0),
        }
    }

    /// Takes in what a probe brought back. Only the component's own sampler may call this: it is the state's one writer.
    pub(crate) fn record(&self, outcome: Outcome, duration: Duration, round: u64) {
        let mut next = State::clone(&self.state.load());
        let failed = outcome.failure.is_some();
        next.last = Some(Arc::new(LastResult { failed, warning: outcome.warning, values: Arc::new(outcome.values), duration }));
        let now = Moment::now();
        next.last_failure = outcome.failure.map(|failure| Arc::new(PastFailure { failure, at: now.wall })).or(next.last_failure);
        next.track.record(&self.component.policy, outcome.raw, now);
        next.round = round;
        Arc::make_mut(&mut next.tally).count(outcome.raw, duration);
        self.see(now.at, next.track.judge(&self.component.policy, now.at).status, Some(duration));
        self.state.store(Arc::new(next));
    }

    /// The change since this was asked for last, by a result or by time alone, if there is one.
    pub(crate) fn transition(&self) -> Option<Transition> {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state.load();
        let now = Instant::now();
        let judgement = state.track.judge(&self.component.policy, now);
        let since = judgement.since?.at;
        self.see(now, judgement.status, None);
        let before = announced.replace((judgement.status, since));
        let (from, lasted) = before.map(|(from, began)| (from, since.saturating_duration_since(began))).unzip();
        (from != Some(judgement.status)).then(|| {
            self.transitions.fetch_add(1, Ordering::Relaxed);
            Transition { from, report: self.report_as(&state, &judgement), lasted }
        })
    }

    /// Remembers for the last hour what it is judged to be at a moment.
    fn see(&self, now: Instant, status: Status, took: Option<Duration>) {
        // Mostly there is nothing new, and nothing to copy.
        if self.hour.load().seen(now, status, took).is_some() {
            self.hour.rcu(|hour| hour.seen(now, status, took).map_or_else(|| Arc::clone(hour), Arc::new));
        }
    }

    /// What it counts as in a verdict at the moment; `None`: it is muted.
    pub(crate) fn counts(&self, now: Instant) -> Option<(Status, bool)> {
        let policy = &self.component.policy;
        policy.enabled.then(|| (self.state.load().track.judge(policy, now).status, policy.critical))
    }

    /// Whether it has answered a round of fresh probes; who is muted need not.
    pub(crate) fn has_answered(&self, round: u64) -> bool {
        !self.component.policy.enabled || self.state.load().round >= round
    }

    /// What it is at the moment, and until when that stands if no result comes.
    pub(crate) fn report(&self, now: Instant) -> (ComponentReport, Option<Instant>) {
        if !self.component.policy.enabled {
            return (muted(&self.component), None);
        }
        let state = self.state.load();
        let judgement = state.track.judge(&self.component.policy, now);
        let until = match judgement.reason {
            // The time that is left is shown: it should move.
            Reason::Held(_) => judgement.until.map(|until| until.min(now + Duration::from_secs(1))),
            _ => judgement.until,
        };
        (self.report_as(&state, &judgement), until)
    }

    fn report_as(&self, state: &State, judgement: &Judgement) -> ComponentReport {
        let report = state.report(&self.component, judgement, self.hour.load().minutes());
        ComponentReport { transitions: self.transitions.load(Ordering::Relaxed), ..report }
    }
}

impl State {
    fn report(&self, component: &Component, judgement: &Judgement, last_hour: Arc<[Minute]>) -> ComponentReport {
        let last = self.last.as_deref();
        let failure = match judgement.reason {
            Reason::Pending => Some(ours(FailureClass::Pending, "there is no result yet".into())),
            Reason::Stale => {
                let limit = TimeSpan(component.policy.max_age());
                Some(ours(FailureClass::Stale, format!("the last result is older than {limit}").into()))
            }
            Reason::Held(_) | Reason::Results => {
                let failing = judgement.status == Status::Fail || last.is_some_and(|last| last.failed);
                self.last_failure.as_ref().filter(|_| failing).map(|last| last.failure.clone())
            }
        };
        ComponentReport {
            status: judgement.status,
            kind: component.kind,
            critical: component.policy.critical,
            muted: false,
            warning: last.and_then(|last| last.warning.clone()),
            failure,
            duration: last.map(|last| last.duration),
            checked_at: self.track.last().map(|(_, at)| at.wall),
            since: judgement.since.map(|since| since.wall),
            consecutive: self.track.consecutive(),
            held_left: match judgement.reason {
                Reason::Held(left) => Some(left),
                _ => None,
            },
            values: last.map(|last| Arc::clone(&last.values)).unwrap_or_default(),
            passed_once: self.track.passed_once(),
            tally: Arc::clone(&self.tally),
            transitions: 0,
            last_failure: self.last_failure.clone(),
            last_hour,
        }
    }
}

/// Nobody knows how it is, so it is not said to pass.
fn muted(component: &Component) -> ComponentReport {
    ComponentReport {
        status: Status::Warn,
        kind: component.kind,
        critical: component.policy.critical,
        muted: true,
        warning: Some("muted: it is never probed".to_owned()),
        ..ComponentReport::default()
    }
}

fn ours(class: FailureClass, message: Cow<'static, str>) -> FailureReport {
    FailureReport { class, message, cause: None }
}

/// The longest text of a result that is kept, in bytes.
const TEXT: usize = 1024;
/// The most observed values that are kept.
const VALUES: usize = 64;
/// The longest observed value that is kept, in bytes of JSON.
const VALUE: usize = 4096;
/// The longest name of an observed value that is kept, in bytes.
const NAME: usize = 128;

/// A check may bring back anything; what is kept and served is bounded.
fn bounded(mut values: Values) -> Values {
    let fits = |value: &Value| serde_json::to_string(value).is_ok_and(|json| json.len() <= VALUE);
    let mut kept = 0;
    values.retain(|name, value| {
        if name.len() > NAME || kept == VALUES {
            return false;
        }
        kept += 1;
        if !fits(value) {
            *value = "(too long to show)".into();
        }
        true
    });
    values
}

fn bounded_text(text: &str) -> String {
    let mut bounded = text[..text.floor_char_boundary(TEXT)].to_owned();
    if bounded.len() < text.len() {
        bounded.push('…');
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Policy;
    use allswell_checks::contract::{Check, Secret};
    use tokio::time::advance;

    struct Never;

    #[async_trait::async_trait]
    impl Check for Never {
        async fn probe(&self) -> Result<Observation, Failure> {
            std::future::pending().await
        }
    }

    fn entry(policy: Policy) -> Entry {
        Entry::new(Component::new("db".parse().expect("a name"), "custom", policy, Arc::new(Never)))
    }

    fn now(entry: &Entry) -> ComponentReport {
        entry.report(Instant::now()).0
    }

    fn record(entry: &Entry, result: Result<Observation, Failure>) -> Option<Transition> {
        let redactor = Redactor::new([&Secret::new("hunter2")]);
        entry.record(Outcome::of(result, &redactor), Duration::ZERO, 0);
        entry.transition()
    }

    #[tokio::test(start_paused = true)]
    async fn results_become_reports_and_transitions() {
        let entry = entry(Policy::default());
        assert_eq!(now(&entry).failure.map(|failure| failure.class), Some(FailureClass::Pending));
        assert!(entry.transition().is_none(), "no result is no change");
        let transition = record(&entry, Ok(Observation::pass().with("n", 1))).expect("the first result");
        assert_eq!((transition.from, transition.report.status), (None, Status::Pass));
        assert!(record(&entry, Ok(Observation::pass())).is_none(), "nothing changed");
        let failed = record(&entry, Err(Failure::unreachable("no hunter2 here"))).expect("it fails now");
        assert_eq!((failed.from, failed.report.status), (Some(Status::Pass), Status::Fail));
        assert_eq!(now(&entry).failure.and_then(|failure| failure.cause).as_deref(), Some("no *** here"));
        record(&entry, Ok(Observation::pass())).expect("it passes again");
        advance(Duration::from_secs(23)).await;
        assert_eq!(now(&entry).failure.map(|failure| failure.message), Some("the last result is older than 22s".into()));
        let stale = entry.transition().expect("time alone changed it");
        assert_eq!((stale.from, stale.report.status, stale.lasted), (Some(Status::Pass), Status::Fail, Some(Duration::from_secs(22))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_hold_is_a_transition() {
        let entry = entry(Policy { hold: Duration::from_secs(5), ..Policy::default() });
        record(&entry, Ok(Observation::pass()));
        let held = record(&entry, Err(Failure::unhealthy("read-only"))).expect("it is held");
        assert_eq!(held.report.status, Status::Warn);
        advance(Duration::from_secs(6)).await;
        let failed = entry.transition().expect("the hold is over");
        assert_eq!((failed.from, failed.report.status, failed.lasted), (Some(Status::Warn), Status::Fail, Some(Duration::from_secs(5))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_is_remembered_when_it_is_over() {
        let entry = entry(Policy { interval: Duration::from_secs(60), ..Policy::default() });
        record(&entry, Ok(Observation::pass()));
        advance(Duration::from_secs(60)).await;
        record(&entry, Err(Failure::unhealthy("read-only")));
        advance(Duration::from_secs(60)).await;
        record(&entry, Ok(Observation::pass()));
        // Far too long without a result: by time alone.
        advance(Duration::from_secs(180)).await;
        entry.transition().expect("it is stale");
        let report = now(&entry);
        let hour: Vec<_> = report.last_hour.iter().filter_map(|minute| minute.worst).collect();
        assert_eq!(hour, [Status::Pass, Status::Fail, Status::Pass, Status::Fail]);
        assert_eq!(report.last_failure.map(|past| past.failure.message.clone()), Some("read-only".into()));
    }

    #[test]
    fn a_secret_is_redacted_before_the_text_is_cut() {
        let long = format!("{}hunter2 postgres://app:secret@db/ tail", "x".repeat(TEXT - 3));
        let outcome = Outcome::of(Err(Failure::unreachable(long)), &Redactor::new([&Secret::new("hunter2")]));
        let cause = outcome.failure.and_then(|failure| failure.cause).expect("a cause");
        assert!(cause.ends_with("x***…") && cause.len() < 1100, "{cause}");
    }

    #[tokio::test]
    async fn a_rising_component_still_says_why_it_fails() {
        let entry = entry(Policy { rise: 2, ..Policy::default() });
        record(&entry, Err(Failure::unhealthy("read-only")));
        record(&entry, Ok(Observation::pass()));
        let report = now(&entry);
        assert_eq!((report.status, report.failure.map(|failure| failure.message)), (Status::Fail, Some("read-only".into())));
        record(&entry, Ok(Observation::pass()));
        assert_eq!((now(&entry).status, now(&entry).failure), (Status::Pass, None));
    }

    #[tokio::test]
    async fn huge_results_are_cut() {
        let entry = entry(Policy::default());
        let huge = (0..1000).fold(Observation::warn("w".repeat(1 << 20)), |seen, n| seen.with(format!("v{n:04}"), "x".repeat(1 << 14)));
        record(&entry, Ok(huge.with("a".repeat(1 << 20), 1)));
        let report = now(&entry);
        assert_eq!(report.values.len(), VALUES);
        assert!(report.values.iter().all(|(name, value)| value == "(too long to show)" && name.len() == 5));
        assert!(report.warning.is_some_and(|warning| warning.len() < 1100));
    }
}
