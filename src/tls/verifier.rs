//! A certificate verifier with the rule of its caller.

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{fmt, sync::Arc};

/// Verifies a server by a function of its certificate and the intermediate certificates.
pub(crate) struct Verifier<J> {
    provider: Arc<CryptoProvider>,
    judge: J,
    /// Whether the server must prove that it has the certificate's key.
    requires_key_proof: bool,
}

impl<J: Fn(&CertificateDer<'_>, &[CertificateDer<'_>]) -> Result<(), Error>> Verifier<J> {
    pub(crate) const fn new(provider: Arc<CryptoProvider>, judge: J) -> Self {
        Self { provider, judge, requires_key_proof: true }
    }

    /// Does not require that the server proves to have the key, as clients do that verify nothing at all.
    pub(crate) fn without_key_proof(self) -> Self {
        Self { requires_key_proof: false, ..self }
    }
}

impl<J> fmt::Debug for Verifier<J> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

impl<J> ServerCertVerifier for Verifier<J>
where
    J: Fn(&CertificateDer<'_>, &[CertificateDer<'_>]) -> Result<(), Error> + Send + Sync,
{
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.judge)(presented, chain).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.requires_key_proof {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, presented, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.requires_key_proof {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, presented, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
