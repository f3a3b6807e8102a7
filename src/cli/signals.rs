//! Unix signals, and what each does to the service.

use crate::service::ServiceHandle;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the process handles.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Handles the signals from now on, in place of their default actions.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM drains and then ends the service; SIGINT, or a second SIGTERM, ends it at once; SIGHUP reloads. Never ends.
    pub(super) async fn forward(mut self, service: ServiceHandle) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => service.shut_down(),
                _ = self.interrupt.recv() => service.stop(),
                _ = self.hang_up.recv() => {
                    let service = service.clone();
                    // The outcome is in the log and in the report.
                    tokio::spawn(async move { service.reload().await });
                }
            }
        }
    }
}
