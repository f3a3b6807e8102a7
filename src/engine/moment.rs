//! One moment on both clocks: the monotonic clock for ages, the wall clock for display.
//!
//! Every age is measured by [`now`], never by `Instant::now`: a machine that was suspended must not find its old results fresh.

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
        Self { at: now(), wall: Timestamp::now() }
    }

    /// The moment that much later; on the wall clock it saturates at the end of time.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self { at: self.at.checked_add(duration).unwrap_or(self.at), wall: self.wall.saturating_add(duration).unwrap_or(Timestamp::MAX) }
    }

    /// The later of two.
    pub(crate) fn max(self, other: Self) -> Self {
        if other.at > self.at { other } else { self }
    }

    /// The earlier of two.
    pub(crate) fn min(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }
}

/// The monotonic time, which goes on while the machine is suspended.
///
/// Compare it with nothing but itself: timers run on `Instant::now`, which stands still meanwhile. Seconds are exact enough for a suspension, and
/// on a machine that was never suspended both clocks are the same.
pub(crate) fn now() -> Instant {
    Instant::now() + Duration::from_secs(suspended_seconds())
}

/// How long the machine was suspended since it was booted.
#[cfg(target_os = "linux")]
fn suspended_seconds() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        (time.tv_sec, time.tv_nsec)
    };
    // In this order, a pause between the two reads makes the difference smaller, never larger.
    let (with, without) = (read(ClockId::Boottime), read(ClockId::Monotonic));
    let seconds = with.0 - without.0 - i64::from(with.1 < without.1);
    u64::try_from(seconds).unwrap_or(0)
}

/// Other systems have no such clock.
#[cfg(not(target_os = "linux"))]
const fn suspended_seconds() -> u64 {
    0
}
