//! What systemd is told, where it started us: that we are ready, how all is, that the engine moves, and that we end.
//!
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>; without `NOTIFY_SOCKET` nothing is sent.

use crate::engine::Aggregator;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The status is told at most this often.
const PAUSE: Duration = Duration::from_secs(1);

/// We listen.
pub(super) fn ready() {
    say(NotifyState::Ready);
}

/// We are about to end.
pub(super) fn stopping() {
    say(NotifyState::Stopping);
}

/// Tells the summary of the report whenever it is another; never ends.
pub(super) async fn tell_status(aggregator: Aggregator) {
    let mut changes = aggregator.changes();
    let mut told = String::new();
    loop {
        let report = aggregator.report();
        if report.summary != told {
            told.clone_from(&report.summary);
            say(NotifyState::Status(&told));
        }
        sleep(PAUSE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Feeds the watchdog, where there is one, while the engine moves: to be run by the engine's own runtime, so that nothing is fed when that
/// hangs. Never ends.
pub(super) async fn feed_watchdog(aggregator: Aggregator) {
    let Some(limit) = watchdog_enabled() else { return };
    let mut ticks = interval(limit / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if aggregator.is_alive() {
            say(NotifyState::Watchdog);
        }
    }
}

fn say(state: NotifyState<'_>) {
    // Who started us may have gone, or listens no more: that is no trouble of ours.
    let _ = notify(&[state]);
}
