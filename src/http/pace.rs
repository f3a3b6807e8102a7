//! A limit for log lines that would repeat too often.

use std::time::Duration;
use tokio::time::Instant;

/// Allows a line in the log once a minute.
#[derive(Debug, Default)]
pub(super) struct OncePerMinute(Option<Instant>);

impl OncePerMinute {
    const MIN_INTERVAL: Duration = Duration::from_secs(60);

    /// Whether a minute has passed since this last returned `true`.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|last| now.saturating_duration_since(last) >= Self::MIN_INTERVAL);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}
