//! What a component's results mean: a pure state machine of rise, fall, hold and age. Moments come in as arguments.

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

/// The last result, and how many like it came in a row.
#[derive(Clone, Copy, Debug)]
struct Last {
    raw: Status,
    at: Moment,
    /// Results in a row with the same raw status.
    consecutive: u64,
    /// Results in a row on the same side, good or failed, and the first of them.
    streak: u64,
    streak_began: Moment,
}

/// What results mean by rise and fall, before hold and age have their say.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Good { status: Status, since: Moment },
    Failed { since: Moment, held_until: Moment },
}

/// What a component is judged to be at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) status: Status,
    pub(crate) reason: Reason,
    pub(crate) since: Option<Moment>,
    /// When the judgement ends by time alone.
    pub(crate) until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no result yet.
    Pending,
    /// The last result is too old.
    Stale,
    /// It fails, and the last good verdict is kept for that much longer.
    Held(Duration),
    /// By its results.
    Results,
}

impl Track {
    /// Takes in a result that came at a moment not before the last one.
    pub(crate) fn record(&mut self, policy: &Policy, raw: Status, at: Moment) {
        // A verdict that was not believed any more begins anew.
        let was_stale = self.last.is_some_and(|last| at.at > last.at.after(policy.max_age()).at);
        let last = match self.last {
            Some(last) => Last {
                raw,
                at,
                consecutive: if last.raw == raw { last.consecutive + 1 } else { 1 },
                streak: if last.raw.is_good() == raw.is_good() { last.streak + 1 } else { 1 },
                streak_began: if last.raw.is_good() == raw.is_good() { last.streak_began } else { at },
            },
            None => Last { raw, at, consecutive: 1, streak: 1, streak_began: at },
        };
        self.last = Some(last);
        self.passed_once |= raw.is_good();
        self.verdict = Some(match self.verdict {
            // The first result decides at once.
            None if raw.is_good() => Verdict::Good { status: raw, since: at },
            None => Verdict::Failed { since: at, held_until: at },
            Some(Verdict::Good { status, since }) if raw.is_good() => {
                Verdict::Good { status: raw, since: if raw == status && !was_stale { since } else { at } }
            }
            Some(Verdict::Good { .. }) if last.streak >= u64::from(policy.fall) => {
                Verdict::Failed { since: at, held_until: last.streak_began.after(policy.hold) }
            }
            // What is held has not failed before anybody's eyes: it need not rise.
            Some(Verdict::Failed { held_until, .. })
                if raw.is_good() && (last.streak >= u64::from(policy.rise) || at.at < held_until.at) =>
            {
                Verdict::Good { status: raw, since: at }
            }
            Some(unchanged) => unchanged,
        });
    }

    /// What the component is at the moment `now`.
    pub(crate) fn judge(&self, policy: &Policy, now: Instant) -> Judgement {
        let (Some(last), Some(verdict)) = (self.last, self.verdict) else {
            return Judgement { status: Status::Fail, reason: Reason::Pending, since: None, until: None };
        };
        let stale_from = last.at.after(policy.max_age());
        if now > stale_from.at {
            return Judgement { status: Status::Fail, reason: Reason::Stale, since: Some(stale_from), until: None };
        }
        let (status, reason, since, until) = match verdict {
            Verdict::Good { status, since } => (status, Reason::Results, since, stale_from.at),
            Verdict::Failed { since, held_until } if now < held_until.at => {
                (Status::Warn, Reason::Held(held_until.at - now), since, stale_from.at.min(held_until.at))
            }
            Verdict::Failed { since, held_until } => (Status::Fail, Reason::Results, since.max(held_until), stale_from.at),
        };
        Judgement { status, reason, since: Some(since), until: Some(until) }
    }

    /// How many results in a row had the present raw status.
    pub(crate) fn consecutive(&self) -> u64 {
        self.last.map_or(0, |last| last.consecutive)
    }

    /// The last result, and when it came.
    pub(crate) fn last(&self) -> Option<(Status, Moment)> {
        self.last.map(|last| (last.raw, last.at))
    }

    /// Whether any result was good.
    pub(crate) const fn passed_once(&self) -> bool {
        self.passed_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(rise: u32, fall: u32, hold: u64) -> Policy {
        Policy { rise, fall, hold: Duration::from_secs(hold), ..Policy::default() }
    }

    /// Results at the given seconds; then the judgement at second `now`.
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
    fn nothing_is_pending_and_the_first_result_decides() {
        let policy = policy(3, 3, 60);
        assert_eq!(judged(&policy, &[], 5).0.reason, Reason::Pending);
        assert_eq!(judged(&policy, &[(0, Fail)], 1).0.status, Fail, "never good, so nothing to hold");
        assert_eq!(judged(&policy, &[(0, Pass)], 1).0.status, Pass);
    }

    #[test]
    fn it_falls_and_rises_by_count() {
        let policy = policy(2, 3, 0);
        let results = [(0, Pass), (10, Fail), (20, Fail), (30, Fail), (40, Pass), (50, Warn)];
        for (upto, expected, since) in [(2, Pass, 0), (3, Pass, 0), (4, Fail, 30), (5, Fail, 30), (6, Warn, 50)] {
            let (judgement, start) = judged(&policy, &results[..upto], results[upto - 1].0 + 1);
            assert_eq!((judgement.status, second(judgement.since, start)), (expected, Some(since)), "after {upto} results");
        }
    }

    #[test]
    fn it_is_held_from_the_first_failure_and_not_longer() {
        let policy = policy(1, 1, 15);
        let results = [(0, Pass), (10, Fail), (20, Fail)];
        let (held, start) = judged(&policy, &results, 22);
        assert_eq!((held.status, held.reason), (Warn, Reason::Held(Duration::from_secs(3))));
        assert_eq!(held.until, Some(start.at + Duration::from_secs(25)));
        let (failed, start) = judged(&policy, &results, 26);
        assert_eq!((failed.status, second(failed.since, start)), (Fail, Some(25)), "since the moment the hold ended");
    }

    #[test]
    fn age_beats_everything() {
        let policy = policy(1, 5, 600);
        let (stale, start) = judged(&policy, &[(0, Pass), (10, Fail)], 33);
        assert_eq!((stale.status, stale.reason, second(stale.since, start)), (Fail, Reason::Stale, Some(32)));
        let (again, start) = judged(&policy, &[(0, Pass), (100, Pass)], 101);
        assert_eq!((again.status, second(again.since, start)), (Pass, Some(100)), "it was stale in between");
    }

    fn raw() -> impl Strategy<Value = Status> {
        prop_oneof![Just(Pass), Just(Warn), Just(Fail)]
    }

    proptest! {
        /// Against the definition, word by word, over the whole history.
        #[test]
        fn it_agrees_with_the_definition(
            history in prop::collection::vec((raw(), 1_u64..20), 1..60),
            rise in 1_u32..4, fall in 1_u32..4, hold in 0_u64..60,
        ) {
            let policy = policy(rise, fall, hold);
            let start = Moment::now();
            let mut track = Track::default();
            let mut now = start;
            let mut seen: Vec<(Status, Moment)> = Vec::new();
            let mut model: Option<(Status, Option<Moment>)> = None; // the verdict, and until when it is held
            for (raw, pause) in history {
                now = now.after(Duration::from_secs(pause));
                track.record(&policy, raw, now);
                seen.push((raw, now));
                let streak = seen.iter().rev().take_while(|(one, _)| one.is_good() == raw.is_good()).count();
                let began = seen[seen.len() - streak].1;
                model = Some(match model {
                    None => (raw, None),
                    Some((verdict, _)) if verdict.is_good() => match raw {
                        Fail if streak >= fall as usize => (Fail, Some(began.after(policy.hold))),
                        Fail => (verdict, None),
                        good => (good, None),
                    },
                    Some((_, held)) if raw.is_good() && (streak >= rise as usize || held.is_some_and(|held| now.at < held.at)) => (raw, None),
                    Some(failed) => failed,
                });
                let judgement = track.judge(&policy, now.at);
                let expected = match model {
                    Some((Fail, Some(held))) if now.at < held.at => Warn,
                    Some((verdict, _)) => verdict,
                    None => unreachable!("a result was recorded"),
                };
                prop_assert_eq!(judgement.status, expected);
                prop_assert!(judgement.since.is_some_and(|since| since.at <= now.at));
                let alike = seen.iter().rev().take_while(|(one, _)| *one == raw).count();
                prop_assert_eq!(track.consecutive(), alike as u64);
                prop_assert_eq!(track.passed_once(), seen.iter().any(|(one, _)| one.is_good()));
            }
        }

        /// A good component never fails earlier than `fall` failures and the hold allow, and is never held longer than the hold.
        #[test]
        fn a_hold_is_a_promise_in_both_directions(failures in 1_u64..20, fall in 1_u32..5, hold in 0_u64..100) {
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
