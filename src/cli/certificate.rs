//! The listener's certificate, read again when its files change.

use super::contents::{Contents, LOOK, Settling};
use crate::config::{
    TlsSettings,
    certificate::{Unusable, read},
};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// The certificate in force.
pub(super) struct Certificate {
    files: ArcSwap<Files>,
    /// What the next connection is served with.
    pub(super) config: Arc<ArcSwap<ServerConfig>>,
}

/// Where it comes from, and what was in the files when it was read.
struct Files {
    settings: TlsSettings,
    contents: Contents,
}

/// A certificate that was read from its files.
pub(super) struct Read {
    files: Files,
    config: ServerConfig,
}

impl Certificate {
    pub(super) fn new(read: Read) -> Self {
        Self { files: ArcSwap::from_pointee(read.files), config: Arc::new(ArcSwap::from_pointee(read.config)) }
    }

    /// Reads it. This blocks.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub(super) fn read(settings: &TlsSettings) -> Result<Read, Unusable> {
        // Before they are read for good: what changes in between is found by the next look.
        let contents = Contents::read(settings.files().cloned());
        Ok(Read { config: read(settings)?, files: Files { settings: settings.clone(), contents } })
    }

    /// Goes on with another certificate.
    pub(super) fn replace(&self, read: Read) {
        self.config.store(Arc::new(read.config));
        self.files.store(Arc::new(read.files));
    }

    /// Reads the files again whenever their content has changed; never ends.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut settling = Settling::default();
        loop {
            looks.tick().await;
            let files = self.files.load_full();
            let now = files.contents.read_again().await;
            if !settling.is_new(now, &files.contents) {
                continue;
            }
            let settings = files.settings.clone();
            match spawn_blocking(move || Self::read(&settings)).await {
                // A reload may have named other files meanwhile.
                Ok(Ok(read)) if Arc::ptr_eq(&files, &self.files.load()) => {
                    self.replace(read);
                    tracing::info!("the new certificate is in force");
                }
                Ok(Ok(_)) => {}
                Ok(Err(Unusable { key, message })) => {
                    tracing::error!("server.tls.{key}: {message}; the old certificate stays in force");
                }
                // The runtime is about to end.
                Err(_) => return,
            }
        }
    }
}
