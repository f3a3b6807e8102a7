//! The number of responses by path and status code.

use arc_swap::ArcSwap;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

type Counters = BTreeMap<(&'static str, u16), Arc<AtomicU64>>;

/// Counters by path and status code. They are incremented and read without a lock.
#[derive(Debug, Default)]
pub(crate) struct PollCounts(ArcSwap<Counters>);

impl PollCounts {
    /// Counts a response. `path` is one of few labels, never what a client sent.
    pub(crate) fn count(&self, path: &'static str, code: u16) {
        let key = (path, code);
        if let Some(counter) = self.0.load().get(&key) {
            counter.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The first response with this path and code. No count is lost meanwhile: the old table and the new one share their counters.
        self.0.rcu(|counters| {
            let mut counters = Counters::clone(counters);
            counters.entry(key).or_default();
            counters
        });
        if let Some(counter) = self.0.load().get(&key) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of responses by path and status code.
    pub(crate) fn all(&self) -> Vec<((&'static str, u16), u64)> {
        self.0.load().iter().map(|(key, counter)| (*key, counter.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_several_threads_are_all_there() {
        let counts = PollCounts::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|number| counts.count("other", 200 + number % 10)));
            }
        });
        assert_eq!(counts.all(), (200..210).map(|code| (("other", code), 800)).collect::<Vec<_>>());
    }
}
