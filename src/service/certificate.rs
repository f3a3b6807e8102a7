//! The listener's certificate, loaded again when its files change.

use super::file_fingerprints::{ChangeDetector, FileFingerprints, READ_INTERVAL};
use crate::{
    config::{
        TlsSettings,
        certificate::{ListenerTls, Unusable, read},
    },
    tls::fingerprint::sha256,
};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// The certificate that the listener presents.
pub(super) struct ServerCertificate {
    files: ArcSwap<CertificateFiles>,
    /// The TLS configuration of the next connection.
    pub(super) config: Arc<ArcSwap<ServerConfig>>,
}

/// The files of a certificate, and their content when it was loaded.
struct CertificateFiles {
    settings: TlsSettings,
    fingerprints: FileFingerprints,
    /// The SHA-256 of the certificate itself, in hexadecimal digits.
    sha256: String,
}

/// A certificate that was loaded from its files and is not presented yet.
pub(super) struct LoadedCertificate {
    files: CertificateFiles,
    config: ServerConfig,
}

impl ServerCertificate {
    pub(super) fn new(loaded: LoadedCertificate) -> Self {
        Self { files: ArcSwap::from_pointee(loaded.files), config: Arc::new(ArcSwap::from_pointee(loaded.config)) }
    }

    /// Loads a certificate from its files. This blocks.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub(super) fn load(settings: &TlsSettings) -> Result<LoadedCertificate, Unusable> {
        // Fingerprints first: a change between the two reads is detected later.
        let fingerprints = FileFingerprints::read(settings.files().cloned());
        let ListenerTls { config, certificate } = read(settings)?;
        let files = CertificateFiles { settings: settings.clone(), fingerprints, sha256: sha256(&certificate) };
        Ok(LoadedCertificate { files, config })
    }

    /// The SHA-256 of the certificate that is presented now, in hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        self.files.load().sha256.clone()
    }

    /// Presents another certificate from now on.
    pub(super) fn replace(&self, loaded: LoadedCertificate) {
        self.config.store(Arc::new(loaded.config));
        self.files.store(Arc::new(loaded.files));
    }

    /// Loads the certificate again whenever the content of its files has changed; ends only with the runtime.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut ticks = interval(READ_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut detector = ChangeDetector::default();
        loop {
            ticks.tick().await;
            let files = self.files.load_full();
            let now = files.fingerprints.read_again().await;
            if !detector.has_changed(now, &files.fingerprints) {
                continue;
            }
            let settings = files.settings.clone();
            match spawn_blocking(move || Self::load(&settings)).await {
                // Unless a reload named other files in the meantime.
                Ok(Ok(loaded)) if Arc::ptr_eq(&files, &self.files.load()) => {
                    self.replace(loaded);
                    tracing::info!("the new certificate is in force");
                }
                Ok(Ok(_)) => {}
                Ok(Err(Unusable { key, message })) => {
                    tracing::error!("server.tls.{key}: {message}; the old certificate stays in force");
                }
                // The runtime is shutting down.
                Err(_) => return,
            }
        }
    }
}
