//! The report: all components' results, and the verdict, at one moment.

mod change;
mod probers;
mod summary;
mod tally;
mod verdict;

use crate::component::CheckName;
use allswell_checks::contract::{FailureClass, Values};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

pub use change::Change;
pub use probers::{ProberReport, Probers};
pub use tally::Tally;
pub(crate) use verdict::{Part, verdict};

/// How well something is; the words of draft-inadarei-api-health-check-06. Ordered from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    #[default]
    Pass,
    /// It works, and somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// The status in lower case, as in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// Whether it works: pass or warn.
    #[must_use]
    pub fn is_good(self) -> bool {
        self != Self::Fail
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Who the report is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceIdentity {
    /// The application's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The application's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// This machine, container or process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Why a component fails, or failed last.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureReport {
    /// The class.
    pub class: FailureClass,
    /// Our sentence, safe for everybody.
    pub message: Cow<'static, str>,
    /// The driver's words, redacted: for who shows the token.
    pub cause: Option<String>,
}

/// A failure of a probe or by age, however long ago.
#[derive(Clone, Debug, PartialEq)]
pub struct PastFailure {
    /// What failed.
    pub failure: FailureReport,
    /// When.
    pub at: Timestamp,
}

/// One minute of a component's last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// The worst status in that minute. `None`: nobody looked.
    pub worst: Option<Status>,
    /// Why it failed last in that minute.
    pub class: Option<FailureClass>,
    /// How long the slowest probe took, in microseconds: there are sixty of these for each component.
    slowest: Option<NonZeroU32>,
}

impl Minute {
    /// A minute of which this is known.
    #[must_use]
    pub fn new(worst: Option<Status>, class: Option<FailureClass>, slowest: Option<Duration>) -> Self {
        let micros = |took: Duration| u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        Self { worst, class, slowest: slowest.map(|took| NonZeroU32::new(micros(took)).unwrap_or(NonZeroU32::MIN)) }
    }

    /// How long the slowest probe took: a microsecond at least, and 71 minutes at most.
    #[must_use]
    pub fn slowest(self) -> Option<Duration> {
        self.slowest.map(|micros| Duration::from_micros(u64::from(micros.get())))
    }
}

/// The grace period of a check that is new after a reload, until its first result and at most for its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The status of the check that had this name before, which counts meanwhile. `None`: there was none, and nothing counts.
    pub previous: Option<Status>,
}

/// One component's result and what it is judged to mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComponentReport {
    /// As judged by rise, fall, hold and age.
    pub status: Status,
    /// The kind of the check.
    pub kind: &'static str,
    /// Whether its failure fails the report.
    pub critical: bool,
    /// Never probed, by configuration.
    pub muted: bool,
    /// What somebody should look at.
    pub warning: Option<String>,
    /// Why the last probe failed, or why it is judged to fail.
    pub failure: Option<FailureReport>,
    /// How long the last probe took.
    pub duration: Option<Duration>,
    /// When the last probe ended.
    pub checked_at: Option<Timestamp>,
    /// Since when the status is what it is.
    pub since: Option<Timestamp>,
    /// How many results in a row had the present raw outcome.
    pub consecutive: u64,
    /// How much longer the last good verdict is kept.
    pub held_left: Option<Duration>,
    /// What the last probe observed.
    pub values: Arc<Values>,
    /// Whether it has ever passed.
    pub passed_once: bool,
    /// Set while it has no result after a reload: its own status does not count yet.
    pub grace: Option<Grace>,
    /// The counts of its probes.
    pub tally: Arc<Tally>,
    /// How often its status has changed.
    pub transitions: u64,
    /// The last failure, of a probe or by age, though it may have passed since.
    pub last_failure: Option<Arc<PastFailure>>,
    /// The last sixty minutes, the oldest first; empty where nothing is remembered.
    pub last_hour: Arc<[Minute]>,
}

impl ComponentReport {
    /// Whether there is no result to believe, yet or any more: an answer is worth waiting for.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| matches!(failure.class, FailureClass::Pending | FailureClass::Stale))
    }
}

/// Which configuration is in force, and how the last reload went.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigReport {
    /// Counts from 1, and goes up with every reload that was applied.
    pub revision: u64,
    /// When it was applied.
    pub loaded_at: Timestamp,
    /// The last reload, if there was one.
    pub last_reload: Option<Reload>,
}

/// A reload of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Reload {
    /// When it was tried.
    pub at: Timestamp,
    /// Why it was refused, a line each; empty when it was applied.
    pub problems: Vec<String>,
    /// What changed in the files and needs a restart to take effect.
    pub needs_restart: Vec<String>,
}

impl Reload {
    /// The outcome in a word.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        if self.problems.is_empty() { "applied" } else { "refused" }
    }
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// All components.
    Whole,
    /// The process and its engine alone.
    Live,
    /// The group `ready`.
    Ready,
    /// Whether every critical component has passed once.
    Startup,
    /// A configured group.
    Group(CheckName),
    /// One component, judged by itself.
    Component(CheckName),
}

impl View {
    /// Whether it fails while draining.
    #[must_use]
    pub const fn drains(&self) -> bool {
        matches!(self, Self::Whole | Self::Ready | Self::Group(_))
    }

    /// Whether the answer waits for a component without a result. In its grace period it does not count, so nobody waits for it; but for one that
    /// is asked for by name, and of which nothing at all is known.
    pub(crate) fn waits_in(&self, grace: Option<Grace>) -> bool {
        grace.is_none_or(|grace| matches!(self, Self::Component(_)) && grace.previous.is_none())
    }
}

/// Changes of components' statuses, the oldest first.
pub type Changes = Arc<[Arc<Change>]>;

/// The groups' names, and the components in each.
pub(crate) type Groups = BTreeMap<String, BTreeSet<CheckName>>;

/// All components' results and the verdict at one moment.
#[derive(Debug)]
pub struct Report {
    /// The verdict.
    pub status: Status,
    /// The verdict in a sentence.
    pub summary: String,
    /// Who it is about.
    pub service: Arc<ServiceIdentity>,
    /// When it was put together.
    pub generated_at: Timestamp,
    /// Since when the verdict is what it is; in the whole report alone.
    pub since: Option<Timestamp>,
    /// Whether it fails because the service is about to end.
    pub draining: bool,
    /// Which configuration is in force; in the whole report alone.
    pub configuration: Option<Arc<ConfigReport>>,
    /// The components that it judges, by name.
    pub components: BTreeMap<CheckName, ComponentReport>,
    /// The last changes of all components there are.
    changes: Changes,
    /// Which components each group judges; in the whole report alone.
    groups: Arc<Groups>,
    /// Whether a component has no result to believe, yet or any more.
    awaited: bool,
}

/// What a report is made of, besides the components.
pub(crate) struct Circumstances<'a> {
    pub(crate) service: Arc<ServiceIdentity>,
    pub(crate) generated_at: Timestamp,
    pub(crate) draining: bool,
    /// Whether the engine still beats.
    pub(crate) alive: bool,
    /// Nothing but the machine itself is checked anywhere.
    pub(crate) only_host: bool,
    pub(crate) configuration: Option<Arc<ConfigReport>>,
    pub(crate) changes: Changes,
    /// Since when the verdict on the whole is this one.
    pub(crate) since: &'a dyn Fn(Status) -> Option<Timestamp>,
    pub(crate) groups: Arc<Groups>,
    /// The status of the view before the last reload.
    pub(crate) previous: Option<Status>,
}

#[cfg(test)]
impl Circumstances<'_> {
    /// The engine is alive, and nothing else is known.
    pub(crate) fn alive() -> Self {
        Self {
            service: Arc::default(),
            generated_at: Timestamp::UNIX_EPOCH,
            draining: false,
            alive: true,
            only_host: false,
            configuration: None,
            changes: Arc::default(),
            since: &|_| None,
            groups: Arc::default(),
            previous: None,
        }
    }
}

impl Report {
    /// Judges components.
    pub(crate) fn new(view: &View, components: BTreeMap<CheckName, ComponentReport>, circumstances: Circumstances<'_>) -> Self {
        let Circumstances { service, generated_at, draining, alive, only_host, configuration, changes, since, groups, previous } =
            circumstances;
        let whole = *view == View::Whole;
        let draining = draining && view.drains();
        let judged = verdict(view, components.values().map(Part::from), alive, previous);
        let summary = summary::summary(view, &components, judged, only_host && whole);
        let (status, summary) = if draining { (Status::Fail, format!("draining; {summary}")) } else { (judged, summary) };
        let configuration = configuration.filter(|_| whole);
        let (since, groups) = if whole { (since(judged), groups) } else { (None, Arc::default()) };
        let awaited = components.values().any(|component| component.is_awaited() && view.waits_in(component.grace));
        Self { status, summary, service, generated_at, since, draining, configuration, components, changes, groups, awaited }
    }

    /// Each group, how it is, and how many components it judges; in the whole report alone.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Status, usize)> {
        self.groups.iter().map(|(name, members)| {
            let judged = members.iter().filter_map(|member| self.components.get(member)).map(Part::from);
            let status = if self.draining { Status::Fail } else { verdict(&View::Ready, judged, true, None) };
            (name.as_str(), status, members.len())
        })
    }

    /// Whether a component has no result to believe, yet or any more.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// The last changes of the components that it judges, the newest first.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().rev().map(|change| &**change).filter(|change| self.components.contains_key(&change.component))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(status: Status, critical: bool) -> ComponentReport {
        let failure = (status == Status::Fail).then(|| FailureReport {
            class: FailureClass::Timeout,
            message: "no answer within 1s".into(),
            cause: None,
        });
        ComponentReport {
            status,
            kind: "redis",
            critical,
            failure,
            consecutive: 1,
            passed_once: status.is_good(),
            ..ComponentReport::default()
        }
    }

    fn report(view: &View, components: &[(&str, ComponentReport)], draining: bool) -> (Status, String) {
        let components = components.iter().map(|(name, component)| (name.parse().expect("a name"), component.clone())).collect();
        let circumstances = Circumstances { draining, ..Circumstances::alive() };
        let report = Report::new(view, components, circumstances);
        (report.status, report.summary)
    }

    #[test]
    fn the_worst_critical_component_decides() {
        use Status::{Fail, Pass, Warn};
        let (good, bad) = (component(Pass, true), component(Fail, true));
        for (components, expected) in [
            (vec![("a", good.clone()), ("b", good.clone())], (Pass, "all 2 components pass")),
            (vec![("a", good.clone())], (Pass, "1 component passes")),
            (vec![("cache", bad.clone()), ("db", good.clone())], (Fail, "1 of 2 components fails: cache")),
            (vec![("a", bad.clone()), ("b", bad.clone())], (Fail, "2 of 2 components fail: a, b")),
            (vec![("a", component(Fail, false)), ("b", good.clone())], (Warn, "1 of 2 components fails: a")),
            (vec![("a", component(Warn, true))], (Warn, "1 of 1 component warns: a")),
            (vec![], (Pass, "nothing is checked")),
        ] {
            let (status, summary) = report(&View::Whole, &components, false);
            assert_eq!((status, summary.as_str()), expected);
        }
    }

    #[test]
    fn muted_components_are_listed_and_do_not_count() {
        let muted = ComponentReport { muted: true, ..component(Status::Warn, true) };
        let (status, summary) = report(&View::Whole, &[("a", muted), ("b", component(Status::Pass, true))], false);
        assert_eq!((status, summary.as_str()), (Status::Pass, "1 component passes; 1 muted"));
    }

    #[test]
    fn alone_a_component_counts_critical_or_not() {
        let view = View::Component("a".parse().expect("a name"));
        let (status, summary) = report(&view, &[("a", component(Status::Fail, false))], false);
        assert_eq!((status, summary.as_str()), (Status::Fail, "a fails: no answer within 1s"));
    }

    #[test]
    fn draining_fails_what_sends_traffic_and_nothing_else() {
        let good = [("a", component(Status::Pass, true))];
        assert_eq!(report(&View::Whole, &good, true), (Status::Fail, "draining; 1 component passes".to_owned()));
        assert_eq!(report(&View::Ready, &good, true).0, Status::Fail);
        assert_eq!(report(&View::Component("a".parse().expect("a name")), &good, true).0, Status::Pass);
        assert_eq!(report(&View::Live, &[], true).0, Status::Pass);
    }

    #[test]
    fn startup_waits_for_the_first_pass_of_each() {
        let (status, summary) =
            report(&View::Startup, &[("a", component(Status::Pass, true)), ("b", component(Status::Fail, true))], false);
        assert_eq!((status, summary.as_str()), (Status::Fail, "1 of 2 critical components has not passed yet: b"));
        let recovered = ComponentReport { passed_once: true, ..component(Status::Fail, true) };
        assert_eq!(report(&View::Startup, &[("b", recovered)], false).0, Status::Pass);
    }
}
