//! Compares the engine with a small reference model, over random sequences of probes that pass, warn, fail, hang or are slow, stalls, reloads,
//! drains and fresh probes.
//!
//! Checks write down when their probes begin and how they end. The model reads these notes, knows nothing about schedules, and derives from the
//! definition what every report must be. Time is paused: `Wait` lets it advance normally, `Stall` makes it jump while nothing runs.

use super::{Aggregator, Builder, sampler::MAX_OVERRUN};
use crate::{
    component::{CheckName, Component, Policy},
    report::{Status, View},
};
use allswell_checks::contract::{Check, Failure, FailureClass, Observation, Secret};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Pass,
    Warn,
    Fail,
    Slow(Duration),
    Hang,
}

#[derive(Clone, Debug)]
enum Step {
    Behave(usize, Behaviour),
    /// Time passes, and everything runs.
    Wait(Duration),
    /// Time passes, and nothing runs: SIGSTOP.
    Stall(Duration),
    Fresh(Option<usize>),
    /// Another policy for the same check.
    SetPolicy(usize, Policy),
    /// Another check under the same name, or a new name.
    Replace(usize, Policy),
    Remove(usize),
    Drain(bool),
}

/// A note written by a check.
#[derive(Clone, Copy, Debug)]
enum Note {
    Began {
        probe: Probe,
    },
    /// `None`: the probe was dropped.
    Ended {
        probe: Probe,
        at: Instant,
        raw: Option<Status>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    component: usize,
    incarnation: usize,
    began: Instant,
}

type Notes = Arc<Mutex<Vec<Note>>>;

struct Scripted {
    component: usize,
    incarnation: usize,
    behaviour: Arc<Mutex<Behaviour>>,
    notes: Notes,
}

/// A running probe, which also writes a note when it is dropped before it ended.
struct RunningProbe {
    probe: Probe,
    notes: Notes,
    ended: bool,
}

impl RunningProbe {
    fn end(&mut self, raw: Option<Status>) {
        self.ended = true;
        self.notes.lock().expect("no panic").push(Note::Ended { probe: self.probe, at: Instant::now(), raw });
    }
}

impl Drop for RunningProbe {
    fn drop(&mut self) {
        if !self.ended {
            self.end(None);
        }
    }
}

#[async_trait::async_trait]
impl Check for Scripted {
    async fn probe(&self) -> Result<Observation, Failure> {
        let probe = Probe { component: self.component, incarnation: self.incarnation, began: Instant::now() };
        self.notes.lock().expect("no panic").push(Note::Began { probe });
        let mut running = RunningProbe { probe, notes: Arc::clone(&self.notes), ended: false };
        let behaviour = *self.behaviour.lock().expect("no panic");
        match behaviour {
            Behaviour::Slow(time) => sleep(time).await,
            Behaviour::Hang => pending().await,
            Behaviour::Pass | Behaviour::Warn | Behaviour::Fail => {}
        }
        match behaviour {
            Behaviour::Fail => {
                running.end(Some(Status::Fail));
                Err(Failure::unhealthy("scripted"))
            }
            Behaviour::Warn => {
                running.end(Some(Status::Warn));
                Ok(Observation::warn("scripted"))
            }
            _ => {
                running.end(Some(Status::Pass));
                Ok(Observation::pass())
            }
        }
    }
}

/// The status that counts in place of a check that is new after a reload.
#[derive(Clone, Copy)]
struct Before {
    status: Option<Status>,
    ends: Instant,
    limit: Instant,
}

#[derive(Clone)]
enum Fact {
    Result(Instant, Status),
    Policy(Instant, Policy),
}

/// A component in the model.
#[derive(Clone)]
struct ModelComponent {
    incarnation: usize,
    /// The policy at the beginning.
    first: Policy,
    policy: Policy,
    /// Results and policy changes, in order.
    facts: Vec<Fact>,
    before: Option<Before>,
    passed_before: bool,
    /// The policy when the probe in progress began.
    probing: Option<Policy>,
    /// When the last probe that counted began.
    last_counted: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Pending,
    Stale,
    Results,
}

impl ModelComponent {
    /// The status by results alone, its reason, until when it holds if no result comes, and the number of equal results in a row.
    fn judge(&self, now: Instant) -> (Status, Why, Option<Instant>, u64) {
        let mut policy = &self.first;
        // The current run of equal statuses, and the current run on one side (good or failed) with its first result.
        let mut run: Option<(Status, u64)> = None;
        let mut side: Option<(bool, u32, Instant)> = None;
        let (mut last, mut believed_until, mut verdict, mut first_failure) = (now, None, None, None);
        for fact in &self.facts {
            match fact {
                Fact::Policy(at, other) => {
                    let believed = believed_until.is_some_and(|until: Instant| *at <= until);
                    // A reported failure is not held later.
                    first_failure = first_failure.filter(|first| !believed || (*at < *first + policy.hold && *at < *first + other.hold));
                    policy = other;
                    if let Some(until) = believed_until.filter(|until| at <= until) {
                        believed_until = Some((last + policy.max_age()).max((*at + policy.max_age()).min(until)));
                    }
                }
                Fact::Result(at, raw) => {
                    if believed_until.is_some_and(|until| *at > until) {
                        (run, side, verdict, first_failure) = (None, None, None, None);
                    }
                    let (alike, first) = side.filter(|one| one.0 == raw.is_good()).map_or((1, *at), |(_, count, first)| (count + 1, first));
                    side = Some((raw.is_good(), alike, first));
                    run = Some((*raw, run.filter(|run| run.0 == *raw).map_or(1, |run| run.1 + 1)));
                    (last, believed_until) = (*at, Some(*at + policy.max_age()));
                    let held = first_failure.is_some_and(|first: Instant| *at < first + policy.hold);
                    (verdict, first_failure) = match verdict {
                        None => (Some(*raw), None),
                        Some(Status::Fail) if raw.is_good() && (alike >= policy.rise || held) => (Some(*raw), None),
                        Some(Status::Fail) => (verdict, first_failure),
                        Some(_) if raw.is_good() => (Some(*raw), None),
                        Some(_) if alike >= policy.fall => (Some(Status::Fail), Some(first)),
                        Some(_) => (verdict, None),
                    };
                }
            }
        }
        let consecutive = run.map_or(0, |run| run.1);
        let Some((verdict, until)) = verdict.zip(believed_until) else { return (Status::Fail, Why::Pending, None, 0) };
        let held_until = first_failure.map(|first| first + policy.hold).filter(|held| now < *held);
        match held_until {
            _ if now > until => (Status::Fail, Why::Stale, None, consecutive),
            Some(held) => (Status::Warn, Why::Results, Some(until.min(held)), consecutive),
            None => (verdict, Why::Results, Some(until), consecutive),
        }
    }

    fn grace(&self, now: Instant) -> Option<Before> {
        self.before.filter(|before| self.policy.enabled && self.judge(now).1 == Why::Pending && now < before.ends)
    }

    /// The status that counts; `None`: the component does not count.
    fn counts_as(&self, now: Instant) -> Option<Status> {
        match self.grace(now) {
            _ if !self.policy.enabled => None,
            Some(before) => before.status,
            None => Some(self.judge(now).0),
        }
    }

    fn passed_once(&self) -> bool {
        self.passed_before || self.facts.iter().any(|fact| matches!(fact, Fact::Result(_, raw) if raw.is_good()))
    }
}

#[derive(Clone, Default)]
struct Model {
    components: BTreeMap<usize, ModelComponent>,
    /// The statuses of the views before the last reload.
    before: BTreeMap<View, Status>,
    draining: bool,
    incarnations: usize,
}

impl Model {
    /// Reads the notes of the checks.
    fn read(&mut self, notes: &Notes) {
        for note in notes.lock().expect("no panic").drain(..) {
            let (Note::Began { probe } | Note::Ended { probe, .. }) = note;
            let Some(component) = self.components.get_mut(&probe.component).filter(|one| one.incarnation == probe.incarnation) else {
                continue;
            };
            match note {
                Note::Began { .. } => {
                    assert!(component.probing.is_none(), "two probes at a time");
                    component.probing = Some(component.policy.clone());
                }
                Note::Ended { at, raw, .. } => {
                    let policy = component.probing.take().expect("it began");
                    let took = at - probe.began;
                    // Dropped before its timeout, it was muted; ended long after it, it was interrupted.
                    if took <= policy.timeout + MAX_OVERRUN && component.policy.enabled && (raw.is_some() || took >= policy.timeout) {
                        component.facts.push(Fact::Result(at, raw.unwrap_or(Status::Fail)));
                        component.last_counted = Some(probe.began);
                    }
                }
            }
        }
    }

    fn verdict(&self, view: &View, now: Instant) -> Status {
        let (mut worst, mut any_new) = (None, false);
        for component in self.components.values() {
            let critical = component.policy.critical;
            if *view != View::Whole && !critical {
                continue;
            }
            any_new |= component.grace(now).is_some();
            let counts_as = component.counts_as(now).map(|status| match view {
                View::Startup if component.passed_once() => Status::Pass,
                View::Startup => Status::Fail,
                _ if critical => status,
                _ => status.min(Status::Warn),
            });
            worst = worst.max(counts_as);
        }
        worst.unwrap_or_else(|| if any_new { self.before.get(view).copied().unwrap_or(Status::Fail) } else { Status::Pass })
    }

    fn record_verdicts(&mut self, now: Instant) {
        self.before = VIEWS.into_iter().map(|view| (view.clone(), self.verdict(&view, now))).collect();
    }

    fn set_policy(&mut self, index: usize, policy: Policy, now: Instant) {
        let component = self.components.get_mut(&index).expect("a component");
        if component.policy.enabled {
            component.facts.push(Fact::Policy(now, policy.clone()));
        } else if policy != component.policy {
            component.passed_before = component.passed_once();
            component.facts.clear();
            component.first = policy.clone();
            let limit = now + 2 * policy.timeout;
            component.before = Some(Before { status: None, ends: now + policy.timeout, limit });
        }
        component.policy = policy;
    }

    fn replace(&mut self, index: usize, policy: Policy, now: Instant) -> usize {
        let at_most = now + 2 * policy.timeout;
        let old = self.components.get(&index);
        let (status, limit) = match old.filter(|old| old.policy.enabled) {
            None => (None, at_most),
            Some(old) => match (old.grace(now), old.judge(now)) {
                (Some(before), _) => (before.status, before.limit),
                (None, (status, _, until, _)) => {
                    (Some(status), until.filter(|_| status.is_good()).map_or(at_most, |until| until.min(at_most)))
                }
            },
        };
        let passed_before = old.is_some_and(ModelComponent::passed_once);
        self.incarnations += 1;
        let component = ModelComponent {
            incarnation: self.incarnations,
            first: policy.clone(),
            before: Some(Before { status, ends: (now + policy.timeout).min(limit), limit }),
            policy,
            facts: Vec::new(),
            passed_before,
            probing: None,
            last_counted: None,
        };
        self.components.insert(index, component);
        self.incarnations
    }
}

const VIEWS: [View; 3] = [View::Whole, View::Ready, View::Startup];

/// The engine and the model, driven by the same steps.
struct Trial {
    aggregator: Aggregator,
    model: Model,
    notes: Notes,
    behaviours: [Arc<Mutex<Behaviour>>; NAMES.len()],
}

fn name(index: usize) -> CheckName {
    NAMES[index].parse().expect("a name")
}

impl Trial {
    fn start() -> Self {
        let aggregator = Aggregator::builder().seed(7).start();
        let behaviours = std::array::from_fn(|_| Arc::new(Mutex::new(Behaviour::Pass)));
        let mut trial = Self { aggregator, model: Model::default(), notes: Notes::default(), behaviours };
        trial.model.record_verdicts(Instant::now());
        trial
    }

    /// Configures the engine with the model's components.
    fn configuration(&self) -> Builder {
        self.model.components.iter().fold(Aggregator::builder().seed(7), |builder, (index, modelled)| {
            let (behaviour, notes) = (Arc::clone(&self.behaviours[*index]), Arc::clone(&self.notes));
            let check = Scripted { component: *index, incarnation: modelled.incarnation, behaviour, notes };
            let component = Component::new(name(*index), "custom", modelled.policy.clone(), Arc::new(check));
            builder.component(Component { identity: Some(Secret::new(modelled.incarnation.to_string())), ..component })
        })
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let now = Instant::now();
        self.model.read(&self.notes);
        match step {
            Step::Behave(index, behaviour) => *self.behaviours[*index].lock().expect("no panic") = *behaviour,
            Step::Wait(time) => {
                // Compare while time passes, too.
                for _ in 0..4 {
                    sleep(*time / 4).await;
                    self.compare()?;
                }
            }
            Step::Stall(time) => advance(*time).await,
            Step::Fresh(index) => self.fresh(*index).await?,
            Step::SetPolicy(index, policy) if self.model.components.contains_key(index) => {
                self.model.record_verdicts(now);
                self.model.set_policy(*index, policy.clone(), now);
                self.reload().await;
            }
            Step::SetPolicy(index, policy) | Step::Replace(index, policy) => {
                self.model.record_verdicts(now);
                self.model.replace(*index, policy.clone(), now);
                self.reload().await;
            }
            Step::Remove(index) => {
                self.model.record_verdicts(now);
                self.model.components.remove(index);
                self.reload().await;
            }
            Step::Drain(wanted) => {
                self.model.draining = *wanted;
                if *wanted { self.aggregator.drain() } else { self.aggregator.undrain() }
            }
        }
        self.compare()
    }

    async fn reload(&mut self) {
        self.aggregator.replace(self.configuration());
        // Let old samplers end and new ones start.
        sleep(Duration::from_millis(1)).await;
    }

    async fn fresh(&mut self, index: Option<usize>) -> Result<(), TestCaseError> {
        let view = index.map_or(View::Whole, |index| View::Component(name(index)));
        let asked = Instant::now();
        let deadline = asked + Duration::from_millis(800);
        let report = self.aggregator.fresh(&view, deadline).await;
        prop_assert_eq!(report.is_some(), index.is_none_or(|index| self.model.components.contains_key(&index)));
        self.model.read(&self.notes);
        prop_assert!(Instant::now() <= deadline + Duration::from_millis(1));
        for (_, component) in self.model.components.iter().filter(|(one, _)| index.is_none_or(|index| index == **one)) {
            let answered = component.last_counted.is_some_and(|began| began + Duration::from_secs(1) >= asked);
            prop_assert!(answered || !component.policy.enabled || Instant::now() >= deadline, "not all were probed for {:?}", view);
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.model.read(&self.notes);
        let (now, model) = (Instant::now(), &self.model);
        for view in VIEWS {
            let report = self.aggregator.report_on(&view).expect("every board has this view");
            let fails = model.draining && view.drains();
            let expected = if fails { Status::Fail } else { model.verdict(&view, now) };
            prop_assert_eq!(report.status, expected, "{:?}: {}", &view, &report.summary);
            prop_assert_eq!(self.aggregator.status_of(&view), Some(expected), "{:?}, without a report", &view);
            prop_assert_eq!(self.aggregator.is_awaited(&view), report.is_awaited(), "{:?}", &view);
        }
        let report = self.aggregator.report();
        prop_assert_eq!(
            report.components.keys().map(CheckName::as_str).collect::<Vec<_>>(),
            model.components.keys().map(|index| NAMES[*index]).collect::<Vec<_>>()
        );
        for (index, component) in &model.components {
            let reported = &report.components[NAMES[*index]];
            let (status, why, _, consecutive) = component.judge(now);
            if !component.policy.enabled {
                prop_assert!(reported.muted);
                continue;
            }
            let class = reported.failure.as_ref().map(|failure| failure.class);
            let listed = component.grace(now).and_then(|before| before.status).unwrap_or(status);
            prop_assert_eq!((reported.status, reported.consecutive), (listed, consecutive), "{}: {:?}", NAMES[*index], reported);
            prop_assert_eq!(class == Some(FailureClass::Pending), why == Why::Pending);
            prop_assert_eq!(class == Some(FailureClass::Stale), why == Why::Stale);
            prop_assert_eq!(reported.grace.map(|grace| grace.previous), component.grace(now).map(|before| before.status));
            prop_assert_eq!((reported.critical, reported.passed_once), (component.policy.critical, component.passed_once()));
            let by_itself = component.counts_as(now).unwrap_or(status);
            prop_assert_eq!(self.aggregator.status_of(&View::Component(name(*index))), Some(by_itself));
        }
        Ok(())
    }

    /// In the history, every change of a component starts from the status that the previous one led to.
    fn compare_history(&self) -> Result<(), TestCaseError> {
        let report = self.aggregator.report();
        let changes: Vec<_> = report.changes().collect();
        let mut last = BTreeMap::new();
        for change in changes.iter().rev() {
            if let Some(before) = last.insert(&change.component, change.to) {
                prop_assert!(change.from.is_none_or(|from| from == before), "{:?} after {:?}", change, before);
            }
            prop_assert!(change.from != Some(change.to));
        }
        Ok(())
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let times = (prop::sample::select(vec![200_u64, 1000, 5000]), prop::sample::select(vec![100_u64, 500, 2000]));
    let counts = (1_u32..4, 1_u32..4, prop::sample::select(vec![0_u64, 3000, 20_000]));
    (times, counts, prop::bool::weighted(0.8), prop::bool::weighted(0.9)).prop_map(
        |((interval, timeout), (rise, fall, hold), critical, enabled)| Policy {
            interval: Duration::from_millis(interval),
            timeout: Duration::from_millis(timeout),
            hold: Duration::from_millis(hold),
            rise,
            fall,
            critical,
            enabled,
            ..Policy::default()
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let index = 0..NAMES.len();
    let behaviour = prop_oneof![
        4 => Just(Behaviour::Pass),
        1 => Just(Behaviour::Warn),
        2 => Just(Behaviour::Fail),
        2 => (1_u64..4000).prop_map(|millis| Behaviour::Slow(Duration::from_millis(millis))),
        1 => Just(Behaviour::Hang),
    ];
    prop_oneof![
        5 => (index.clone(), behaviour).prop_map(|(index, behaviour)| Step::Behave(index, behaviour)),
        8 => (1_u64..8000).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        2 => (1_u64..60_000).prop_map(|millis| Step::Stall(Duration::from_millis(millis))),
        2 => prop::option::of(index.clone()).prop_map(Step::Fresh),
        2 => (index.clone(), policies()).prop_map(|(index, policy)| Step::SetPolicy(index, policy)),
        2 => (index.clone(), policies()).prop_map(|(index, policy)| Step::Replace(index, policy)),
        1 => index.prop_map(Step::Remove),
        1 => any::<bool>().prop_map(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn every_report_agrees_with_the_model(steps in prop::collection::vec(steps(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let mut trial = Trial::start();
            for step in &steps {
                trial.take(step).await?;
            }
            trial.compare_history()
        })?;
    }
}
