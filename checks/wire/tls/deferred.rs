//! Completes a handshake before the certificate of the server counts.

use super::verifier::KeysVerifier;
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::{Arc, OnceLock};

/// A verifier for one handshake. It lets the handshake complete whatever the certificate, and keeps the verdict.
#[derive(Debug)]
pub(super) struct DeferredVerifier {
    verifier: Arc<KeysVerifier>,
    verdict: OnceLock<Result<(), Error>>,
}

impl DeferredVerifier {
    pub(super) const fn new(verifier: Arc<KeysVerifier>) -> Self {
        Self { verifier, verdict: OnceLock::new() }
    }

    /// The verdict on the certificate. A handshake without a certificate proves nothing.
    pub(super) fn verdict(&self) -> Result<(), Error> {
        self.verdict.get().cloned().unwrap_or(Err(Error::NoCertificatesPresented))
    }
}

impl ServerCertVerifier for DeferredVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // rustls asks once per handshake; a second certificate must not pass by the verdict on the first.
        self.verdict.set(verdict.map(drop)).map_err(|_| Error::General("a second certificate".to_owned()))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
