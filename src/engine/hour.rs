//! The last hour of one component, minute by minute. Pure: every function takes the current moment as an argument.

use crate::report::{Minute, Status};
use allswell_checks::contract::FailureClass;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The number of minutes that are kept.
const MINUTES: usize = 60;

/// The worst status in each of the last sixty minutes. Minutes are counted from the creation of the entry.
#[derive(Clone, Debug)]
pub(crate) struct Hour {
    began: Instant,
    /// The number of the last minute in `minutes`.
    newest: u64,
    /// Oldest first; empty until the first result. Shared with reports.
    minutes: Arc<[Minute]>,
}

impl Hour {
    /// An hour without any result.
    pub(crate) fn new(began: Instant) -> Self {
        Self { began, newest: 0, minutes: Arc::default() }
    }

    pub(crate) fn minutes(&self) -> Arc<[Minute]> {
        Arc::clone(&self.minutes)
    }

    /// Whether the current minute has no status yet.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        self.minutes.is_empty() || self.minute(now) > self.newest
    }

    /// Adds a status that holds at `now`; `None` if that changes nothing. Minutes without any result stay empty, because the status in them is
    /// unknown.
    pub(crate) fn with(&self, now: Instant, status: Status, class: Option<FailureClass>, took: Option<Duration>) -> Option<Self> {
        let newest = self.minute(now).max(self.newest);
        let passed = usize::try_from(newest - self.newest).unwrap_or(MINUTES).min(MINUTES);
        let known = self.minutes.last().filter(|_| passed == 0).copied().unwrap_or_default();
        let minute = Minute::new(known.worst.max(Some(status)), class.or(known.class), known.slowest().max(took));
        if passed == 0 && minute == known {
            return None;
        }
        // Shift the kept minutes by those that have passed.
        let mut minutes = [Minute::default(); MINUTES];
        let kept = self.minutes.get(passed..).unwrap_or_default();
        minutes[..kept.len()].copy_from_slice(kept);
        minutes[MINUTES - 1] = minute;
        Some(Self { began: self.began, newest, minutes: minutes.into() })
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / 60
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Fail, Pass, Warn};

    /// Adds statuses at the given seconds; returns the minutes that are not empty, with their index.
    fn hour(seen: &[(u64, Status)]) -> Vec<(usize, Status)> {
        let began = Instant::now();
        let last = seen.iter().fold(Hour::new(began), |hour, (second, status)| {
            hour.with(began + Duration::from_secs(*second), *status, None, None).unwrap_or(hour)
        });
        assert_eq!(last.minutes.len(), if seen.is_empty() { 0 } else { MINUTES });
        last.minutes.iter().enumerate().filter_map(|(place, minute)| Some((place, minute.worst?))).collect()
    }

    #[test]
    fn the_worst_status_of_a_minute_counts() {
        assert_eq!(hour(&[]), []);
        assert_eq!(hour(&[(0, Pass), (10, Fail), (20, Warn), (59, Pass)]), [(59, Fail)]);
        assert_eq!(hour(&[(0, Fail), (60, Pass)]), [(58, Fail), (59, Pass)]);
    }

    #[test]
    fn minutes_without_a_result_stay_empty_and_old_ones_are_dropped() {
        assert_eq!(hour(&[(0, Fail), (180, Pass)]), [(56, Fail), (59, Pass)]);
        assert_eq!(hour(&[(0, Fail), (59 * 60, Pass)]), [(0, Fail), (59, Pass)]);
        assert_eq!(hour(&[(0, Fail), (60 * 60, Pass)]), [(59, Pass)]);
        assert_eq!(hour(&[(0, Fail), (1_000_000, Pass)]), [(59, Pass)]);
    }

    #[test]
    fn a_moment_before_the_last_one_counts_to_the_newest_minute() {
        assert_eq!(hour(&[(120, Pass), (0, Fail)]), [(59, Fail)]);
    }

    #[test]
    fn a_failing_minute_keeps_the_last_failure_class() {
        let began = Instant::now();
        let add = |hour: &Hour, status, class| hour.with(began, status, class, None).expect("news");
        let hour = add(&Hour::new(began), Fail, Some(FailureClass::Timeout));
        let hour = add(&hour, Fail, Some(FailureClass::Stale));
        assert_eq!(hour.minutes.last().map(|minute| minute.class), Some(Some(FailureClass::Stale)), "the last reason");
        assert!(hour.with(began, Pass, None, None).is_none(), "and a pass in the same minute changes nothing");
    }

    #[test]
    fn a_status_that_adds_nothing_changes_nothing() {
        let began = Instant::now();
        let hour = Hour::new(began).with(began, Warn, None, Some(Duration::from_millis(5))).expect("news");
        assert!(hour.with(began, Pass, None, Some(Duration::from_millis(4))).is_none());
        let slower = hour.with(began, Pass, None, Some(Duration::from_millis(6))).expect("news");
        assert_eq!(slower.minutes.last().and_then(|minute| minute.slowest()), Some(Duration::from_millis(6)));
        assert!(slower.with(began + Duration::from_secs(60), Warn, None, None).is_some(), "a minute begins");
    }
}
