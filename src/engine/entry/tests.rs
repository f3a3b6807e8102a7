//! Entries: results, the passing of time, and policies that change.

use super::*;
use crate::report::Change;
use allswell_checks::contract::{Check, Failure, Observation, Redactor, Secret};
use tokio::time::advance;

struct Never;

#[async_trait::async_trait]
impl Check for Never {
    async fn probe(&self) -> Result<Observation, Failure> {
        std::future::pending().await
    }
}

/// An entry, and what its history says.
struct Logged {
    entry: Entry,
    pulse: Pulse,
}

impl Logged {
    fn new(policy: Policy) -> Self {
        Self { entry: Entry::new(component(policy)), pulse: Pulse::default() }
    }

    fn record(&self, result: Result<Observation, Failure>) {
        let redactor = Redactor::new([&Secret::new("hunter2")]);
        self.entry.record(Outcome::new(result, &redactor), Instant::now(), Duration::ZERO, &self.pulse);
    }

    fn catch_up(&self) {
        self.entry.catch_up(&self.pulse);
    }

    fn report(&self) -> ComponentReport {
        self.entry.report(now()).0
    }

    fn class(&self) -> Option<FailureClass> {
        self.report().failure.map(|failure| failure.class)
    }

    /// The changes that were announced, in their order.
    fn changes(&self) -> Vec<(Option<Status>, Status)> {
        self.pulse.history.changes().iter().map(|change| (change.from, change.to)).collect()
    }

    fn last_change(&self) -> Arc<Change> {
        Arc::clone(self.pulse.history.changes().last().expect("a change"))
    }
}

fn component(policy: Policy) -> Component {
    Component::new("db".parse().expect("a name"), "custom", policy, Arc::new(Never))
}

use Status::{Fail, Pass, Warn};

#[tokio::test(start_paused = true)]
async fn only_what_changes_the_status_is_announced() {
    let db = Logged::new(Policy::default());
    assert_eq!(db.class(), Some(FailureClass::Pending));
    db.catch_up();
    assert_eq!(db.changes(), [], "no result is no change");
    db.record(Ok(Observation::pass().with("n", 1)));
    db.record(Ok(Observation::pass()));
    assert_eq!(db.changes(), [(None, Pass)], "nothing changed by the second");
    db.record(Err(Failure::unreachable("no hunter2 here")));
    assert_eq!(db.changes(), [(None, Pass), (Some(Pass), Fail)]);
    assert_eq!(db.report().failure.and_then(|failure| failure.cause).as_deref(), Some("no *** here"));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_grows_too_old_is_announced_with_its_reason() {
    let db = Logged::new(Policy::default());
    db.record(Ok(Observation::pass()));
    advance(Duration::from_secs(23)).await;
    assert_eq!(db.report().failure.map(|failure| failure.message), Some("the last result is older than 22s".into()));
    db.catch_up();
    let stale = db.last_change();
    assert_eq!((stale.from, stale.to, stale.lasted), (Some(Pass), Fail, Some(Duration::from_secs(22))));
    assert_eq!(stale.failure.as_ref().map(|failure| failure.class), Some(FailureClass::Stale));
}

#[tokio::test(start_paused = true)]
async fn what_time_has_changed_is_announced_before_the_next_result() {
    let db = Logged::new(Policy { fall: 3, ..Policy::default() });
    db.record(Ok(Observation::pass()));
    advance(Duration::from_secs(60)).await;
    // The supervisor has not looked since.
    db.record(Ok(Observation::pass()));
    assert_eq!(db.changes(), [(None, Pass), (Some(Pass), Fail), (Some(Fail), Pass)]);
    advance(Duration::from_secs(60)).await;
    db.record(Err(Failure::unhealthy("read-only")));
    assert_eq!(db.changes()[3..], [(Some(Pass), Fail)], "it fails for another reason now, and not again");
    assert_eq!(db.class(), Some(FailureClass::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_hold_is_announced() {
    let db = Logged::new(Policy { hold: Duration::from_secs(5), ..Policy::default() });
    db.record(Ok(Observation::pass()));
    db.record(Err(Failure::unhealthy("read-only")));
    advance(Duration::from_secs(6)).await;
    db.catch_up();
    assert_eq!(db.changes(), [(None, Pass), (Some(Pass), Warn), (Some(Warn), Fail)]);
    assert_eq!(db.last_change().lasted, Some(Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn the_last_hour_and_the_last_failure_know_why() {
    let db = Logged::new(Policy { interval: Duration::from_secs(60), ..Policy::default() });
    for result in [Ok(Observation::pass()), Err(Failure::unhealthy("read-only")), Ok(Observation::pass())] {
        db.record(result);
        advance(Duration::from_secs(60)).await;
    }
    let minutes = |db: &Logged| {
        let hour = db.report().last_hour;
        hour.iter().filter_map(|minute| Some((minute.worst?, minute.class))).collect::<Vec<_>>()
    };
    let unhealthy = [(Pass, None), (Fail, Some(FailureClass::Unhealthy)), (Pass, None)];
    assert_eq!(minutes(&db), unhealthy);
    assert_eq!(db.report().last_failure.map(|past| past.failure.message.clone()), Some("read-only".into()));
    // Far too long without a result.
    advance(Duration::from_secs(180)).await;
    db.catch_up();
    db.record(Ok(Observation::pass()));
    assert_eq!(minutes(&db)[3..], [(Fail, Some(FailureClass::Stale))]);
    let past = db.report().last_failure.expect("a failure");
    assert_eq!((past.failure.class, past.failure.cause.as_deref()), (FailureClass::Stale, None));
    assert_eq!(db.report().failure, None, "it passes now");
}

#[tokio::test]
async fn a_rising_component_still_says_why_it_fails() {
    let db = Logged::new(Policy { rise: 2, ..Policy::default() });
    db.record(Err(Failure::unhealthy("read-only")));
    db.record(Ok(Observation::pass()));
    let report = db.report();
    assert_eq!((report.status, report.failure.map(|failure| failure.message)), (Fail, Some("read-only".into())));
    db.record(Ok(Observation::pass()));
    assert_eq!((db.report().status, db.report().failure), (Pass, None));
}

#[tokio::test(start_paused = true)]
async fn another_policy_changes_neither_state_nor_history() {
    let db = Logged::new(Policy { fall: 3, ..Policy::default() });
    db.record(Ok(Observation::pass()));
    db.record(Err(Failure::unhealthy("read-only")));
    let before = db.report();
    db.entry.change_policy(
        component(Policy { fall: 2, critical: false, timeout: Duration::from_secs(3), ..Policy::default() }),
        Duration::ZERO,
    );
    assert_eq!(db.report(), ComponentReport { critical: false, ..before });
    db.record(Err(Failure::unhealthy("read-only")));
    assert_eq!(db.report().status, Fail, "the streak goes on, and the new policy decides");
}

#[tokio::test(start_paused = true)]
async fn a_muted_component_is_pending_when_it_is_probed_again() {
    let db = Logged::new(Policy::default());
    db.record(Ok(Observation::pass()));
    db.entry.change_policy(component(Policy { enabled: false, ..Policy::default() }), Duration::ZERO);
    advance(Duration::from_secs(60)).await;
    db.catch_up();
    assert_eq!(db.changes(), [(None, Pass)], "no result of it is awaited, so none is too old");
    assert!(db.report().muted);
    db.entry.change_policy(component(Policy::default()), Duration::ZERO);
    assert_eq!((db.class(), db.report().passed_once), (Some(FailureClass::Pending), true));
}

#[tokio::test(start_paused = true)]
async fn a_removed_component_has_no_history_any_more() {
    let db = Logged::new(Policy::default());
    db.record(Ok(Observation::pass()));
    db.entry.close();
    db.record(Err(Failure::unhealthy("read-only")));
    assert_eq!(db.changes(), [(None, Pass)]);
}

#[tokio::test(start_paused = true)]
async fn a_new_check_has_a_grace_period_in_which_its_predecessor_counts() {
    let before = Logged::new(Policy::default());
    before.record(Ok(Observation::pass()));
    let after = Entry::after_reload(component(Policy::default()), Some(&before.entry), Duration::ZERO);
    let counts = |entry: &Entry| entry.verdict_input(now()).0.counts_as();
    assert_eq!(counts(&after), Some(Pass));
    let (report, until) = after.report(now());
    assert_eq!(
        (report.failure.map(|failure| failure.class), report.grace),
        (Some(FailureClass::Pending), Some(Grace { previous: Some(Pass) }))
    );
    assert_eq!(until, Some(now() + Duration::from_secs(2)), "its timeout");
    advance(Duration::from_secs(2)).await;
    assert_eq!((counts(&after), after.report(now()).0.grace), (Some(Fail), None));
}

#[tokio::test(start_paused = true)]
async fn a_component_that_is_probed_again_after_it_was_muted_is_new() {
    let db = Logged::new(Policy::default());
    db.entry.change_policy(component(Policy { enabled: false, ..Policy::default() }), Duration::ZERO);
    db.entry.change_policy(component(Policy::default()), Duration::ZERO);
    assert_eq!(db.entry.verdict_input(now()).0.counts_as(), None);
}
