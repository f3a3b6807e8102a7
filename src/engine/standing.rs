//! Since when the verdict on the whole is what it is, and since when traffic is wanted or not.

use crate::report::Status;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use std::sync::Arc;

/// The last change of each.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    verdict: ArcSwapOption<(Status, Timestamp)>,
    drain: ArcSwapOption<Timestamp>,
}

impl Standing {
    /// Notes the verdict of a moment, and tells whether it is another one. The supervisor alone may call this.
    pub(crate) fn note(&self, status: Status, at: Timestamp) -> bool {
        let changed = self.verdict.load().as_deref().is_none_or(|(before, _)| *before != status);
        if changed {
            self.verdict.store(Some(Arc::new((status, at))));
        }
        changed
    }

    /// Notes that traffic is wanted no longer, or again.
    pub(crate) fn note_drain(&self, at: Timestamp) {
        self.drain.store(Some(Arc::new(at)));
    }

    /// Since when a verdict stands; `None` where it has not been noted yet.
    pub(crate) fn since(&self, status: Status, draining: bool) -> Option<Timestamp> {
        let drain = self.drain.load().as_deref().copied();
        if draining {
            return drain;
        }
        let verdict = self.verdict.load();
        let (_, since) = verdict.as_deref().filter(|(noted, _)| *noted == status)?;
        // Until a drain ended, it was another verdict.
        drain.max(Some(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Fail, Pass};

    #[test]
    fn a_verdict_stands_since_it_or_the_wish_for_traffic_changed() {
        let second = |second| Timestamp::from_second(second).expect("a time");
        let standing = Standing::default();
        assert_eq!(standing.since(Pass, false), None);
        assert!(standing.note(Pass, second(10)));
        assert!(!standing.note(Pass, second(20)));
        assert_eq!(standing.since(Pass, false), Some(second(10)));
        assert_eq!(standing.since(Fail, false), None, "it is not known yet that it fails");
        standing.note_drain(second(30));
        assert_eq!(standing.since(Fail, true), Some(second(30)));
        standing.note_drain(second(40));
        assert_eq!(standing.since(Pass, false), Some(second(40)), "it was draining in between");
        assert!(standing.note(Fail, second(50)));
        assert_eq!(standing.since(Fail, false), Some(second(50)));
    }
}
