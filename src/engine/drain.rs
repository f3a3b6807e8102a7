//! Whether traffic is to go elsewhere, and who wants that.

use std::sync::atomic::{AtomicU8, Ordering};

/// Who wants traffic to go elsewhere. One is enough; each takes back only its own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drainer {
    /// The owner of the aggregator, or of the token.
    Owner = 1,
    /// A file that exists.
    #[cfg(feature = "cli")]
    File = 2,
    /// The process, which is about to end.
    #[cfg(feature = "cli")]
    End = 4,
}

impl Drainer {
    /// In the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "request",
            #[cfg(feature = "cli")]
            Self::File => "file",
            #[cfg(feature = "cli")]
            Self::End => "end",
        }
    }
}

/// The wishes of all.
#[derive(Debug, Default)]
pub(crate) struct Drain(AtomicU8);

impl Drain {
    /// Notes a wish, and tells whether that changed anything for the others.
    pub(crate) fn set(&self, drainer: Drainer, wanted: bool) -> bool {
        let bit = drainer as u8;
        let before = if wanted { self.0.fetch_or(bit, Ordering::AcqRel) } else { self.0.fetch_and(!bit, Ordering::AcqRel) };
        let after = if wanted { before | bit } else { before & !bit };
        (before == 0) != (after == 0)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    #[test]
    fn one_wish_is_enough_and_each_takes_back_its_own() {
        let drain = Drain::default();
        assert!(!drain.set(Drainer::Owner, false));
        assert!(drain.set(Drainer::Owner, true));
        assert!(!drain.set(Drainer::File, true));
        assert!(!drain.set(Drainer::Owner, false));
        assert!(drain.is_wanted());
        assert!(drain.set(Drainer::File, false));
        assert!(!drain.is_wanted());
    }
}
