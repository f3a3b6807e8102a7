//! Keeps a thread for blocking calls alive, for the time when the operating system gives no more threads.
//!
//! A runtime starts these threads when they are needed and ends them when they have been idle for ten seconds. If it has none and gets none, as when the
//! application has used up the limit of processes that it shares with allswell, `spawn_blocking` panics, and calls that wait are never run.

use std::time::Duration;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// Shorter than the time after which a runtime ends an idle thread.
const INTERVAL: Duration = Duration::from_secs(4);

/// Uses a thread for blocking calls again and again, at once for the first time; ends only with the runtime.
pub(super) async fn keep_resident_thread() {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if spawn_blocking(|| ()).await.is_err() {
            return;
        }
    }
}
