//! TLS to our own listener: accepts exactly the certificate that the configuration names, whatever its issuer and its name are.

use super::verifier::Verifier;
use crate::config::TlsSettings;
use rustls::{
    CertificateError, ClientConfig, Error,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::Arc;

/// Client settings that accept only the listener of this configuration.
///
/// # Errors
///
/// The certificate file cannot be read.
pub(crate) fn client_config(settings: &TlsSettings) -> Result<ClientConfig, Error> {
    let own = CertificateDer::from_pem_file(&settings.certificate_file)
        .map_err(|error| Error::General(format!("server.tls.certificate_file: {error}")))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let judge = move |presented: &CertificateDer<'_>, _: &[CertificateDer<'_>]| {
        if *presented == own { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
    };
    let verifier = Arc::new(Verifier::new(Arc::clone(&provider), judge));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // The name is not verified: the certificate is compared byte for byte, and the server still has to prove that it has the key.
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}
