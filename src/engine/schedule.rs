//! When probes begin: pure arithmetic of ticks, jitter and spreading.

use std::time::Duration;
use tokio::time::Instant;

/// The number of probes that may begin in one instant; more are spread.
const AT_ONCE: usize = 64;

/// When a component's first two probes are due; from then on there is an interval between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Beginning {
    pub(crate) first: Instant,
    /// The fraction of an interval between the first and the second probe.
    pub(crate) part: f64,
}

impl Beginning {
    /// With a whole interval between the first two as well.
    pub(crate) const fn at(first: Instant) -> Self {
        Self { first, part: 1.0 }
    }

    /// For one of many components that begin at the same time. The first probes begin at once, those of very many [spread]. Their second probes
    /// are spread over the interval, so that they do not come in waves from then on; but none sooner than a tenth of it after the first.
    pub(crate) fn one_of(now: Instant, index: usize, components: usize) -> Self {
        const SOONEST: f64 = 0.1;
        if components <= AT_ONCE {
            return Self::at(now);
        }
        Self { first: now + spread(index, components), part: SOONEST + (1.0 - SOONEST) * share(index, components) }
    }
}

/// The delay of probe number `index` of `probes` that are requested together: more than [`AT_ONCE`] are spread over a millisecond each, at most a
/// second.
pub(crate) fn spread(index: usize, probes: usize) -> Duration {
    if probes <= AT_ONCE {
        return Duration::ZERO;
    }
    Duration::from_secs(1).min(Duration::from_millis(probes as u64)).mul_f64(share(index, probes))
}

fn share(index: usize, count: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(index) / number(count)
}

/// The factor by which jitter changes an interval, for a random number from 0 to 1.
pub(crate) fn jittered(jitter: f64, random: f64) -> f64 {
    (1.0 + jitter * (2.0 * random - 1.0)).max(0.0)
}

/// An interval after the last beginning; ticks that have passed meanwhile are skipped.
pub(crate) fn next_tick(started: Instant, now: Instant, interval: Duration) -> Instant {
    let interval = interval.max(Duration::from_millis(1));
    let missed = now.duration_since(started).as_nanos() / interval.as_nanos();
    started + interval * u32::try_from(missed + 1).unwrap_or(u32::MAX)
}

/// The next tick when the interval changes: what is left of the old interval, scaled, so that components do not fall into step.
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
    fn only_very_many_are_spread() {
        let now = Instant::now();
        let of = |index, components| {
            let Beginning { first, part } = Beginning::one_of(now, index, components);
            (first - now, part)
        };
        assert_eq!(of(63, 64), (Duration::ZERO, 1.0));
        assert_eq!(of(0, 100), (Duration::ZERO, 0.1));
        assert_eq!(of(50, 100), (Duration::from_millis(50), 0.55));
        assert!(of(9_999, 10_000).0 < Duration::from_secs(1));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        for (random, factor) in [(0.0, 0.8), (0.25, 0.9), (0.5, 1.0), (1.0, 1.2)] {
            assert!((jittered(0.2, random) - factor).abs() < 1e-6, "{random}");
        }
    }

    #[test]
    fn another_interval_scales_what_is_left() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(rescheduled(now + 30 * second, now, 60 * second, 6 * second), now + 3 * second);
        assert_eq!(rescheduled(now + 3 * second, now, 6 * second, 60 * second), now + 30 * second);
        assert_eq!(rescheduled(now, now + second, 6 * second, 60 * second), now + second, "it is due already");
    }
}
