//! The counts of a component's probes, for metrics.

use super::Status;
use std::time::Duration;

/// The number of probes by outcome, and the distribution of their durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    outcomes: [u64; 3],
    /// The number of probes in each bucket: longer than the previous limit, and at most as long as its own. The last has no limit.
    buckets: [u64; Self::LIMITS.len() + 1],
    total: Duration,
}

impl Tally {
    /// The limits of the buckets in seconds: from the time for reading memory to the longest usual timeout.
    pub const LIMITS: [f64; 17] =
        [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

    /// Counts a probe.
    pub(crate) fn count(&mut self, outcome: Status, took: Duration) {
        let seconds = took.as_secs_f64();
        self.outcomes[outcome as usize] += 1;
        self.buckets[Self::LIMITS.partition_point(|limit| *limit < seconds)] += 1;
        self.total = self.total.saturating_add(took);
    }

    /// The number of probes with this outcome.
    #[must_use]
    pub const fn count_of(&self, outcome: Status) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// The number of probes.
    #[must_use]
    pub fn probes(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// The sum of their durations.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.total
    }

    /// For each limit in seconds, the number of probes that took at most as long.
    pub fn within(&self) -> impl Iterator<Item = (f64, u64)> {
        let sums = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self::LIMITS.into_iter().zip(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_counts_for_every_limit_that_it_meets() {
        let mut tally = Tally::default();
        for (outcome, micros) in [(Status::Pass, 1), (Status::Pass, 100), (Status::Warn, 101), (Status::Fail, 60_000_000)] {
            tally.count(outcome, Duration::from_micros(micros));
        }
        let within: Vec<_> = tally.within().collect();
        assert_eq!((within[0], within[1], within[16]), ((0.0001, 2), (0.00025, 3), (30.0, 3)));
        assert_eq!((tally.probes(), tally.count_of(Status::Pass), tally.count_of(Status::Fail)), (4, 2, 1));
        assert_eq!(tally.total(), Duration::from_micros(60_000_202));
    }
}
