//! One moment on both clocks: the monotonic one for ages, the wall's for people.

use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// A moment, read from both clocks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), wall: Timestamp::now() }
    }

    /// The moment that much later; on the wall it saturates at the end of time.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self { at: self.at.checked_add(duration).unwrap_or(self.at), wall: self.wall.saturating_add(duration).unwrap_or(Timestamp::MAX) }
    }

    /// The later of two.
    pub(crate) fn max(self, other: Self) -> Self {
        if other.at > self.at { other } else { self }
    }
}
