//! The board: all components of one configuration, which of them each view judges, and the cached report and status of each view.

use super::{
    demand::MIN_REFRESH,
    entry::Entry,
    moment::now,
    pulse::{Pulse, Stamp},
    schedule::spread,
};
use crate::{
    component::{CheckName, Component},
    report::{Circumstances, Groups, Report, ServiceIdentity, Status, View, verdict},
};
use arc_swap::ArcSwapOption;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// All components and views of one configuration.
pub(crate) struct Board {
    /// Sorted by name.
    entries: Vec<Arc<Entry>>,
    views: BTreeMap<View, Arc<Viewed>>,
    /// The components of each group by its name, including `ready`.
    pub(crate) groups: Arc<Groups>,
    pub(crate) service: Arc<ServiceIdentity>,
    /// Only the host itself is checked: no database, cache, queue or service.
    pub(crate) only_host: bool,
}

/// The components that a view judges, and its cached report and status.
pub(crate) struct Viewed {
    entries: Vec<Arc<Entry>>,
    /// The status of the view before the last reload.
    pub(crate) previous: Option<Status>,
    report: ArcSwapOption<BuiltReport>,
    status: ArcSwapOption<(Judged, Stamp)>,
    round: Mutex<Round>,
}

/// A report, and the state it was built from.
pub(crate) struct BuiltReport {
    pub(crate) report: Arc<Report>,
    stamp: Stamp,
    /// When time alone makes it outdated.
    until: Option<Instant>,
    at: Instant,
}

/// The status of a view, and until when it holds.
#[derive(Clone, Copy)]
struct Judged {
    status: Status,
    /// A component has no result yet, or only a stale one.
    is_awaited: bool,
    /// When time alone makes it outdated.
    until: Option<Instant>,
}

/// The last round of requested probes of a view, shared by all concurrent requests.
#[derive(Debug, Default)]
struct Round {
    /// When it was requested; `None` if it never was.
    requested_at: Option<Instant>,
    /// The number of leading entries that have answered.
    answered: usize,
}

/// Whether a report is still current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// There is no newer result.
    Current,
    /// All statuses are current; observed values may be up to [`MAX_VALUE_AGE`] old.
    StaleValues,
    /// A status may have changed.
    Outdated,
}

/// How old observed values may be in a report whose statuses are all current.
const MAX_VALUE_AGE: Duration = Duration::from_secs(2);

impl BuiltReport {
    pub(crate) fn freshness(&self, pulse: &Pulse) -> Freshness {
        let (now, stamp) = (now(), pulse.stamp());
        if self.stamp.changes != stamp.changes || self.until.is_some_and(|until| now >= until) {
            Freshness::Outdated
        } else if self.stamp.version == stamp.version {
            Freshness::Current
        } else if now.saturating_duration_since(self.at) < MAX_VALUE_AGE {
            Freshness::StaleValues
        } else {
            Freshness::Outdated
        }
    }
}

/// A report is rebuilt after this time even if nothing has changed, because it shows ages and the last hour.
const MAX_REPORT_AGE: Duration = Duration::from_secs(60);

impl Board {
    /// If `before` has the same check under the same name, the component keeps its entry, and with it state, history and connection, even if its
    /// policy changed. Any other check is new, and has a grace period if there is a board before.
    pub(crate) fn new(
        components: BTreeMap<CheckName, Component>,
        groups: &BTreeMap<CheckName, BTreeSet<CheckName>>,
        service: ServiceIdentity,
        only_host: bool,
        before: Option<&Self>,
    ) -> Self {
        // Must be read before the policies of the kept entries change.
        let previous = before.map(Self::verdicts).unwrap_or_default();
        let entries = match before {
            Some(before) => before.succeeded_by(components),
            None => components.into_values().map(|component| Arc::new(Entry::new(component))).collect(),
        };
        let select = |is_judged: &dyn Fn(&Component) -> bool| {
            entries.iter().filter(|entry| is_judged(&entry.component())).map(Arc::clone).collect::<Vec<_>>()
        };
        let mut views = BTreeMap::from([
            (View::Whole, entries.clone()),
            (View::Live, Vec::new()),
            (View::Ready, select(&|component| component.policy.critical)),
            (View::Startup, select(&|component| component.policy.critical)),
        ]);
        views.extend(entries.iter().map(|entry| (View::Component(entry.name.clone()), vec![Arc::clone(entry)])));
        for (name, checks) in groups {
            let view = if name.as_str() == "ready" { View::Ready } else { View::Group(name.clone()) };
            views.insert(view, select(&|component| checks.contains(&component.name)));
        }
        let names = |viewed: &[Arc<Entry>]| viewed.iter().map(|entry| entry.name.clone()).collect();
        let members = views.iter().filter_map(|(view, viewed)| match view {
            View::Ready => Some(("ready".to_owned(), names(viewed))),
            View::Group(name) => Some((name.to_string(), names(viewed))),
            _ => None,
        });
        let groups = Arc::new(members.collect());
        let views = views.into_iter().map(|(view, entries)| {
            let previous = previous.get(&view).copied();
            let (report, status, round) = (ArcSwapOption::empty(), ArcSwapOption::empty(), Mutex::default());
            (view, Arc::new(Viewed { entries, previous, report, status, round }))
        });
        Self { views: views.collect(), entries, groups, service: Arc::new(service), only_host }
    }

    /// The statuses of all views except those of a single component.
    fn verdicts(&self) -> BTreeMap<View, Status> {
        let now = now();
        let views = self.views.iter().filter(|(view, _)| !matches!(view, View::Component(_)));
        views.map(|(view, viewed)| (view.clone(), viewed.judge(view, now).status)).collect()
    }

    /// The entries of these components on the next board.
    fn succeeded_by(&self, components: BTreeMap<CheckName, Component>) -> Vec<Arc<Entry>> {
        let entry = |name: &CheckName| self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok().map(|index| &self.entries[index]);
        let kept = |component: &Component| entry(&component.name).filter(|entry| entry.component().has_same_check(component));
        // Components whose samplers start with the next board.
        let starts =
            |component: &Component| component.policy.enabled && kept(component).is_none_or(|entry| !entry.component().policy.enabled);
        let count = components.values().filter(|component| starts(component)).count();
        let mut started = 0;
        let entries = components.into_values().map(|component| {
            let first_probe_in = spread(started, count);
            started += usize::from(starts(&component));
            if let Some(entry) = kept(&component) {
                entry.change_policy(component, first_probe_in);
                return Arc::clone(entry);
            }
            let predecessor = entry(&component.name).map(|entry| &**entry);
            Arc::new(Entry::after_reload(component, predecessor, first_probe_in))
        });
        entries.collect()
    }

    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// Whether this entry, and not only one of the same name, is on the board.
    pub(crate) fn has(&self, entry: &Arc<Entry>) -> bool {
        self.entries.binary_search_by(|one| one.name.cmp(&entry.name)).is_ok_and(|index| Arc::ptr_eq(&self.entries[index], entry))
    }

    /// The configured groups, without the built-in views.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &CheckName> {
        self.views.keys().filter_map(|view| if let View::Group(name) = view { Some(name) } else { None })
    }

    /// All views.
    pub(crate) fn views(&self) -> impl Iterator<Item = &View> {
        self.views.keys()
    }

    /// The state of a view; `None` if there is no such view.
    pub(crate) fn viewed(&self, view: &View) -> Option<&Arc<Viewed>> {
        self.views.get(view)
    }

    /// The current status of a view, regardless of draining and of the engine's liveness.
    pub(crate) fn status(&self, view: &View, stamp: Stamp, pulse: &Pulse) -> Option<Status> {
        self.judged(view, stamp, pulse).map(|judged| judged.status)
    }

    /// Whether a component of the view has no result yet, or only a stale one.
    pub(crate) fn is_awaited(&self, view: &View, stamp: Stamp, pulse: &Pulse) -> bool {
        self.judged(view, stamp, pulse).is_some_and(|judged| judged.is_awaited)
    }

    /// Judges every component of the view, unless the cached judgement still holds.
    fn judged(&self, view: &View, stamp: Stamp, pulse: &Pulse) -> Option<Judged> {
        let viewed = self.views.get(view)?;
        if let Some((judged, built)) = viewed.status.load().as_deref()
            && built.changes == pulse.stamp().changes
            && judged.until.is_none_or(|until| now() < until)
        {
            return Some(*judged);
        }
        let judged = viewed.judge(view, now());
        // Judging one component is as fast as a lookup in the cache.
        if viewed.entries.len() > 1 {
            viewed.status.store(Some(Arc::new((judged, stamp))));
        }
        Some(judged)
    }

    /// The report on a view: the cached one, if nothing has changed since. `stamp` must have been read before this board.
    pub(crate) fn report<'a>(
        &self,
        view: &View,
        stamp: Stamp,
        pulse: &Pulse,
        circumstances: impl FnOnce() -> Circumstances<'a>,
    ) -> Option<Arc<BuiltReport>> {
        let viewed = self.views.get(view)?;
        if let Some(built) = &*viewed.report.load()
            && built.freshness(pulse) == Freshness::Current
            // Liveness is judged at every call.
            && *view != View::Live
        {
            return Some(Arc::clone(built));
        }
        let began = now();
        let mut until: Option<Instant> = None;
        // Collecting sorted items builds a map without spare capacity.
        let components = viewed.entries.iter().map(|entry| {
            let (component, stands_until) = entry.report(began);
            until = earlier(until, stands_until);
            (entry.name.clone(), component)
        });
        let components = components.collect();
        // The report also shows ages and the last hour: these may lag, but not for long.
        let until = until.map(|until| until.min(began + MAX_REPORT_AGE));
        let report = Arc::new(Report::new(view, components, circumstances()));
        let built = Arc::new(BuiltReport { report, stamp, until, at: began });
        viewed.report.store(Some(Arc::clone(&built)));
        Some(built)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

impl Viewed {
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    fn judge(&self, view: &View, now: Instant) -> Judged {
        let (mut is_awaited, mut until) = (false, None);
        let parts = self.entries.iter().map(|entry| {
            let (part, has_result, stands_until) = entry.part(now);
            is_awaited |= !has_result && view.waits_in(part.grace);
            until = earlier(until, stands_until);
            part
        });
        let status = verdict(view, parts, true, self.previous);
        Judged { status, is_awaited, until }
    }

    /// Requests a probe of every component in this view; all requests within a second are one.
    pub(crate) fn request_probes(&self) {
        let (now, timer) = (now(), Instant::now());
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        if round.requested_at.is_some_and(|at| now.saturating_duration_since(at) < MIN_REFRESH) {
            return;
        }
        let count = self.entries.len();
        let requests = self.entries.iter().enumerate().map(|(index, entry)| entry.demand.request(now, timer + spread(index, count)));
        // Another view may have requested some of them already: the round is as old as its oldest request.
        *round = Round { requested_at: Some(requests.min().unwrap_or(now)), answered: 0 };
    }

    /// Whether all components have answered the last request.
    pub(crate) fn has_answered(&self) -> bool {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = round.answered;
        round.answered += self.entries[answered..].iter().take_while(|entry| !entry.is_requested()).count();
        round.answered == self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ServiceIdentity;
    use tokio::time::advance;

    fn built(board: &Board, pulse: &Pulse) -> Arc<BuiltReport> {
        board.report(&View::Whole, pulse.stamp(), pulse, Circumstances::alive).expect("every board has this view")
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_holds_until_something_changes_and_its_values_for_two_seconds() {
        let board = Board::new(BTreeMap::new(), &BTreeMap::new(), ServiceIdentity::default(), false, None);
        let pulse = Pulse::default();
        let first = built(&board, &pulse);
        advance(MAX_VALUE_AGE * 2).await;
        assert_eq!(first.freshness(&pulse), Freshness::Current, "there is no newer result");
        pulse.tick();
        assert_eq!(first.freshness(&pulse), Freshness::Outdated, "its values are older than two seconds");
        let second = built(&board, &pulse);
        assert!(!Arc::ptr_eq(&first, &second), "it is rebuilt for a reader");
        pulse.tick();
        assert_eq!(second.freshness(&pulse), Freshness::StaleValues);
        advance(MAX_VALUE_AGE).await;
        assert_eq!(second.freshness(&pulse), Freshness::Outdated);
        let third = built(&board, &pulse);
        pulse.bump();
        assert_eq!(third.freshness(&pulse), Freshness::Outdated, "a status changed");
    }
}
