//! Notices during a handshake whether the server asks for a client certificate: many servers reject a client without one with an alert that may
//! also mean something else.

use rustls::{ClientConfig, SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// The client certificate of one handshake, and whether the server has asked for it.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    inner: Arc<dyn ResolvesClientCert>,
    is_asked_for: AtomicBool,
}

impl ClientCertificate {
    /// The same settings for one handshake, and what notices the question.
    pub(super) fn noticing(config: &ClientConfig) -> (ClientConfig, Arc<Self>) {
        let notices = Arc::new(Self { inner: Arc::clone(&config.client_auth_cert_resolver), is_asked_for: AtomicBool::default() });
        let mut config = config.clone();
        config.client_auth_cert_resolver = Arc::clone(&notices) as _;
        (config, notices)
    }

    /// Whether the server has asked for a client certificate.
    pub(super) fn is_asked_for(&self) -> bool {
        self.is_asked_for.load(Relaxed)
    }

    /// Whether there is one.
    pub(super) fn exists(&self) -> bool {
        self.has_certs()
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, root_hint_subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked_for.store(true, Relaxed);
        self.inner.resolve(root_hint_subjects, schemes)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}
