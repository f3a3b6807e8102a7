//! Notifications to systemd: readiness, the report's summary as status, a watchdog that depends on the engine, and the shutdown.
//!
//! The protocol is <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>. Without `NOTIFY_SOCKET` nothing is sent.

use super::notify_socket::{NotifySocket, watchdog_limit};
use crate::{config::Environment, engine::Aggregator};
use std::{future::ready as ready_at_once, time::Duration};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// The minimum time between two status notifications.
const MIN_STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// How long sending readiness or the shutdown is tried again, in the background.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest status. systemd ignores messages of more than 4096 bytes.
const MAX_STATUS_BYTES: usize = 2048;

/// The service manager of this process.
#[derive(Clone, Debug)]
pub(super) struct ServiceManager {
    socket: NotifySocket,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The service manager that started this process, if it is to be notified.
    pub(super) fn from_environment(environment: &Environment) -> Option<Self> {
        Some(Self { socket: NotifySocket::from_environment(environment)?, watchdog: watchdog_limit(environment) })
    }

    /// The service listens.
    pub(super) fn ready(&self) {
        self.socket.send_in_background("READY=1", PATIENCE);
    }

    /// The service is about to end.
    pub(super) fn stopping(&self) {
        self.socket.send_in_background("STOPPING=1", PATIENCE);
    }

    /// Sends the report's summary as status, whenever it changes; never ends.
    pub(super) async fn publish_status(self, aggregator: Aggregator) {
        let mut changes = aggregator.changes();
        let mut published = String::new();
        loop {
            let report = aggregator.report();
            if report.summary != published {
                published.clone_from(&report.summary);
                let end = published.floor_char_boundary(MAX_STATUS_BYTES);
                self.socket.send(&format!("STATUS={}", &published[..end]), PATIENCE).await;
            }
            sleep(MIN_STATUS_INTERVAL).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Feeds the watchdog, if systemd set one, while the engine and the runtime that answers are both responsive. Never ends.
    ///
    /// This must run on the engine's runtime: if that hangs, the watchdog is not fed.
    pub(super) async fn feed_watchdog(self, aggregator: Aggregator, http_runtime: Handle) {
        let Some(limit) = self.watchdog else { return };
        let mut ticks = interval(limit / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if aggregator.is_alive() && is_responsive(&http_runtime, limit / 4).await {
                self.socket.send("WATCHDOG=1", limit / 4).await;
            }
        }
    }
}

/// Whether a runtime executes a new task within a time.
async fn is_responsive(runtime: &Handle, limit: Duration) -> bool {
    matches!(timeout(limit, runtime.spawn(ready_at_once(()))).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};
    use tokio::runtime::Builder;

    #[test]
    fn a_blocked_runtime_is_not_responsive_until_it_continues() {
        let (engine, http) = (Builder::new_current_thread().enable_all().build(), Builder::new_current_thread().enable_all().build());
        let (engine, http) = (engine.expect("a runtime"), http.expect("a runtime"));
        let handle = http.handle().clone();
        let (unblock, blocked) = mpsc::channel::<()>();
        let (blocks, is_blocked) = mpsc::channel();
        let thread = thread::spawn(move || {
            http.block_on(async {
                // As a handler that blocks.
                let _ = blocks.send(());
                let _ = blocked.recv();
                sleep(Duration::from_secs(60)).await;
            });
        });
        is_blocked.recv().expect("it runs");
        assert!(!engine.block_on(is_responsive(&handle, Duration::from_millis(100))));
        drop(unblock);
        assert!(engine.block_on(is_responsive(&handle, Duration::from_secs(30))), "it goes on");
        drop(thread);
    }
}
