//! The board: all components, what each view judges of them, and the last report made of it.

use super::{entry::Entry, pulse::Pulse};
use crate::{
    component::{CheckName, Component},
    report::{Circumstances, Groups, Report, Service, Status, View, worst},
};
use arc_swap::ArcSwapOption;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// All components and views of one configuration.
pub(crate) struct Board {
    /// By name.
    entries: Vec<Arc<Entry>>,
    views: BTreeMap<View, Viewed>,
    /// The names of groups, `ready` among them, and whom they judge.
    pub(crate) groups: Arc<Groups>,
    pub(crate) service: Arc<Service>,
    /// Nothing but the machine itself is checked.
    pub(crate) only_host: bool,
}

/// What a view judges, and the last report made of it.
struct Viewed {
    entries: Vec<Arc<Entry>>,
    cache: ArcSwapOption<Made>,
}

/// A report, and what it was made of.
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Made {
    pub(crate) report: Arc<Report>,
    version: u64,
    changes: u64,
    /// When it is out of date by time alone.
    until: Option<Instant>,
    at: Instant,
    /// How long it took to make.
    #[cfg(feature = "cli")]
    pub(crate) took: Duration,
}

/// Whether a report still tells the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Nothing newer is known.
    Yes,
    /// Every status is the one that it tells, but there are newer numbers, and have been for at most [`LAG`].
    ButForNumbers,
    /// It is out of date.
    No,
}

/// How old numbers may be that come with a true verdict.
const LAG: Duration = Duration::from_secs(2);

impl Made {
    pub(crate) fn holds(&self, pulse: &Pulse) -> Holds {
        let now = Instant::now();
        if self.changes != pulse.changes() || self.until.is_some_and(|until| now >= until) {
            Holds::No
        } else if self.version == pulse.version() {
            Holds::Yes
        } else if now.saturating_duration_since(self.at) < LAG {
            Holds::ButForNumbers
        } else {
            Holds::No
        }
    }
}

/// A report is put together anew after this time, also when nothing has changed.
const FRESH: Duration = Duration::from_secs(60);

impl Board {
    /// Components that `before` has just so keep their entries, and with them their states and connections.
    pub(crate) fn new(
        components: BTreeMap<CheckName, Component>,
        groups: &BTreeMap<CheckName, BTreeSet<CheckName>>,
        service: Service,
        only_host: bool,
        before: Option<&Self>,
    ) -> Self {
        let kept = |component: &Component| {
            let entries = &before?.entries;
            let index = entries.binary_search_by(|entry| entry.component.name.cmp(&component.name)).ok()?;
            entries[index].component.is_same(component).then(|| Arc::clone(&entries[index]))
        };
        let entries: Vec<Arc<Entry>> =
            components.into_values().map(|component| kept(&component).unwrap_or_else(|| Arc::new(Entry::new(component)))).collect();
        let of = |wanted: &dyn Fn(&Component) -> bool| {
            entries.iter().filter(|entry| wanted(&entry.component)).map(Arc::clone).collect::<Vec<_>>()
        };
        let mut views = BTreeMap::from([
            (View::Whole, entries.clone()),
            (View::Live, Vec::new()),
            (View::Ready, of(&|component| component.policy.critical)),
            (View::Startup, of(&|component| component.policy.critical)),
        ]);
        views.extend(entries.iter().map(|entry| (View::Component(entry.component.name.clone()), vec![Arc::clone(entry)])));
        for (name, checks) in groups {
            let view = if name.as_str() == "ready" { View::Ready } else { View::Group(name.clone()) };
            views.insert(view, of(&|component| checks.contains(&component.name)));
        }
        let names = |viewed: &[Arc<Entry>]| viewed.iter().map(|entry| entry.component.name.clone()).collect();
        let members = views.iter().filter_map(|(view, viewed)| match view {
            View::Ready => Some(("ready".to_owned(), names(viewed))),
            View::Group(name) => Some((name.to_string(), names(viewed))),
            _ => None,
        });
        let members = Arc::new(members.collect());
        let views = views.into_iter().map(|(view, entries)| (view, Viewed { entries, cache: ArcSwapOption::empty() })).collect();
        Self { entries, views, groups: members, service: Arc::new(service), only_host }
    }

    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The verdict on the whole, but for a drain.
    pub(crate) fn verdict(&self) -> Status {
        let now = Instant::now();
        worst(self.entries.iter().filter_map(|entry| entry.counts(now)))
    }

    /// Groups with names of the users' own.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &CheckName> {
        self.views.keys().filter_map(|view| if let View::Group(name) = view { Some(name) } else { None })
    }

    /// What a view judges; `None`: there is no such view.
    pub(crate) fn of(&self, view: &View) -> Option<&[Arc<Entry>]> {
        self.views.get(view).map(|viewed| &*viewed.entries)
    }

    /// The report on a view: the last one, if nothing has changed since.
    pub(crate) fn report(&self, view: &View, pulse: &Pulse, circumstances: impl FnOnce() -> Circumstances) -> Option<Arc<Made>> {
        let viewed = self.views.get(view)?;
        if let Some(made) = &*viewed.cache.load()
            && made.holds(pulse) == Holds::Yes
            // Whether the engine moves is a matter of the moment.
            && *view != View::Live
        {
            return Some(Arc::clone(made));
        }
        let now = Instant::now();
        // Read before the states are, so that a change in between makes the report out of date and not the other way round.
        let (version, changes) = (pulse.version(), pulse.changes());
        let mut until: Option<Instant> = None;
        // Collected, a map of what is in order has no empty places.
        let components = viewed.entries.iter().map(|entry| {
            let (component, stands_until) = entry.report(now);
            until = [until, stands_until].into_iter().flatten().min();
            (entry.component.name.clone(), component)
        });
        let components = components.collect();
        // Ages and the last hour are shown, too: they may be behind, but not for long.
        let until = until.map(|until| until.min(now + FRESH));
        let report = Arc::new(Report::new(view, components, circumstances()));
        let made = Arc::new(Made {
            report,
            version,
            changes,
            until,
            at: now,
            #[cfg(feature = "cli")]
            took: now.elapsed(),
        });
        viewed.cache.store(Some(Arc::clone(&made)));
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Service;
    use tokio::time::advance;

    fn made(board: &Board, pulse: &Pulse) -> Arc<Made> {
        board.report(&View::Whole, pulse, Circumstances::alive).expect("every board has this view")
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_holds_until_something_changes_and_its_numbers_a_little_longer_than_a_result() {
        let board = Board::new(BTreeMap::new(), &BTreeMap::new(), Service::default(), false, None);
        let pulse = Pulse::default();
        let first = made(&board, &pulse);
        advance(LAG * 2).await;
        assert_eq!(first.holds(&pulse), Holds::Yes, "nothing is known that it does not tell");
        pulse.tick();
        assert_eq!(first.holds(&pulse), Holds::No, "its numbers are too old");
        let second = made(&board, &pulse);
        assert!(!Arc::ptr_eq(&first, &second), "whoever wants the numbers has them made");
        pulse.tick();
        assert_eq!(second.holds(&pulse), Holds::ButForNumbers);
        advance(LAG).await;
        assert_eq!(second.holds(&pulse), Holds::No);
        let third = made(&board, &pulse);
        pulse.bump();
        assert_eq!(third.holds(&pulse), Holds::No, "a status is another");
    }
}
