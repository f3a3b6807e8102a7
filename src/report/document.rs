//! The report itself, and what it is made from.

use super::{Change, Changes, ComponentReport, ConfigReport, ServiceIdentity, Status, VerdictInput, View, summary, verdict};
use crate::component::CheckName;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The groups' names, and the components in each.
pub(crate) type Groups = BTreeMap<String, BTreeSet<CheckName>>;

/// The beginning of the summary while the service drains.
const DRAINING_PREFIX: &str = "draining; ";

/// The results of components, and the verdict, at one moment.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// The verdict.
    pub status: Status,
    /// The verdict as a sentence.
    pub summary: String,
    /// The service that it is about.
    pub service: Arc<ServiceIdentity>,
    /// When it was made.
    pub generated_at: Timestamp,
    /// Since when the verdict has been the same; only in the report on [`View::Whole`].
    pub since: Option<Timestamp>,
    /// Whether it fails because the service is draining.
    pub draining: bool,
    /// The configuration in force; only in the report on [`View::Whole`].
    pub configuration: Option<Arc<ConfigReport>>,
    /// The components that the verdict is about, by name.
    pub components: BTreeMap<CheckName, ComponentReport>,
    /// The last changes of all components.
    changes: Changes,
    /// The components of each group; only in the report on [`View::Whole`].
    groups: Arc<Groups>,
    /// Whether a component's result is missing or stale.
    awaited: bool,
}

/// What a report is made from, besides the components.
pub(crate) struct Circumstances<'a> {
    pub(crate) service: Arc<ServiceIdentity>,
    pub(crate) generated_at: Timestamp,
    pub(crate) draining: bool,
    /// Whether the probe engine is alive.
    pub(crate) alive: bool,
    /// Whether only the host itself is checked.
    pub(crate) only_host: bool,
    pub(crate) configuration: Option<Arc<ConfigReport>>,
    pub(crate) changes: Changes,
    /// Since when the whole has had a status.
    pub(crate) since: &'a dyn Fn(Status) -> Option<Timestamp>,
    pub(crate) groups: Arc<Groups>,
    /// The status of the view before the last reload.
    pub(crate) previous: Option<Status>,
}

#[cfg(test)]
impl Circumstances<'_> {
    /// A live engine; all other values are defaults.
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
    /// The report of a view on its components.
    pub(crate) fn new(view: &View, components: BTreeMap<CheckName, ComponentReport>, circumstances: Circumstances<'_>) -> Self {
        let Circumstances { service, generated_at, draining, alive, only_host, configuration, changes, since, groups, previous } =
            circumstances;
        let whole = *view == View::Whole;
        let draining = draining && view.drains();
        let judged = verdict(view, components.values().map(VerdictInput::from), alive, previous);
        let summary = summary::summary(view, &components, judged, only_host && whole);
        let (status, summary) = if draining { (Status::Fail, format!("{DRAINING_PREFIX}{summary}")) } else { (judged, summary) };
        let configuration = configuration.filter(|_| whole);
        let (since, groups) = if whole { (since(judged), groups) } else { (None, Arc::default()) };
        let awaited = components.values().any(|component| component.is_awaited() && view.waits_in(component.grace));
        Self { status, summary, service, generated_at, since, draining, configuration, components, changes, groups, awaited }
    }

    /// The summary of the components, without the note that the service drains.
    pub(crate) fn components_summary(&self) -> &str {
        self.summary.strip_prefix(DRAINING_PREFIX).unwrap_or(&self.summary)
    }

    /// The name, the status and the number of components of each group; only in the report on [`View::Whole`].
    pub fn groups(&self) -> impl Iterator<Item = (&str, Status, usize)> {
        self.groups.iter().map(|(name, members)| {
            let judged = members.iter().filter_map(|member| self.components.get(member)).map(VerdictInput::from);
            let status = if self.draining { Status::Fail } else { verdict(&View::Ready, judged, true, None) };
            (name.as_str(), status, members.len())
        })
    }

    /// Whether a component's result is missing or stale, so that a response should wait for it.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// The last changes of its components, the newest first.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().rev().map(|change| &**change).filter(|change| self.components.contains_key(&change.component))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::FailureReport, *};
    use allswell_checks::contract::FailureClass;

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
    fn the_summary_names_the_worst_components() {
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
    fn a_component_by_itself_counts_critical_or_not() {
        let view = View::Component("a".parse().expect("a name"));
        let (status, summary) = report(&view, &[("a", component(Status::Fail, false))], false);
        assert_eq!((status, summary.as_str()), (Status::Fail, "a fails: no answer within 1s"));
    }

    #[test]
    fn draining_fails_the_whole_and_groups_and_nothing_else() {
        let good = [("a", component(Status::Pass, true))];
        assert_eq!(report(&View::Whole, &good, true), (Status::Fail, "draining; 1 component passes".to_owned()));
        assert_eq!(report(&View::Ready, &good, true).0, Status::Fail);
        assert_eq!(report(&View::Component("a".parse().expect("a name")), &good, true).0, Status::Pass);
        assert_eq!(report(&View::Live, &[], true).0, Status::Pass);
    }

    #[test]
    fn startup_names_components_that_have_not_passed_yet() {
        let (status, summary) =
            report(&View::Startup, &[("a", component(Status::Pass, true)), ("b", component(Status::Fail, true))], false);
        assert_eq!((status, summary.as_str()), (Status::Fail, "1 of 2 critical components has not passed yet: b"));
        let recovered = ComponentReport { passed_once: true, ..component(Status::Fail, true) };
        assert_eq!(report(&View::Startup, &[("b", recovered)], false).0, Status::Pass);
    }
}
