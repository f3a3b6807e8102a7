//! The listener's certificate, read again when its files change.

use crate::config::{
    TlsSettings,
    certificate::{Unusable, read},
};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::{fs, sync::Arc, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// How often the files are looked at. They are read, not watched by the kernel: that misses links that are swapped, as Kubernetes does it.
const LOOK: Duration = Duration::from_secs(1);

/// The certificate in force.
pub(super) struct Certificate {
    settings: ArcSwap<TlsSettings>,
    /// What the next connection is served with.
    pub(super) config: Arc<ArcSwap<ServerConfig>>,
}

impl Certificate {
    /// As configured.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, Unusable> {
        Ok(Self { config: Arc::new(ArcSwap::from_pointee(read(settings)?)), settings: ArcSwap::from_pointee(settings.clone()) })
    }

    /// Goes on with other files. Those that cannot be used change nothing: the configuration that names them is refused before.
    pub(super) fn replace(&self, settings: &TlsSettings) {
        if let Ok(config) = read(settings) {
            self.config.store(Arc::new(config));
            self.settings.store(Arc::new(settings.clone()));
        }
    }

    /// Reads the files again whenever their content has changed; never ends.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut applied = self.contents().await;
        let mut seen = applied.clone();
        loop {
            looks.tick().await;
            let now = self.contents().await;
            // Settled: the same twice, so that half a file is not read as a whole one, nor a certificate without its key.
            let settled = now == seen;
            seen = now;
            if !settled || seen == applied {
                continue;
            }
            applied.clone_from(&seen);
            let settings = self.settings.load_full();
            match spawn_blocking(move || read(&settings)).await {
                Ok(Ok(config)) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("the new certificate is in force");
                }
                Ok(Err(Unusable { key, message })) => {
                    tracing::error!("server.tls.{key}: {message}; the old certificate stays in force");
                }
                // The runtime is about to end.
                Err(_) => return,
            }
        }
    }

    /// What is in the files now; a file that cannot be read has no content.
    async fn contents(&self) -> Vec<Option<Vec<u8>>> {
        let settings = self.settings.load_full();
        let read = move || settings.files().map(|path| fs::read(path).ok()).collect();
        spawn_blocking(read).await.unwrap_or_default()
    }
}
