//! The history: the last changes of all components, for those who look only now and then.

use super::transition::Transition;
use crate::{
    component::CheckName,
    report::{Change, Changes},
};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::sync::Arc;

/// How many changes are kept.
const KEPT: usize = 100;

/// The last changes, the oldest first. Read by everybody without a lock.
#[derive(Default)]
pub(crate) struct History(ArcSwap<Kept>);

#[derive(Clone, Default)]
struct Kept {
    /// How many there ever were.
    count: u64,
    changes: Changes,
}

impl History {
    /// Keeps a change, and forgets the oldest where there are too many.
    pub(crate) fn keep(&self, component: &CheckName, transition: &Transition) {
        let Transition { from, report, lasted } = transition;
        let mut change = Change {
            number: 0,
            component: component.clone(),
            from: *from,
            to: report.status,
            at: report.since.unwrap_or_else(Timestamp::now),
            lasted: *lasted,
            failure: report.failure.clone(),
            warning: report.warning.clone(),
        };
        self.0.rcu(|kept| {
            change.number = kept.count + 1;
            let forgotten = (kept.changes.len() + 1).saturating_sub(KEPT);
            let changes = kept.changes[forgotten..].iter().cloned().chain([Arc::new(change.clone())]).collect();
            Kept { count: change.number, changes }
        });
    }

    /// Forgets the changes of all other components.
    pub(crate) fn retain(&self, stays: impl Fn(&CheckName) -> bool) {
        self.0.rcu(|kept| {
            let changes = kept.changes.iter().filter(|change| stays(&change.component)).cloned().collect();
            Kept { count: kept.count, changes }
        });
    }

    pub(crate) fn changes(&self) -> Changes {
        Arc::clone(&self.0.load().changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ComponentReport, Status};

    fn keep(history: &History, name: &str) {
        let report = ComponentReport { status: Status::Fail, ..ComponentReport::default() };
        let transition = Transition { from: Some(Status::Pass), report, lasted: None };
        history.keep(&name.parse().expect("a name"), &transition);
    }

    #[test]
    fn only_the_last_changes_are_kept_and_their_numbers_stay() {
        let history = History::default();
        for _ in 0..KEPT + 7 {
            keep(&history, "a");
        }
        let numbers: Vec<_> = history.changes().iter().map(|change| change.number).collect();
        assert_eq!(numbers, (8..=KEPT as u64 + 7).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let history = History::default();
        for name in ["a", "b", "a"] {
            keep(&history, name);
        }
        history.retain(|name| name.as_str() == "b");
        keep(&history, "b");
        let kept: Vec<_> = history.changes().iter().map(|change| (change.component.to_string(), change.number)).collect();
        assert_eq!(kept, [("b".to_owned(), 2), ("b".to_owned(), 4)]);
    }
}
