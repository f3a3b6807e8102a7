//! The report: all components' results, and the verdict, at one moment.

mod change;
mod probers;
mod tally;

use crate::component::CheckName;
use allswell_checks::contract::{FailureClass, Values};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use change::Change;
pub use probers::{ProberReport, Probers};
pub use tally::Tally;

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
pub struct Service {
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

/// A failure of a probe, however long ago.
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
    /// The worst that it was judged to be; `None`: nobody looked.
    pub worst: Option<Status>,
    /// How long the slowest probe took, in microseconds: there are sixty of these for each component.
    slowest: Option<NonZeroU32>,
}

impl Minute {
    /// A minute of which this is known.
    #[must_use]
    pub fn new(worst: Option<Status>, slowest: Option<Duration>) -> Self {
        let micros = |took: Duration| u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        Self { worst, slowest: slowest.map(|took| NonZeroU32::new(micros(took)).unwrap_or(NonZeroU32::MIN)) }
    }

    /// How long the slowest probe took: a microsecond at least, and as if it were 71 minutes where it took longer.
    #[must_use]
    pub fn slowest(self) -> Option<Duration> {
        self.slowest.map(|micros| Duration::from_micros(u64::from(micros.get())))
    }
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
    /// The counts of its probes.
    pub tally: Arc<Tally>,
    /// How often its status has changed.
    pub transitions: u64,
    /// The last probe that failed, though it may have passed since.
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
}

/// Changes of components' statuses, the oldest first.
pub type Changes = Arc<[Arc<Change>]>;

/// The groups' names, and the components in each.
pub(crate) type Groups = BTreeMap<String, BTreeSet<CheckName>>;

/// How many renderings of a report are kept beside it: one for each dialect and detail.
pub(crate) const RENDERINGS: usize = 48;

/// All components' results and the verdict at one moment.
#[derive(Debug)]
pub struct Report {
    /// The verdict.
    pub status: Status,
    /// The verdict in a sentence.
    pub summary: String,
    /// Who it is about.
    pub service: Arc<Service>,
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
    /// What was rendered of it already.
    rendered: [OnceLock<bytes::Bytes>; RENDERINGS],
}

/// What a report is made of, beside the components.
pub(crate) struct Circumstances {
    pub(crate) service: Arc<Service>,
    pub(crate) generated_at: Timestamp,
    pub(crate) draining: bool,
    /// Whether the engine still beats.
    pub(crate) alive: bool,
    /// Nothing but the machine itself is checked anywhere.
    pub(crate) only_host: bool,
    pub(crate) configuration: Option<Arc<ConfigReport>>,
    pub(crate) changes: Changes,
    /// Since when the verdict on the whole is what it is.
    pub(crate) since: Option<Timestamp>,
    pub(crate) groups: Arc<Groups>,
}

#[cfg(test)]
impl Circumstances {
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
            since: None,
            groups: Arc::default(),
        }
    }
}

impl Report {
    /// Judges components.
    pub(crate) fn new(view: &View, components: BTreeMap<CheckName, ComponentReport>, circumstances: Circumstances) -> Self {
        let draining = circumstances.draining && view.drains();
        let verdict = match view {
            View::Live => Verdict::alive(circumstances.alive),
            View::Startup => Verdict::startup(&components),
            View::Component(_) => Verdict::alone(&components),
            View::Whole => Verdict::together(&components, circumstances.only_host),
            View::Ready | View::Group(_) => Verdict::together(&components, false),
        };
        let (status, summary) =
            if draining { (Status::Fail, format!("draining; {}", verdict.summary)) } else { (verdict.status, verdict.summary) };
        let Circumstances { service, generated_at, configuration, changes, since, groups, .. } = circumstances;
        let whole = *view == View::Whole;
        let configuration = configuration.filter(|_| whole);
        let (since, groups) = if whole { (since, groups) } else { (None, Arc::default()) };
        let awaited = components.values().any(ComponentReport::is_awaited);
        let rendered = [const { OnceLock::new() }; RENDERINGS];
        Self { status, summary, service, generated_at, since, draining, configuration, components, changes, groups, awaited, rendered }
    }

    /// Each group, how it is, and how many components it judges; in the whole report alone.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Status, usize)> {
        self.groups.iter().map(|(name, members)| {
            let judged = members.iter().filter_map(|member| self.components.get(member)).filter(|component| !component.muted);
            let status = if self.draining { Status::Fail } else { worst(judged.map(|component| (component.status, component.critical))) };
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

    /// The rendering number `slot`, made at most once.
    pub(crate) fn rendered(&self, slot: usize, render: impl FnOnce(&Self) -> Vec<u8>) -> bytes::Bytes {
        self.rendered[slot].get_or_init(|| render(self).into()).clone()
    }
}

/// The verdict on components of a status each that are critical or not: who is not critical only warns.
pub(crate) fn worst(components: impl Iterator<Item = (Status, bool)>) -> Status {
    components.map(|(status, critical)| if critical { status } else { status.min(Status::Warn) }).max().unwrap_or_default()
}

struct Verdict {
    status: Status,
    summary: String,
}

impl Verdict {
    fn alive(alive: bool) -> Self {
        if alive {
            Self { status: Status::Pass, summary: "the engine is alive".to_owned() }
        } else {
            Self { status: Status::Fail, summary: "the engine does not move".to_owned() }
        }
    }

    fn startup(components: &BTreeMap<CheckName, ComponentReport>) -> Self {
        let missing: Vec<_> =
            components.iter().filter(|(_, component)| !component.muted && !component.passed_once).map(|(name, _)| name).collect();
        if missing.is_empty() {
            return Self { status: Status::Pass, summary: "every critical component has passed once".to_owned() };
        }
        let verb = if missing.len() == 1 { "has" } else { "have" };
        let summary =
            format!("{} of {} {verb} not passed yet: {}", missing.len(), count(components.len(), "critical component"), list(&missing));
        Self { status: Status::Fail, summary }
    }

    /// One component by itself, critical or not.
    fn alone(components: &BTreeMap<CheckName, ComponentReport>) -> Self {
        let status = components.values().map(|component| component.status).max().unwrap_or(Status::Pass);
        let summary = components.iter().next().map_or_else(String::new, |(name, component)| match component {
            ComponentReport { muted: true, .. } => format!("{name} is muted: it is never probed"),
            ComponentReport { failure: Some(failure), status: Status::Fail, .. } => format!("{name} fails: {}", failure.message),
            ComponentReport { status, .. } => format!("{name} {}", verb(*status, 1)),
        });
        Self { status, summary }
    }

    fn together(components: &BTreeMap<CheckName, ComponentReport>, only_host: bool) -> Self {
        let judged: Vec<_> = components.iter().filter(|(_, component)| !component.muted).collect();
        let muted = components.len() - judged.len();
        let status = worst(judged.iter().map(|(_, component)| (component.status, component.critical)));
        let mut summary = Self::sentence(&judged);
        if muted > 0 {
            summary.push_str(&format!("; {muted} muted"));
        }
        if only_host {
            summary.push_str("; ONLY THE HOST IS CHECKED: no database, cache, queue or service is configured");
        }
        Self { status, summary }
    }

    fn sentence(judged: &[(&CheckName, &ComponentReport)]) -> String {
        let of =
            |status: Status| judged.iter().filter(|(_, component)| component.status == status).map(|(name, _)| *name).collect::<Vec<_>>();
        for status in [Status::Fail, Status::Warn] {
            let names = of(status);
            if !names.is_empty() {
                return format!("{} of {} {}: {}", names.len(), count(judged.len(), "component"), verb(status, names.len()), list(&names));
            }
        }
        match judged.len() {
            0 => "nothing is checked".to_owned(),
            1 => format!("1 component {}", verb(Status::Pass, 1)),
            many => format!("all {many} components {}", verb(Status::Pass, many)),
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn verb(status: Status, number: usize) -> &'static str {
    match (status, number) {
        (Status::Pass, 1) => "passes",
        (Status::Pass, _) => "pass",
        (Status::Warn, 1) => "warns",
        (Status::Warn, _) => "warn",
        (Status::Fail, 1) => "fails",
        (Status::Fail, _) => "fail",
    }
}

/// At most ten names: a summary is read, not searched.
fn list(names: &[&CheckName]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
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
