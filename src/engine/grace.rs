//! The grace period of a check that is new after a reload: until its first result, the verdict before the reload stands.

use crate::{component::Policy, report::Status};
use std::time::Duration;
use tokio::time::Instant;

/// What counts in place of a check that has no result yet, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriod {
    /// The status that the check of the same name had before the reload. `None`: there was none, and nothing counts.
    pub(crate) previous: Option<Status>,
    /// From then on the missing result is a failure.
    pub(crate) ends: Instant,
    /// However often the configuration is reloaded meanwhile, it ends by then.
    limit: Instant,
}

/// What the check of the same name counted for at the reload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Predecessor {
    /// There was none, or it was muted.
    None,
    /// It had this status, to be believed until then.
    Status(Status, Option<Instant>),
    /// It had no result yet either.
    Pending(GracePeriod),
}

impl GracePeriod {
    /// For a check whose first probe begins `first_probe_in` from now. Reloads in quick succession at most double it, and an inherited status counts
    /// only as long as the result behind it is believed.
    pub(crate) fn after_reload(policy: &Policy, predecessor: Predecessor, first_probe_in: Duration, now: Instant) -> Self {
        let time = first_probe_in + policy.timeout;
        let at_most = now + 2 * time;
        let (previous, limit) = match predecessor {
            Predecessor::None => (None, at_most),
            Predecessor::Status(status, believed_until) => (Some(status), believed_until.map_or(at_most, |until| until.min(at_most))),
            Predecessor::Pending(grace) => (grace.previous, grace.limit),
        };
        Self { previous, ends: (now + time).min(limit), limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_the_timeout_or_with_what_it_inherits() {
        let (policy, now) = (Policy::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let grace = |predecessor| GracePeriod::after_reload(&policy, predecessor, Duration::from_secs(1), now);
        assert_eq!(grace(Predecessor::None).ends, after(3));
        assert_eq!(grace(Predecessor::Status(Status::Pass, Some(after(2)))).ends, after(2), "an old result is no evidence");
        assert_eq!(grace(Predecessor::Status(Status::Fail, None)).previous, Some(Status::Fail));
    }

    #[test]
    fn reloads_in_quick_succession_do_not_prolong_it_without_end() {
        let (policy, start) = (Policy::default(), Instant::now());
        let mut grace = GracePeriod::after_reload(&policy, Predecessor::None, Duration::ZERO, start);
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            grace = GracePeriod::after_reload(&policy, Predecessor::Pending(grace), Duration::ZERO, now);
        }
        assert_eq!(grace.ends, start + 2 * policy.timeout);
    }
}
