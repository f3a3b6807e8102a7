//! A pace for what would repeat too often.

use std::time::Duration;
use tokio::time::Instant;

/// Allows something once a minute: a line in the log about what repeats.
#[derive(Debug, Default)]
pub(super) struct OncePerMinute(Option<Instant>);

impl OncePerMinute {
    const PACE: Duration = Duration::from_secs(60);

    /// Whether a minute is over since it last was due.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|last| now.saturating_duration_since(last) >= Self::PACE);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}
