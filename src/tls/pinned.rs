//! TLS to our own listener: accepts exactly its certificate, whatever the certificate's issuer and name are.

use super::{fingerprint::sha256, verifier::Verifier};
use allswell_checks::wire::tls::{PemError, read_certificates};
use rustls::{CertificateError, ClientConfig, Error, crypto::aws_lc_rs, pki_types::CertificateDer};
use std::{path::Path, sync::Arc};

/// The SHA-256 of the first certificate of a file.
///
/// # Errors
///
/// The file cannot be used.
pub(crate) fn fingerprint_of_file(file: &Path) -> Result<String, Error> {
    let unusable = |error: PemError| Error::General(format!("server.tls.certificate_file: the file {error}"));
    Ok(read_certificates(file).map_err(unusable)?.first().map(|certificate| sha256(certificate)).unwrap_or_default())
}

/// Client settings that accept only a server with a certificate of this SHA-256.
pub(crate) fn client_config(pin: String) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let judge = move |presented: &CertificateDer<'_>, _: &[CertificateDer<'_>]| {
        if sha256(presented) == pin { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
    };
    let verifier = Arc::new(Verifier::new(Arc::clone(&provider), judge));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // The name is not verified: the certificate itself is, and the server still has to prove that it has the key.
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}
