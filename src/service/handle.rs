//! A handle to a service: reads its report, drains, reloads and ends it.

use crate::{
    engine::Aggregator,
    http::{Control, ReloadError},
    report::Reload,
};
use tokio::sync::watch;

/// Controls a [`Service`](super::Service) from elsewhere, such as a signal handler. Clones control the same service.
#[derive(Clone, Debug)]
pub struct ServiceHandle {
    aggregator: Aggregator,
    control: Control,
    shutdown: watch::Sender<ShutdownRequest>,
}

/// How the service is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ShutdownRequest {
    /// Not yet.
    #[default]
    None,
    /// After draining for `server.drain`.
    AfterDrain,
    /// Without draining.
    Immediate,
}

impl ServiceHandle {
    pub(super) fn new(aggregator: Aggregator, control: Control) -> Self {
        Self { aggregator, control, shutdown: watch::Sender::default() }
    }

    /// The components and their report, and `drain` and `undrain`.
    #[must_use]
    pub fn aggregator(&self) -> &Aggregator {
        &self.aggregator
    }

    /// Reads the configuration again and applies it, as `POST /admin/reload` does. The [`Reload`] lists the problems of a refused configuration.
    ///
    /// # Errors
    ///
    /// The service has ended, or the files could not be read within ten seconds. In the second case the reload continues in the background.
    pub async fn reload(&self) -> Result<Reload, ReloadError> {
        self.control.reload().await
    }

    /// Ends the service after a drain, as SIGTERM does: for `server.drain`, readiness fails while requests are still answered. A second call ends
    /// it at once.
    pub fn shut_down(&self) {
        self.shutdown.send_modify(|request| {
            *request = if *request == ShutdownRequest::None { ShutdownRequest::AfterDrain } else { ShutdownRequest::Immediate };
        });
    }

    /// Ends the service without a drain, or cuts a drain short. Requests in progress still have `server.deadline` and a second to end.
    pub fn stop(&self) {
        self.shutdown.send_replace(ShutdownRequest::Immediate);
    }

    /// Waits until [`shut_down`](Self::shut_down) or [`stop`](Self::stop) is called, or `shutdown` resolves, which counts as the first.
    pub(super) async fn shutdown_requested(&self, shutdown: impl Future<Output = ()>) -> ShutdownRequest {
        let mut requests = self.shutdown.subscribe();
        tokio::select! {
            () = shutdown => {}
            // The sender is `self`, so this cannot fail.
            _ = requests.wait_for(|request| *request != ShutdownRequest::None) => {}
        }
        self.shutdown.send_if_modified(|request| {
            let is_first = *request == ShutdownRequest::None;
            if is_first {
                *request = ShutdownRequest::AfterDrain;
            }
            is_first
        });
        *self.shutdown.borrow()
    }

    /// Waits until the service is to end without a drain.
    pub(super) async fn stop_requested(&self) {
        let _ = self.shutdown.subscribe().wait_for(|request| *request == ShutdownRequest::Immediate).await;
    }
}
