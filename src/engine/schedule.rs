//! When probes begin: pure arithmetic for ticks, jitter and spreading.

use std::time::Duration;
use tokio::time::Instant;

/// The maximum number of probes that start at the same instant; more are spread.
const MAX_AT_ONCE: usize = 64;

/// When a component's first two probes are due. All later ones follow at the interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FirstProbes {
    pub(crate) at: Instant,
    /// The time between the first and the second probe, as a fraction of the interval.
    pub(crate) second_after: f64,
}

impl FirstProbes {
    /// A first probe at this moment, and the second one a whole interval later.
    pub(crate) const fn at(at: Instant) -> Self {
        Self { at, second_after: 1.0 }
    }

    /// For component number `index` of `components` that start together. Up to [`MAX_AT_ONCE`] start at once. With more, the first probes are
    /// [spread], and the second ones are spread over the interval so that no waves remain, but none follows sooner than a tenth of the interval.
    pub(crate) fn one_of(now: Instant, index: usize, components: usize) -> Self {
        const MIN_FRACTION: f64 = 0.1;
        if components <= MAX_AT_ONCE {
            return Self::at(now);
        }
        Self { at: now + spread(index, components), second_after: MIN_FRACTION + (1.0 - MIN_FRACTION) * share(index, components) }
    }
}

/// The delay of probe number `index` of `probes` that are requested together. More than [`MAX_AT_ONCE`] are spread: one per millisecond, but all
/// within a second.
pub(crate) fn spread(index: usize, probes: usize) -> Duration {
    if probes <= MAX_AT_ONCE {
        return Duration::ZERO;
    }
    Duration::from_secs(1).min(Duration::from_millis(probes as u64)).mul_f64(share(index, probes))
}

fn share(index: usize, count: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(index) / number(count)
}

/// The factor by which jitter stretches or shortens an interval, for a random number in 0..1.
pub(crate) fn jittered(jitter: f64, random: f64) -> f64 {
    (1.0 + jitter * (2.0 * random - 1.0)).max(0.0)
}

/// The next tick: a multiple of the interval after `started`. Ticks that have passed meanwhile are skipped.
pub(crate) fn next_tick(started: Instant, now: Instant, interval: Duration) -> Instant {
    let interval = interval.max(Duration::from_millis(1));
    let missed = now.duration_since(started).as_nanos() / interval.as_nanos();
    started + interval * u32::try_from(missed + 1).unwrap_or(u32::MAX)
}

/// The next tick after a change of the interval: the remaining time, scaled, so that components do not synchronise.
pub(crate) fn rescheduled(next: Instant, now: Instant, before: Duration, after: Duration) -> Instant {
    if before.is_zero() {
        return now;
    }
    now + next.saturating_duration_since(now).mul_f64(after.div_duration_f64(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_64_probes_are_spread() {
        let now = Instant::now();
        let first_probes = |index, components| {
            let FirstProbes { at, second_after } = FirstProbes::one_of(now, index, components);
            (at - now, second_after)
        };
        assert_eq!(first_probes(63, 64), (Duration::ZERO, 1.0));
        assert_eq!(first_probes(0, 100), (Duration::ZERO, 0.1));
        assert_eq!(first_probes(50, 100), (Duration::from_millis(50), 0.55));
        assert!(first_probes(9_999, 10_000).0 < Duration::from_secs(1));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        for (random, factor) in [(0.0, 0.8), (0.25, 0.9), (0.5, 1.0), (1.0, 1.2)] {
            assert!((jittered(0.2, random) - factor).abs() < 1e-6, "{random}");
        }
    }

    #[test]
    fn a_changed_interval_scales_the_remaining_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(rescheduled(now + 30 * second, now, 60 * second, 6 * second), now + 3 * second);
        assert_eq!(rescheduled(now + 3 * second, now, 6 * second, 60 * second), now + 30 * second);
        assert_eq!(rescheduled(now, now + second, 6 * second, 60 * second), now + second, "it is due already");
    }
}
