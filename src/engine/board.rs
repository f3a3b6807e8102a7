//! The board: the last result of every component, written by its sampler alone and read by everybody without a lock.

use super::{
    moment::Moment,
    track::{Judgement, Reason, Track},
};
use crate::{
    component::{CheckName, Component},
    report::{ComponentReport, FailureReport, Status},
};
use allswell_checks::contract::{Failure, FailureClass, Observation, Redactor, TimeSpan, Value, Values};
use arc_swap::ArcSwap;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// All components and what is known of them.
pub(crate) struct Board {
    /// By name.
    entries: Vec<Entry>,
    /// Goes up with every change: what was made of an older version is out of date.
    version: AtomicU64,
    /// Wakes those who wait for a change.
    changed: watch::Sender<()>,
    /// When the engine moved last.
    beat: ArcSwap<Instant>,
    redactor: Redactor,
}

struct Entry {
    component: Component,
    state: ArcSwap<State>,
}

/// What is known of one component.
#[derive(Clone, Default)]
struct State {
    track: Track,
    last: Option<Arc<LastResult>>,
    /// Stays while the component is judged to fail though its last probe passed.
    last_failure: Option<FailureReport>,
    /// The last round of fresh probes that it has answered.
    round: u64,
}

struct LastResult {
    failed: bool,
    warning: Option<String>,
    values: Values,
    duration: Duration,
}

/// A change of what a component is judged to be.
pub(crate) struct Transition {
    /// None: it had no result.
    pub(crate) from: Option<Status>,
    pub(crate) to: Status,
    /// How long it was what it was.
    pub(crate) lasted: Option<Duration>,
}

impl Board {
    pub(crate) fn new(mut components: Vec<Component>, redactor: Redactor) -> Self {
        components.sort_by(|a, b| a.name.cmp(&b.name));
        let entries = components.into_iter().map(|component| Entry { component, state: ArcSwap::default() }).collect();
        let (changed, _) = watch::channel(());
        Self { entries, version: AtomicU64::new(0), changed, beat: ArcSwap::from_pointee(Instant::now()), redactor }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn component(&self, index: usize) -> &Component {
        &self.entries[index].component
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &Component> {
        self.entries.iter().map(|entry| &entry.component)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Takes in what a probe brought back. Only the component's own sampler may call this: it is the state's one writer.
    pub(crate) fn record(&self, index: usize, result: Result<Observation, Failure>, duration: Duration, round: u64) -> Option<Transition> {
        let entry = &self.entries[index];
        let (policy, now) = (&entry.component.policy, Moment::now());
        let mut state = State::clone(&entry.state.load());
        let before = state.track.judge(policy, now.at);
        let raw = match result {
            Ok(observation) => {
                let (warning, values) = observation.into_parts();
                let raw = if warning.is_some() { Status::Warn } else { Status::Pass };
                let warning = warning.map(|text| bounded_text(&text));
                state.last = Some(Arc::new(LastResult { failed: false, warning, values: bounded(values), duration }));
                raw
            }
            Err(failure) => {
                let cause = failure.cause().map(|cause| self.redactor.redact(&cause).into_owned());
                let (class, message, values) = failure.into_parts();
                let message = if message.len() > TEXT { bounded_text(&message).into() } else { message };
                state.last_failure = Some(FailureReport { class, message, cause });
                state.last = Some(Arc::new(LastResult { failed: true, warning: None, values: bounded(values), duration }));
                Status::Fail
            }
        };
        state.track.record(policy, raw, now);
        state.round = round;
        let after = state.track.judge(policy, now.at);
        entry.state.store(Arc::new(state));
        self.bump();
        transition(&before, &after, now)
    }

    /// The engine moves.
    pub(crate) fn beat(&self) {
        self.beat.store(Arc::new(Instant::now()));
        self.changed.send_replace(());
    }

    /// How long ago the engine moved last.
    pub(crate) fn since_beat(&self) -> Duration {
        self.beat.load().elapsed()
    }

    /// Something else than a result changed.
    pub(crate) fn bump(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.changed.send_replace(());
    }

    /// How many components, in their order, have answered a round of fresh probes, when the first `known` have; who is muted need not.
    pub(crate) fn answered(&self, round: u64, known: usize) -> usize {
        let answers = |entry: &Entry| !entry.component.policy.enabled || entry.state.load().round >= round;
        known + self.entries[known..].iter().take_while(|entry| answers(entry)).count()
    }

    /// What a component is at the moment, and until when that stands if no result comes.
    pub(crate) fn report(&self, index: usize, now: Instant) -> (CheckName, ComponentReport, Option<Instant>) {
        let Entry { component, state } = &self.entries[index];
        let state = state.load();
        let judgement = state.track.judge(&component.policy, now);
        let report = if component.policy.enabled { state.report(component, &judgement) } else { muted(component) };
        let until = match judgement.reason {
            // The time that is left is shown: it should move.
            Reason::Held(_) => judgement.until.map(|until| until.min(now + Duration::from_secs(1))),
            _ => judgement.until,
        };
        (component.name.clone(), report, until)
    }
}

impl State {
    fn report(&self, component: &Component, judgement: &Judgement) -> ComponentReport {
        let last = self.last.as_deref();
        let failure = match judgement.reason {
            Reason::Pending => Some(ours(FailureClass::Pending, "there is no result yet".into())),
            Reason::Stale => {
                let limit = TimeSpan(component.policy.max_age());
                Some(ours(FailureClass::Stale, format!("the last result is older than {limit}").into()))
            }
            Reason::Held(_) | Reason::Results => {
                let failing = judgement.status == Status::Fail || last.is_some_and(|last| last.failed);
                self.last_failure.clone().filter(|_| failing)
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
            values: last.map(|last| last.values.clone()).unwrap_or_default(),
            passed_once: self.track.passed_once(),
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
        failure: None,
        duration: None,
        checked_at: None,
        since: None,
        consecutive: 0,
        held_left: None,
        values: Values::new(),
        passed_once: false,
    }
}

fn ours(class: FailureClass, message: std::borrow::Cow<'static, str>) -> FailureReport {
    FailureReport { class, message, cause: None }
}

fn transition(before: &Judgement, after: &Judgement, now: Moment) -> Option<Transition> {
    let from = (before.reason != Reason::Pending).then_some(before.status);
    (from != Some(after.status)).then(|| Transition {
        from,
        to: after.status,
        lasted: before.since.map(|since| now.at.saturating_duration_since(since.at)),
    })
}

/// The longest text of a result that is kept, in bytes.
const TEXT: usize = 1024;
/// The most observed values that are kept.
const VALUES: usize = 64;
/// The longest observed value that is kept, in bytes of JSON.
const VALUE: usize = 4096;

/// A check may bring back anything; what is kept and served is bounded.
fn bounded(values: Values) -> Values {
    let fits = |value: &Value| serde_json::to_string(value).is_ok_and(|json| json.len() <= VALUE);
    values
        .into_iter()
        .take(VALUES)
        .map(|(name, value)| if fits(&value) { (name, value) } else { (name, Value::from("(too long to show)")) })
        .collect()
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

    struct Never;

    #[async_trait::async_trait]
    impl Check for Never {
        async fn probe(&self) -> Result<Observation, Failure> {
            std::future::pending().await
        }
    }

    fn board(policy: Policy) -> Board {
        let component = Component { name: "db".parse().expect("a name"), kind: "custom", policy, check: Arc::new(Never) };
        Board::new(vec![component], Redactor::new([&Secret::new("hunter2")]))
    }

    fn now(board: &Board) -> ComponentReport {
        board.report(0, Instant::now()).1
    }

    #[tokio::test(start_paused = true)]
    async fn results_become_reports_and_transitions() {
        let board = board(Policy::default());
        assert_eq!(now(&board).failure.map(|failure| failure.class), Some(FailureClass::Pending));
        let transition = board.record(0, Ok(Observation::pass().with("n", 1)), Duration::ZERO, 0).expect("the first result");
        assert_eq!((transition.from, transition.to), (None, Status::Pass));
        assert!(board.record(0, Ok(Observation::pass()), Duration::ZERO, 0).is_none(), "nothing changed");
        let failed = board.record(0, Err(Failure::unreachable("no hunter2 here")), Duration::ZERO, 0).expect("it fails now");
        assert_eq!((failed.from, failed.to), (Some(Status::Pass), Status::Fail));
        assert_eq!(now(&board).failure.and_then(|failure| failure.cause).as_deref(), Some("no *** here"));
        tokio::time::advance(Duration::from_secs(23)).await;
        let stale = now(&board);
        assert_eq!(stale.failure.map(|failure| failure.message), Some("the last result is older than 22s".into()));
    }

    #[tokio::test]
    async fn a_rising_component_still_says_why_it_fails() {
        let board = board(Policy { rise: 2, ..Policy::default() });
        board.record(0, Err(Failure::unhealthy("read-only")), Duration::ZERO, 0);
        board.record(0, Ok(Observation::pass()), Duration::ZERO, 0);
        let report = now(&board);
        assert_eq!((report.status, report.failure.map(|failure| failure.message)), (Status::Fail, Some("read-only".into())));
        board.record(0, Ok(Observation::pass()), Duration::ZERO, 0);
        assert_eq!((now(&board).status, now(&board).failure), (Status::Pass, None));
    }

    #[tokio::test]
    async fn huge_results_are_cut() {
        let board = board(Policy::default());
        let huge = (0..1000).fold(Observation::warn("w".repeat(1 << 20)), |seen, n| seen.with(format!("v{n:04}"), "x".repeat(1 << 14)));
        board.record(0, Ok(huge), Duration::ZERO, 0);
        let report = now(&board);
        assert_eq!(report.values.len(), VALUES);
        assert!(report.values.values().all(|value| value == "(too long to show)"));
        assert!(report.warning.is_some_and(|warning| warning.len() < 1100));
    }
}
