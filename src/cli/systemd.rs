//! What systemd is told, where it started us: that we are ready, how all is, that the engine moves, and that we end.
//!
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>; without `NOTIFY_SOCKET` nothing is sent.

use crate::engine::Aggregator;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::{future::ready as ready_at_once, time::Duration};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

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

/// Feeds the watchdog, where there is one, while the engine moves, and so does what answers: to be run by the engine's own runtime, so that
/// nothing is fed when that hangs. Never ends.
pub(super) async fn feed_watchdog(aggregator: Aggregator, answers: Handle) {
    let Some(limit) = watchdog_enabled() else { return };
    let mut ticks = interval(limit / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if aggregator.is_alive() && moves(&answers, limit / 4).await {
            say(NotifyState::Watchdog);
        }
    }
}

/// Whether a runtime takes up something new within a time.
async fn moves(runtime: &Handle, limit: Duration) -> bool {
    matches!(timeout(limit, runtime.spawn(ready_at_once(()))).await, Ok(Ok(())))
}

fn say(state: NotifyState<'_>) {
    // Who started us may have gone, or listens no more: that is no trouble of ours.
    let _ = notify(&[state]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};
    use tokio::runtime::Builder;

    #[test]
    fn a_runtime_that_is_stuck_does_not_move() {
        let (engine, answering) = (Builder::new_current_thread().enable_all().build(), Builder::new_current_thread().enable_all().build());
        let (engine, answering) = (engine.expect("a runtime"), answering.expect("a runtime"));
        let handle = answering.handle().clone();
        let (go_on, stuck) = mpsc::channel::<()>();
        let (sticks, is_stuck) = mpsc::channel();
        let thread = thread::spawn(move || {
            answering.block_on(async {
                // As a handler that blocks.
                let _ = sticks.send(());
                let _ = stuck.recv();
                sleep(Duration::from_secs(60)).await;
            });
        });
        is_stuck.recv().expect("it runs");
        assert!(!engine.block_on(moves(&handle, Duration::from_millis(100))));
        drop(go_on);
        assert!(engine.block_on(moves(&handle, Duration::from_secs(30))), "it goes on");
        drop(thread);
    }
}
