//! The history: the last status changes of all components, for feeds and the status page.

use crate::{
    component::CheckName,
    report::{Change, Changes},
};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The number of changes that are kept.
const MAX_CHANGES: usize = 100;

/// The last changes, oldest first. Readers take no lock.
#[derive(Default)]
pub(crate) struct History(ArcSwap<RecordedChanges>);

#[derive(Clone, Default)]
struct RecordedChanges {
    /// The number of changes since the start, including forgotten ones.
    count: u64,
    changes: Changes,
}

impl History {
    /// Adds a change and numbers it. Drops the oldest one if there are more than [`MAX_CHANGES`].
    pub(crate) fn add(&self, mut change: Change) {
        self.0.rcu(|kept| {
            change.number = kept.count + 1;
            let dropped = (kept.changes.len() + 1).saturating_sub(MAX_CHANGES);
            let changes = kept.changes[dropped..].iter().cloned().chain([Arc::new(change.clone())]).collect();
            RecordedChanges { count: change.number, changes }
        });
    }

    /// Drops the changes of all components for which `stays` is false.
    pub(crate) fn retain(&self, stays: impl Fn(&CheckName) -> bool) {
        self.0.rcu(|kept| {
            let changes = kept.changes.iter().filter(|change| stays(&change.component)).cloned().collect();
            RecordedChanges { count: kept.count, changes }
        });
    }

    pub(crate) fn changes(&self) -> Changes {
        Arc::clone(&self.0.load().changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Status;
    use jiff::Timestamp;

    fn add(history: &History, name: &str) {
        history.add(Change {
            number: 0,
            component: name.parse().expect("a name"),
            from: Some(Status::Pass),
            to: Status::Fail,
            at: Timestamp::UNIX_EPOCH,
            lasted: None,
            failure: None,
            warning: None,
        });
    }

    #[test]
    fn only_the_last_changes_are_kept_and_their_numbers_stay() {
        let history = History::default();
        for _ in 0..MAX_CHANGES + 7 {
            add(&history, "a");
        }
        let numbers: Vec<_> = history.changes().iter().map(|change| change.number).collect();
        assert_eq!(numbers, (8..=MAX_CHANGES as u64 + 7).collect::<Vec<_>>());
    }

    #[test]
    fn changes_of_removed_components_are_dropped() {
        let history = History::default();
        for name in ["a", "b", "a"] {
            add(&history, name);
        }
        history.retain(|name| name.as_str() == "b");
        add(&history, "b");
        let kept: Vec<_> = history.changes().iter().map(|change| (change.component.to_string(), change.number)).collect();
        assert_eq!(kept, [("b".to_owned(), 2), ("b".to_owned(), 4)]);
    }
}
