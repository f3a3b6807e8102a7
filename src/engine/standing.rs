//! Since when the verdict on the whole holds, taking drains into account.

use crate::report::Status;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use std::sync::Arc;

/// The last change of the verdict, and the last start or end of a drain.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    verdict: ArcSwapOption<(Status, Timestamp)>,
    drain: ArcSwapOption<Timestamp>,
}

impl Standing {
    /// Records the current verdict, and returns whether it changed. Only the supervisor calls this.
    pub(crate) fn record(&self, status: Status, at: Timestamp) -> bool {
        let changed = self.verdict.load().as_deref().is_none_or(|(before, _)| *before != status);
        if changed {
            self.verdict.store(Some(Arc::new((status, at))));
        }
        changed
    }

    /// Records that a drain started or ended.
    pub(crate) fn record_drain(&self, at: Timestamp) {
        self.drain.store(Some(Arc::new(at)));
    }

    /// Since when a verdict holds; `None` if it has not been recorded yet.
    pub(crate) fn since(&self, status: Status, draining: bool) -> Option<Timestamp> {
        let drain = self.drain.load().as_deref().copied();
        if draining {
            return drain;
        }
        let verdict = self.verdict.load();
        let (_, since) = verdict.as_deref().filter(|(recorded, _)| *recorded == status)?;
        // While it was draining, the verdict was a failure.
        drain.max(Some(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Fail, Pass};

    #[test]
    fn a_verdict_holds_since_it_or_draining_changed() {
        let second = |second| Timestamp::from_second(second).expect("a time");
        let standing = Standing::default();
        assert_eq!(standing.since(Pass, false), None);
        assert!(standing.record(Pass, second(10)));
        assert!(!standing.record(Pass, second(20)));
        assert_eq!(standing.since(Pass, false), Some(second(10)));
        assert_eq!(standing.since(Fail, false), None, "this verdict was never recorded");
        standing.record_drain(second(30));
        assert_eq!(standing.since(Fail, true), Some(second(30)));
        standing.record_drain(second(40));
        assert_eq!(standing.since(Pass, false), Some(second(40)), "a drain ended at that time");
        assert!(standing.record(Fail, second(50)));
        assert_eq!(standing.since(Fail, false), Some(second(50)));
    }
}
