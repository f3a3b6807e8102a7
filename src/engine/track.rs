//! Judges a component by its results: a pure state machine of rise, fall, hold and age. Every function takes the current moment as an argument.

use super::moment::Moment;
use crate::{component::Policy, report::Status};
use std::time::Duration;
use tokio::time::Instant;

/// The results of one component so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    last: Option<Last>,
    verdict: Option<Verdict>,
    passed_once: bool,
}

/// The last result, and the length of the current streaks.
#[derive(Clone, Copy, Debug)]
struct Last {
    raw: Status,
    at: Moment,
    /// After this moment the result is stale.
    believed_until: Moment,
    /// Results in a row with the same raw status.
    consecutive: u64,
    /// Results in a row on the same side, good or failed, and the first of them.
    streak: u64,
    streak_began: Moment,
}

/// The verdict by rise and fall alone, before hold and age are applied.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Good {
        status: Status,
        since: Moment,
    },
    Failed {
        since: Moment,
        /// The first failure after the last good verdict; the hold is counted from here. `None`: there was no good verdict to hold.
        first_failure: Option<Moment>,
    },
}

/// The judgement on a component at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) status: Status,
    pub(crate) reason: Reason,
    pub(crate) since: Option<Moment>,
    /// When time alone changes the judgement.
    pub(crate) until: Option<Instant>,
}

/// Why a component has its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no result yet.
    Pending,
    /// The last result is older than the maximum age.
    Stale,
    /// It fails, but the hold keeps the last good verdict for this much longer.
    Held(Duration),
    /// Its results decide.
    Results,
}

impl Track {
    /// A track without results. `passed_once`: an earlier check of the same name has passed before.
    pub(crate) fn new(passed_once: bool) -> Self {
        Self { passed_once, ..Self::default() }
    }

    /// Records a result. `at` must not be before the previous result.
    pub(crate) fn record(&mut self, policy: &Policy, raw: Status, at: Moment) {
        let stale_since = self.last.filter(|_| self.is_stale(at.at)).map(|last| last.believed_until);
        if stale_since.is_some() {
            // Later results must not build on a stale verdict: the next result decides, as the first one does.
            *self = Self::new(self.passed_once);
        }
        let first = Last { raw, at, believed_until: at.after(policy.max_age()), consecutive: 1, streak: 1, streak_began: at };
        let last = self.last.map_or(first, |last| {
            let (alike, same_side) = (last.raw == raw, last.raw.is_good() == raw.is_good());
            Last {
                consecutive: if alike { last.consecutive + 1 } else { 1 },
                streak: if same_side { last.streak + 1 } else { 1 },
                streak_began: if same_side { last.streak_began } else { at },
                ..first
            }
        });
        self.last = Some(last);
        self.passed_once |= raw.is_good();
        self.verdict = Some(match self.verdict {
            // The first result decides at once.
            None if raw.is_good() => Verdict::Good { status: raw, since: at },
            // If it was stale it keeps failing, now because of a result.
            None => Verdict::Failed { since: stale_since.unwrap_or(at), first_failure: None },
            Some(Verdict::Good { status, since }) if raw.is_good() => {
                Verdict::Good { status: raw, since: if raw == status { since } else { at } }
            }
            Some(Verdict::Good { .. }) if last.streak >= u64::from(policy.fall) => {
                Verdict::Failed { since: at, first_failure: Some(last.streak_began) }
            }
            // A held component was never reported as failed, so `rise` does not apply.
            Some(Verdict::Failed { first_failure, .. })
                if raw.is_good() && (last.streak >= u64::from(policy.rise) || is_held(first_failure, policy, at.at)) =>
            {
                Verdict::Good { status: raw, since: at }
            }
            Some(unchanged) => unchanged,
        });
    }

    /// Applies another policy. A result that is not stale now stays valid for the new maximum age counted from now, but not longer than under the
    /// old policy: a shorter interval makes nothing stale before there was time to probe. A stale result stays stale.
    ///
    /// A hold that has ended, or ends by this change, does not come back: what was reported as failed is not held later.
    pub(crate) fn change_policy(&mut self, before: &Policy, policy: &Policy, now: Moment) {
        if self.is_stale(now.at) {
            return;
        }
        if let Some(Verdict::Failed { since, first_failure: Some(first) }) = self.verdict {
            let (held_until, is_held) = (first.after(before.hold), is_held(Some(first), policy, now.at));
            if now.at >= held_until.at {
                self.verdict = Some(Verdict::Failed { since: since.max(held_until), first_failure: None });
            } else if !is_held {
                self.verdict = Some(Verdict::Failed { since: now, first_failure: None });
            }
        }
        if let Some(last) = &mut self.last {
            let max_age = policy.max_age();
            last.believed_until = last.at.after(max_age).max(now.after(max_age).min(last.believed_until));
        }
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now > last.believed_until.at)
    }

    /// Judges the component at the moment `now`.
    pub(crate) fn judge(&self, policy: &Policy, now: Instant) -> Judgement {
        let (Some(last), Some(verdict)) = (self.last, self.verdict) else {
            return Judgement { status: Status::Fail, reason: Reason::Pending, since: None, until: None };
        };
        let stale_from = last.believed_until;
        if self.is_stale(now) {
            return Judgement { status: Status::Fail, reason: Reason::Stale, since: Some(stale_from), until: None };
        }
        let (status, reason, since, until) = match verdict {
            Verdict::Good { status, since } => (status, Reason::Results, since, stale_from.at),
            Verdict::Failed { since, first_failure } => match first_failure.map(|first| first.after(policy.hold)) {
                Some(held_until) if now < held_until.at => {
                    (Status::Warn, Reason::Held(held_until.at - now), since, stale_from.at.min(held_until.at))
                }
                held_until => (Status::Fail, Reason::Results, held_until.map_or(since, |held| since.max(held)), stale_from.at),
            },
        };
        Judgement { status, reason, since: Some(since), until: Some(until) }
    }

    /// The number of results in a row with the same raw status as the last one.
    pub(crate) fn consecutive(&self) -> u64 {
        self.last.map_or(0, |last| last.consecutive)
    }

    /// The last result, and when it was recorded.
    pub(crate) fn last(&self) -> Option<(Status, Moment)> {
        self.last.map(|last| (last.raw, last.at))
    }

    /// Whether any result so far was good (pass or warn).
    pub(crate) const fn passed_once(&self) -> bool {
        self.passed_once
    }
}

/// Whether the hold still keeps the last good verdict.
fn is_held(first_failure: Option<Moment>, policy: &Policy, now: Instant) -> bool {
    first_failure.is_some_and(|first| now < first.after(policy.hold).at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(rise: u32, fall: u32, hold: u64) -> Policy {
        Policy::default().with_rise(rise).with_fall(fall).with_hold(Duration::from_secs(hold))
    }

    /// Records results at the given seconds, and judges at second `now`.
    fn judged(policy: &Policy, results: &[(u64, Status)], now: u64) -> (Judgement, Moment) {
        let start = Moment::now();
        let mut track = Track::default();
        for (second, raw) in results {
            track.record(policy, *raw, start.after(Duration::from_secs(*second)));
        }
        (track.judge(policy, start.at + Duration::from_secs(now)), start)
    }

    fn second(moment: Option<Moment>, start: Moment) -> Option<u64> {
        moment.map(|moment| (moment.at - start.at).as_secs())
    }

    use Status::{Fail, Pass, Warn};

    #[test]
    fn without_a_result_it_is_pending_and_the_first_result_decides() {
        let policy = policy(3, 3, 60);
        assert_eq!(judged(&policy, &[], 5).0.reason, Reason::Pending);
        assert_eq!(judged(&policy, &[(0, Fail)], 1).0.status, Fail, "it was never good, so there is nothing to hold");
        assert_eq!(judged(&policy, &[(0, Pass)], 1).0.status, Pass);
    }

    #[test]
    fn fall_and_rise_count_consecutive_results() {
        let policy = policy(2, 3, 0);
        let results = [(0, Pass), (10, Fail), (20, Fail), (30, Fail), (40, Pass), (50, Warn)];
        for (upto, expected, since) in [(2, Pass, 0), (3, Pass, 0), (4, Fail, 30), (5, Fail, 30), (6, Warn, 50)] {
            let (judgement, start) = judged(&policy, &results[..upto], results[upto - 1].0 + 1);
            assert_eq!((judgement.status, second(judgement.since, start)), (expected, Some(since)), "after {upto} results");
        }
    }

    #[test]
    fn a_hold_is_counted_from_the_first_failure() {
        let policy = policy(1, 1, 15);
        let results = [(0, Pass), (10, Fail), (20, Fail)];
        let (held, start) = judged(&policy, &results, 22);
        assert_eq!((held.status, held.reason), (Warn, Reason::Held(Duration::from_secs(3))));
        assert_eq!(held.until, Some(start.at + Duration::from_secs(25)));
        let (failed, start) = judged(&policy, &results, 26);
        assert_eq!((failed.status, second(failed.since, start)), (Fail, Some(25)), "since the moment the hold ended");
    }

    #[test]
    fn an_old_result_is_stale_regardless_of_fall_and_hold() {
        let policy = policy(1, 5, 600);
        let (stale, start) = judged(&policy, &[(0, Pass), (10, Fail)], 33);
        assert_eq!((stale.status, stale.reason, second(stale.since, start)), (Fail, Reason::Stale, Some(32)));
        let (again, start) = judged(&policy, &[(0, Pass), (100, Pass)], 101);
        assert_eq!((again.status, second(again.since, start)), (Pass, Some(100)), "it was stale in between");
    }

    #[test]
    fn a_stale_component_stays_failed_when_the_next_probe_fails() {
        for (fall, hold) in [(3, 0), (1, 600), (3, 600)] {
            let (judgement, start) = judged(&policy(2, fall, hold), &[(0, Pass), (10, Pass), (60, Fail)], 61);
            assert_eq!((judgement.status, judgement.reason), (Fail, Reason::Results), "fall {fall}, hold {hold}");
            assert_eq!(second(judgement.since, start), Some(32), "it has failed since it became stale");
        }
    }

    #[test]
    fn the_first_result_after_stale_decides_and_streaks_restart() {
        let policy = policy(3, 3, 0);
        let (start, at) = (Moment::now(), |second| Duration::from_secs(second));
        let mut track = Track::default();
        for (second, raw) in [(0, Pass), (10, Fail), (20, Fail), (60, Pass)] {
            track.record(&policy, raw, start.after(at(second)));
        }
        assert_eq!((track.judge(&policy, start.at + at(61)).status, track.consecutive()), (Pass, 1));
        for (second, expected) in [(70, Pass), (80, Pass), (90, Fail)] {
            track.record(&policy, Fail, start.after(at(second)));
            assert_eq!(
                track.judge(&policy, start.at + at(second)).status,
                expected,
                "the two failures before it became stale do not count"
            );
        }
        assert!(track.passed_once(), "the first pass is not forgotten");
    }

    #[test]
    fn a_shorter_interval_makes_nothing_stale_before_there_was_time_to_probe() {
        let (slow, fast) = (Policy { interval: Duration::from_secs(60), ..Policy::default() }, Policy::default());
        let (start, at) = (Moment::now(), |second| Duration::from_secs(second));
        let mut track = Track::default();
        track.record(&slow, Pass, start);
        track.change_policy(&slow, &fast, start.after(at(50)));
        assert_eq!(track.judge(&fast, start.at + at(72)).status, Pass);
        assert_eq!(track.judge(&fast, start.at + at(73)).reason, Reason::Stale);
        track.change_policy(&fast, &slow, start.after(at(74)));
        assert_eq!(track.judge(&slow, start.at + at(75)).reason, Reason::Stale, "a longer interval does not revive a stale result");
    }

    #[test]
    fn a_shorter_hold_ends_at_once_and_does_not_come_back() {
        let (held, hard) = (policy(1, 1, 60), policy(1, 1, 0));
        let start = Moment::now();
        let mut track = Track::default();
        track.record(&held, Pass, start);
        track.record(&held, Fail, start.after(Duration::from_secs(10)));
        let now = start.after(Duration::from_secs(12));
        assert_eq!(track.judge(&held, now.at).status, Warn);
        track.change_policy(&held, &hard, now);
        let failed = track.judge(&hard, now.at);
        assert_eq!((failed.status, failed.since), (Fail, Some(now)), "it was held until now");
        track.change_policy(&hard, &held, now);
        assert_eq!(track.judge(&held, now.at).status, Fail, "a reported failure is not held later");
    }

    fn raw() -> impl Strategy<Value = Status> {
        prop_oneof![Just(Pass), Just(Warn), Just(Fail)]
    }

    /// The definition applied literally to the whole history of results with their times in seconds.
    fn defined(policy: &Policy, history: &[(u64, Status)], now: u64) -> Status {
        let max_age = policy.max_age().as_secs();
        let believed = |pair: &[(u64, Status)]| pair[1].0 - pair[0].0 <= max_age;
        // Only results after the last time that it was stale count.
        let begins = history.windows(2).rposition(|pair| !believed(pair)).map_or(0, |index| index + 1);
        let results = &history[begins..];
        if now > results[results.len() - 1].0 + max_age {
            return Fail;
        }
        let mut verdict = (results[0].1, None); // and until when it is held
        for index in 1..results.len() {
            let (moment, raw) = results[index];
            let streak = results[..=index].iter().rev().take_while(|(_, one)| one.is_good() == raw.is_good()).count();
            let held = verdict.1.is_some_and(|until| moment < until);
            verdict = match (verdict.0.is_good(), raw.is_good()) {
                (true, true) => (raw, None),
                (true, false) if streak >= policy.fall as usize => (Fail, Some(results[index + 1 - streak].0 + policy.hold.as_secs())),
                (false, true) if streak >= policy.rise as usize || held => (raw, None),
                _ => verdict,
            };
        }
        if verdict.1.is_some_and(|until| now < until) { Warn } else { verdict.0 }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition_after_pauses_of_any_length(
            steps in prop::collection::vec((raw(), prop_oneof![5 => 1_u64..22, 1 => 22_u64..25, 1 => 23_u64..90]), 1..40),
            rise in 1_u32..4, fall in 1_u32..4, hold in prop_oneof![Just(0_u64), 0_u64..120],
            later in 0_u64..60,
        ) {
            let policy = policy(rise, fall, hold);
            let start = Moment::now();
            let mut track = Track::default();
            let (mut now, mut history) = (0, Vec::new());
            for (raw, pause) in steps {
                now += pause;
                track.record(&policy, raw, start.after(Duration::from_secs(now)));
                history.push((now, raw));
                for then in [now, now + later] {
                    let judgement = track.judge(&policy, start.at + Duration::from_secs(then));
                    prop_assert_eq!(judgement.status, defined(&policy, &history, then), "at second {} of {:?}", then, &history);
                    prop_assert!(judgement.since.is_some_and(|since| since.at <= start.at + Duration::from_secs(then)));
                }
                prop_assert_eq!(track.passed_once(), history.iter().any(|(_, one)| one.is_good()));
            }
        }

        /// A policy change makes no result stale at that moment, and revives no stale one.
        #[test]
        fn a_policy_change_does_not_change_the_judgement(
            intervals in (1_u64..100, 1_u64..100), timeouts in (1_u64..10, 1_u64..10), age in 0_u64..300, later in 0_u64..300,
        ) {
            let with = |interval, timeout| Policy {
                interval: Duration::from_secs(interval), timeout: Duration::from_secs(timeout), ..Policy::default()
            };
            let (before, after) = (with(intervals.0, timeouts.0), with(intervals.1, timeouts.1));
            let start = Moment::now();
            let now = start.after(Duration::from_secs(age));
            let mut track = Track::default();
            track.record(&before, Pass, start);
            let then = track.judge(&before, now.at);
            track.change_policy(&before, &after, now);
            prop_assert_eq!(track.judge(&after, now.at).reason, then.reason);
            let judged_later = track.judge(&after, now.at + Duration::from_secs(later));
            let longest = before.max_age().max(after.max_age()).as_secs();
            prop_assert!(judged_later.reason == Reason::Stale || age + later <= longest);
        }

        /// A good component fails exactly when both `fall` failures have occurred and the hold has ended.
        #[test]
        fn a_component_fails_exactly_after_fall_failures_and_the_hold(failures in 1_u64..20, fall in 1_u32..5, hold in 0_u64..100) {
            let policy = policy(1, fall, hold);
            let start = Moment::now();
            let mut track = Track::default();
            track.record(&policy, Pass, start);
            for number in 1..=failures {
                let now = start.after(Duration::from_secs(10 * number));
                track.record(&policy, Fail, now);
                let failing_for = 10 * (number - 1);
                let status = track.judge(&policy, now.at).status;
                prop_assert_eq!(status == Fail, number >= u64::from(fall) && failing_for >= hold);
            }
        }
    }
}
