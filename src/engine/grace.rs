//! The grace period of a check that is new after a reload: until its first result, the previous verdict stands.

use crate::{component::Policy, report::Status};
use std::time::Duration;
use tokio::time::Instant;

/// The status that counts in place of a check without a result, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriod {
    /// The status of the check that had this name before the reload. `None`: there was none, so the component does not count.
    pub(crate) previous: Option<Status>,
    /// When the grace period ends: from then on the missing result is a failure.
    pub(crate) ends: Instant,
    /// The latest end, however often the configuration is reloaded meanwhile.
    limit: Instant,
}

/// The check that had the same name before the reload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Predecessor {
    /// There was none, or it was muted.
    None,
    /// It had this status, which is valid until the given moment.
    Status(Status, Option<Instant>),
    /// It had no result yet either, and was in its own grace period.
    Pending(GracePeriod),
}

impl GracePeriod {
    /// The grace period of a check whose first probe begins `first_probe_in` from now. Reloads in quick succession at most double it, and an
    /// inherited status counts only until the result behind it is stale.
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
    fn it_ends_with_the_timeout_or_when_the_inherited_status_expires() {
        let (policy, now) = (Policy::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let grace = |predecessor| GracePeriod::after_reload(&policy, predecessor, Duration::from_secs(1), now);
        assert_eq!(grace(Predecessor::None).ends, after(3));
        assert_eq!(grace(Predecessor::Status(Status::Pass, Some(after(2)))).ends, after(2), "an old result is no evidence");
        assert_eq!(grace(Predecessor::Status(Status::Fail, None)).previous, Some(Status::Fail));
    }

    #[test]
    fn reloads_in_quick_succession_at_most_double_it() {
        let (policy, start) = (Policy::default(), Instant::now());
        let mut grace = GracePeriod::after_reload(&policy, Predecessor::None, Duration::ZERO, start);
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            grace = GracePeriod::after_reload(&policy, Predecessor::Pending(grace), Duration::ZERO, now);
        }
        assert_eq!(grace.ends, start + 2 * policy.timeout);
    }
}
