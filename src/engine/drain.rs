//! Draining: whether load balancers should stop sending traffic, and for which reasons.

use std::sync::atomic::{AtomicU8, Ordering};

/// Why the service drains. One reason is enough, and each is withdrawn separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DrainReason {
    /// A call of `Aggregator::drain`, or a request with the token.
    Request = 1,
    /// The drain file exists.
    #[cfg(feature = "server")]
    File = 2,
    /// The process is shutting down.
    #[cfg(feature = "server")]
    Shutdown = 4,
}

impl DrainReason {
    /// The name in the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            #[cfg(feature = "server")]
            Self::File => "file",
            #[cfg(feature = "server")]
            Self::Shutdown => "shutdown",
        }
    }
}

/// The reasons that apply now, one bit each.
#[derive(Debug, Default)]
pub(crate) struct Drain(AtomicU8);

impl Drain {
    /// Sets or withdraws a reason, and returns whether draining as a whole starts or ends by that.
    pub(crate) fn set(&self, reason: DrainReason, is_active: bool) -> bool {
        let bit = reason as u8;
        let before = if is_active { self.0.fetch_or(bit, Ordering::AcqRel) } else { self.0.fetch_and(!bit, Ordering::AcqRel) };
        let after = if is_active { before | bit } else { before & !bit };
        (before == 0) != (after == 0)
    }

    pub(crate) fn is_active(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_enough_and_each_is_withdrawn_separately() {
        let drain = Drain::default();
        assert!(!drain.set(DrainReason::Request, false));
        assert!(drain.set(DrainReason::Request, true));
        assert!(!drain.set(DrainReason::File, true));
        assert!(!drain.set(DrainReason::Request, false));
        assert!(drain.is_active());
        assert!(drain.set(DrainReason::File, false));
        assert!(!drain.is_active());
    }
}
