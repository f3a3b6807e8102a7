//! One moment on two clocks: a monotonic one for ages, and the wall clock for display.
//!
//! Ages are measured with [`now`], never with `Instant::now`, which stands still while a machine is suspended: after a resume, old results would
//! look fresh.

use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { at: now(), wall: Timestamp::now() }
    }

    /// The moment `duration` later; the wall clock saturates at its maximum.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self { at: self.at.checked_add(duration).unwrap_or(self.at), wall: self.wall.saturating_add(duration).unwrap_or(Timestamp::MAX) }
    }

    /// The later of two moments.
    pub(crate) fn max(self, other: Self) -> Self {
        if other.at > self.at { other } else { self }
    }

    /// The earlier of two moments.
    pub(crate) fn min(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }
}

/// The current time on a monotonic clock that also runs while the machine is suspended.
///
/// Compare it only with itself: timers run on `Instant::now`, which stands still during a suspension. The time spent suspended is added in whole
/// seconds; on a machine that was never suspended both clocks are equal.
pub(crate) fn now() -> Instant {
    Instant::now() + Duration::from_secs(suspended_seconds())
}

/// The seconds that the machine has spent suspended since it was booted: `CLOCK_BOOTTIME` minus `CLOCK_MONOTONIC`, `clock_gettime(2)`.
#[cfg(target_os = "linux")]
fn suspended_seconds() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        (time.tv_sec, time.tv_nsec)
    };
    // Read in this order, so that a pause between the two reads makes the difference smaller, never larger.
    let (with, without) = (read(ClockId::Boottime), read(ClockId::Monotonic));
    let seconds = with.0 - without.0 - i64::from(with.1 < without.1);
    u64::try_from(seconds).unwrap_or(0)
}

/// Other systems do not offer such a clock here.
#[cfg(not(target_os = "linux"))]
const fn suspended_seconds() -> u64 {
    0
}
