//! Verifies the certificate of a server as the keys of `tls` say.
//!
//! OpenSSL accepts certificates that webpki rejects: those of X.509 version 1, and authorities that are servers themselves. They are
//! accepted if they are pinned, if `ca_file` contains them, or if nothing is verified. The server must have the private key of its
//! certificate in any case.

use super::{
    keys::{Fingerprint, Verify},
    x509::{self, X509},
};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::{iter, sync::Arc};
use webpki::RawPublicKeyEntity;

/// Verifies certificates by the keys of `tls`.
#[derive(Debug)]
pub(super) struct KeysVerifier {
    proof: Proof,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What a certificate must prove.
#[derive(Debug)]
enum Proof {
    Nothing,
    Pins(Vec<Fingerprint>),
    Chain {
        /// `None` without any authority.
        webpki: Option<Arc<WebPkiServerVerifier>>,
        /// Certificates of servers that are trusted themselves.
        trusted: Vec<CertificateDer<'static>>,
        names: bool,
    },
}

/// The server shows a certificate but cannot sign with its key: the certificate belongs to another server.
#[derive(Debug, thiserror::Error)]
#[error("the handshake is not signed by the certificate's key")]
pub(super) struct KeyNotHeld;

fn key_not_held(_: impl Sized) -> Error {
    CertificateError::Other(OtherError(Arc::new(KeyNotHeld))).into()
}

/// A key that OpenSSL may accept, and the provider does not.
#[derive(Debug, thiserror::Error)]
#[error("RSA with fewer than 2048 bits, or RSA-PSS")]
pub(super) struct UnsupportedKey;

/// Names the key of a certificate as the reason of an error, if it is unsupported: the error itself would blame the issuer or the signature.
fn because_of_key<'a>(error: Error, certificates: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> Error {
    let is_about_signature = matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
                | CertificateError::UnknownIssuer
                | CertificateError::Other(_)
        )
    );
    let has_supported_key = |certificate: &CertificateDer<'_>| X509::parse(certificate).is_ok_and(|read| read.has_supported_key());
    if is_about_signature && !certificates.into_iter().all(has_supported_key) {
        return CertificateError::Other(OtherError(Arc::new(UnsupportedKey))).into();
    }
    error
}

/// The certificate is not one of those pinned.
#[derive(Debug, thiserror::Error)]
#[error("the certificate's SHA-256 is {0}")]
pub(super) struct NotPinned(Fingerprint);

impl KeysVerifier {
    /// Accepts every certificate.
    pub(super) fn nothing(provider: &CryptoProvider) -> Self {
        Self { proof: Proof::Nothing, algorithms: provider.signature_verification_algorithms }
    }

    /// Accepts these certificates.
    pub(super) fn pins(pins: Vec<Fingerprint>, provider: &CryptoProvider) -> Self {
        Self { proof: Proof::Pins(pins), algorithms: provider.signature_verification_algorithms }
    }

    /// Accepts a certificate that one of the roots has signed, and those in `trusted` themselves.
    pub(super) fn chain(
        roots: Arc<RootCertStore>,
        trusted: Vec<CertificateDer<'static>>,
        verify: Verify,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let webpki =
            if roots.is_empty() { None } else { Some(WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?) };
        let proof = Proof::Chain { webpki, trusted, names: verify == Verify::Full };
        Ok(Self { proof, algorithms: provider.signature_verification_algorithms })
    }

    fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(certificate).is_ok() {
            return verify_tls12_signature(message, certificate, signed, &self.algorithms).map_err(key_not_held);
        }
        let key = x509::public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let offered = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = offered.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let is_signed = algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        is_signed.then(HandshakeSignatureValid::assertion).ok_or(KeyNotHeld).map_err(key_not_held)
    }

    fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(certificate).is_ok() {
            return verify_tls13_signature(message, certificate, signed, &self.algorithms).map_err(key_not_held);
        }
        verify_tls13_signature_with_raw_key(message, &x509::public_key(certificate)?, signed, &self.algorithms).map_err(key_not_held)
    }
}

impl ServerCertVerifier for KeysVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.proof {
            Proof::Nothing => Ok(ServerCertVerified::assertion()),
            Proof::Pins(pins) => {
                let pin = Fingerprint::of_certificate(end_entity);
                let not_pinned = || CertificateError::Other(OtherError(Arc::new(NotPinned(pin))));
                if pins.contains(&pin) { Ok(ServerCertVerified::assertion()) } else { Err(not_pinned().into()) }
            }
            Proof::Chain { trusted, names, .. } if trusted.contains(end_entity) => {
                let certificate = X509::parse(end_entity)?;
                certificate.judge_dates(now)?;
                if *names {
                    certificate.judge_name(server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            Proof::Chain { webpki: None, .. } => Err(CertificateError::UnknownIssuer.into()),
            Proof::Chain { webpki: Some(webpki), names, .. } => {
                match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                    // webpki verifies the name last.
                    Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }))
                        if !names =>
                    {
                        Ok(ServerCertVerified::assertion())
                    }
                    judged => judged.map_err(|error| because_of_key(error, iter::once(end_entity).chain(intermediates))),
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12(message, certificate, signed).map_err(|error| because_of_key(error, [certificate]))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls13(message, certificate, signed).map_err(|error| because_of_key(error, [certificate]))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
