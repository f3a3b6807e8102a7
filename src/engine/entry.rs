//! One component on the board: its check, its policy and its state, which readers load without a lock.
//!
//! Results and the passing of time change the state under one lock, and history and log are written before the lock is released. So for one
//! component everything happens in one order, whether its sampler or the supervisor causes it.

use super::{
    demand::Demand,
    grace::{GracePeriod, Predecessor},
    hour::Hour,
    moment::{Moment, now},
    outcome::Outcome,
    pulse::Pulse,
    track::{Judgement, Reason, Track},
    transition::Transition,
};
use crate::{
    component::{CheckName, Component, Policy},
    report::{ComponentReport, FailureReport, Grace, PastFailure, Status, Tally, VerdictInput, View},
};
use allswell_checks::contract::{FailureClass, TimeSpan, Values};
use arc_swap::{ArcSwap, Guard};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A component and its state.
pub(crate) struct Entry {
    pub(crate) name: CheckName,
    /// A reload may change its policy, never its check.
    component: ArcSwap<Component>,
    state: ArcSwap<State>,
    /// The holder of this lock may write the state, the history and the log. A poll never takes it.
    log: Mutex<AnnouncementLog>,
    pub(crate) demand: Demand,
}

/// What was last announced about the component in history and log.
#[derive(Default)]
struct AnnouncementLog {
    /// The last announced status, since when it holds, and whether its reason was a stale result.
    last: Option<(Status, Instant, bool)>,
    /// The component was removed from the board, so the result of a probe in progress is not announced.
    is_closed: bool,
}

impl AnnouncementLog {
    /// Whether time alone has changed the status since it was announced.
    fn is_outdated(&self, state: &State, component: &Component, now: Moment) -> bool {
        self.last.is_some_and(|(last, ..)| last != state.track.judge(&component.policy, now.at).status)
    }
}

/// The state of one component.
#[derive(Clone)]
struct State {
    track: Track,
    /// The grace period of a check that is new after a reload.
    grace: Option<GracePeriod>,
    last: Option<Arc<LastResult>>,
    /// The last failure. It is kept when a probe passes, because a component that still has to rise reports it.
    last_failure: Option<Arc<PastFailure>>,
    /// When the last probe that counted began, on the clock for ages.
    last_began: Option<Instant>,
    tally: Arc<Tally>,
    hour: Hour,
    /// How often the status has changed.
    transitions: u64,
}

struct LastResult {
    failed: bool,
    warning: Option<String>,
    values: Arc<Values>,
    duration: Duration,
}

impl Entry {
    pub(crate) fn new(component: Component) -> Self {
        Self::with(component, Track::default(), None)
    }

    /// A check that is new after a reload. Its first probe begins `first_probe_in` from now; `predecessor` is the entry that had its name before.
    pub(crate) fn after_reload(component: Component, predecessor: Option<&Self>, first_probe_in: Duration) -> Self {
        let now = now();
        let inherits = predecessor.map_or(Predecessor::None, |entry| entry.as_predecessor(now));
        let grace = GracePeriod::after_reload(&component.policy, inherits, first_probe_in, now);
        let passed_once = predecessor.is_some_and(|entry| entry.state.load().track.passed_once());
        Self::with(component, Track::new(passed_once), Some(grace))
    }

    fn with(component: Component, track: Track, grace: Option<GracePeriod>) -> Self {
        let state = State {
            track,
            grace,
            last: None,
            last_failure: None,
            last_began: None,
            tally: Arc::default(),
            hour: Hour::new(now()),
            transitions: 0,
        };
        Self {
            name: component.name.clone(),
            component: ArcSwap::from_pointee(component),
            state: ArcSwap::from_pointee(state),
            log: Mutex::default(),
            demand: Demand::default(),
        }
    }

    pub(crate) fn component(&self) -> Guard<Arc<Component>> {
        self.component.load()
    }

    /// Changes the policy of the same check. Results so far still count. A component that was muted starts anew, with its first probe
    /// `first_probe_in` from now.
    pub(crate) fn change_policy(&self, component: Component, first_probe_in: Duration) {
        let mut log = self.lock();
        let before = self.component.load_full();
        if before.policy == component.policy {
            return;
        }
        let (mut state, now) = (State::clone(&self.state.load()), Moment::now());
        if before.policy.enabled {
            state.track.change_policy(&before.policy, &component.policy, now);
        } else {
            state.track = Track::new(state.track.passed_once());
            // Its status while it was muted is unknown.
            log.last = None;
            state.grace = Some(GracePeriod::after_reload(&component.policy, Predecessor::None, first_probe_in, now.at));
        }
        // In this order, no reader judges the old state by the new policy.
        self.state.store(Arc::new(state));
        self.component.store(Arc::new(Component { check: Arc::clone(&before.check), ..component }));
        self.demand.wake();
    }

    /// Stops all announcements, because the component was removed from the board.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Records the result of a probe that began at `began`.
    pub(crate) fn record(&self, outcome: Outcome, began: Instant, duration: Duration, pulse: &Pulse) {
        let mut log = self.lock();
        let (component, now) = (self.component.load(), Moment::now());
        if !component.policy.enabled {
            // It was muted during the probe.
            return;
        }
        let state = self.state.load_full();
        if log.is_outdated(&state, &component, now) {
            // Time alone changed the status first, so that change is announced first.
            self.settle(&mut log, State::clone(&state), &component, now, None, pulse);
        }
        let mut next = State::clone(&self.state.load());
        let failed = outcome.failure.is_some();
        next.last = Some(Arc::new(LastResult { failed, warning: outcome.warning, values: Arc::new(outcome.values), duration }));
        next.last_failure = outcome.failure.map(|failure| Arc::new(PastFailure { failure, at: now.wall })).or(next.last_failure);
        next.track.record(&component.policy, outcome.raw, now);
        next.last_began = Some(began);
        Arc::make_mut(&mut next.tally).count(outcome.raw, duration);
        // Even with the same status a view may differ: a first pass completes startup, and requests wait for a stale result to be replaced.
        let is_first_pass = outcome.raw.is_good() && !state.track.passed_once();
        let was_stale = state.track.judge(&component.policy, now.at).reason == Reason::Stale;
        let is_transition = self.settle(&mut log, next, &component, now, Some(duration), pulse);
        match (is_transition, is_first_pass || was_stale) {
            (true, _) => {}
            (false, true) => pulse.bump(),
            (false, false) => pulse.tick(),
        }
    }

    /// Records that time has passed: a result may be stale now, or a hold may have ended.
    pub(crate) fn catch_up(&self, pulse: &Pulse) {
        let mut log = self.lock();
        let (component, state, now) = (self.component.load(), self.state.load(), Moment::now());
        // Usually nothing has changed, and nothing is copied.
        if component.policy.enabled && (log.is_outdated(&state, &component, now) || state.hour.is_behind(now.at)) {
            self.settle(&mut log, State::clone(&state), &component, now, None, pulse);
        }
    }

    /// Stores `next` as the state, and announces the status if it changed. Returns whether it did.
    fn settle(
        &self,
        log: &mut AnnouncementLog,
        mut next: State,
        component: &Component,
        now: Moment,
        took: Option<Duration>,
        pulse: &Pulse,
    ) -> bool {
        let judgement = next.track.judge(&component.policy, now.at);
        let Some(since) = judgement.since else { return false };
        let failure = next.failure(component, &judgement, None);
        if let (Reason::Stale, Some(failure)) = (judgement.reason, &failure) {
            next.last_failure = Some(Arc::new(PastFailure { failure: failure.clone(), at: since.wall }));
        }
        let class = failure.filter(|_| judgement.status == Status::Fail).map(|failure| failure.class);
        next.hour = next.hour.with(now.at, judgement.status, class, took).unwrap_or(next.hour);
        let before = log.last.replace((judgement.status, since.at, judgement.reason == Reason::Stale));
        let (from, lasted) = before.map(|(from, began, _)| (from, since.at.saturating_duration_since(began))).unzip();
        let is_transition = from != Some(judgement.status) && !log.is_closed;
        // It still fails, but now because of a new result: the last line in the log must not blame the age of the old one.
        let is_known_again = before.is_some_and(|(.., was_stale)| was_stale) && judgement.reason != Reason::Stale && !log.is_closed;
        next.transitions += u64::from(is_transition);
        let next = Arc::new(next);
        self.state.store(Arc::clone(&next));
        let transition = || Transition { from, report: next.report(component, &judgement, None), lasted };
        if is_transition {
            transition().announce(component, pulse);
        } else if is_known_again {
            Transition { lasted: None, ..transition() }.log(component);
        }
        is_transition
    }

    fn lock(&self) -> MutexGuard<'_, AnnouncementLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a probe was requested and no probe that counts has begun since. Always false for a muted component.
    pub(crate) fn is_requested(&self) -> bool {
        self.component.load().policy.enabled && self.demand.due(self.state.load().last_began).is_some()
    }

    /// Whether a response about `view` should wait for this component, because it has no result yet or only a stale one.
    pub(crate) fn is_awaited_by(&self, view: &View, now: Instant) -> bool {
        let (component, state) = (self.component.load(), self.state.load());
        let judgement = state.track.judge(&component.policy, now);
        let grace = state.grace_at(&component.policy, &judgement, now).map(|grace| Grace { previous: grace.previous });
        let has_no_result = component.policy.enabled && matches!(judgement.reason, Reason::Pending | Reason::Stale);
        has_no_result && view.waits_in(grace)
    }

    /// What this component contributes to a verdict, whether it has a result that is not stale, and until when both hold if no result comes.
    pub(crate) fn verdict_input(&self, now: Instant) -> (VerdictInput, bool, Option<Instant>) {
        let (component, state) = (self.component.load(), self.state.load());
        let policy = &component.policy;
        let judgement = state.track.judge(policy, now);
        let grace = state.grace_at(&component.policy, &judgement, now);
        let input = VerdictInput {
            status: if policy.enabled { judgement.status } else { Status::Warn },
            critical: policy.critical,
            muted: !policy.enabled,
            grace: grace.map(|grace| Grace { previous: grace.previous }),
            passed_once: state.track.passed_once(),
        };
        let has_result = !policy.enabled || !matches!(judgement.reason, Reason::Pending | Reason::Stale);
        (input, has_result, if policy.enabled { grace.map(|grace| grace.ends).or(judgement.until) } else { None })
    }

    /// The report on this component, and until when it holds if no result comes.
    pub(crate) fn report(&self, now: Instant) -> (ComponentReport, Option<Instant>) {
        let (component, state) = (self.component.load(), self.state.load());
        if !component.policy.enabled {
            return (muted(&component), None);
        }
        let judgement = state.track.judge(&component.policy, now);
        let grace = state.grace_at(&component.policy, &judgement, now);
        let until = match judgement.reason {
            // The report shows the remaining time, so it is rebuilt every second.
            Reason::Held(_) => judgement.until.map(|until| until.min(now + Duration::from_secs(1))),
            _ => grace.map(|grace| grace.ends).or(judgement.until),
        };
        (state.report(&component, &judgement, grace), until)
    }

    fn as_predecessor(&self, now: Instant) -> Predecessor {
        let (component, state) = (self.component.load(), self.state.load());
        let judgement = state.track.judge(&component.policy, now);
        match state.grace_at(&component.policy, &judgement, now) {
            _ if !component.policy.enabled => Predecessor::None,
            Some(grace) => Predecessor::Pending(grace),
            None => Predecessor::Status(judgement.status, judgement.until.filter(|_| judgement.status.is_good())),
        }
    }
}

impl State {
    /// The grace period, if it has not ended.
    fn grace_at(&self, policy: &Policy, judgement: &Judgement, now: Instant) -> Option<GracePeriod> {
        self.grace.filter(|grace| policy.enabled && judgement.reason == Reason::Pending && now < grace.ends)
    }

    fn failure(&self, component: &Component, judgement: &Judgement, grace: Option<GracePeriod>) -> Option<FailureReport> {
        match judgement.reason {
            Reason::Pending => {
                let message = match grace.map(|grace| grace.previous) {
                    None => "no result yet",
                    Some(None) => "no result since the reload yet; the component does not count until then",
                    Some(Some(_)) => "no result since the reload yet; the status before the reload counts until then",
                };
                Some(own_failure(FailureClass::Pending, message.into()))
            }
            Reason::Stale => {
                let limit = TimeSpan(component.policy.max_age());
                Some(own_failure(FailureClass::Stale, format!("the last result is older than {limit}").into()))
            }
            Reason::Held(_) | Reason::Results => {
                let failing = judgement.status == Status::Fail || self.last.as_ref().is_some_and(|last| last.failed);
                self.last_failure.as_ref().filter(|_| failing).map(|last| last.failure.clone())
            }
        }
    }

    fn report(&self, component: &Component, judgement: &Judgement, grace: Option<GracePeriod>) -> ComponentReport {
        let last = self.last.as_deref();
        ComponentReport {
            status: grace.and_then(|grace| grace.previous).unwrap_or(judgement.status),
            kind: component.kind,
            critical: component.policy.critical,
            muted: false,
            warning: last.and_then(|last| last.warning.clone()),
            failure: self.failure(component, judgement, grace),
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
            grace: grace.map(|grace| Grace { previous: grace.previous }),
            tally: Arc::clone(&self.tally),
            transitions: self.transitions,
            last_failure: self.last_failure.clone(),
            last_hour: self.hour.minutes(),
        }
    }
}

/// The report on a muted component: it warns, because its status is unknown.
fn muted(component: &Component) -> ComponentReport {
    ComponentReport {
        status: Status::Warn,
        kind: component.kind,
        critical: component.policy.critical,
        muted: true,
        warning: Some("muted: never probed".to_owned()),
        ..ComponentReport::default()
    }
}

fn own_failure(class: FailureClass, message: Cow<'static, str>) -> FailureReport {
    FailureReport { class, message, cause: None }
}

#[cfg(test)]
mod tests;
