//! TLS to ourselves: trusts the one certificate that the configuration names, whoever issued it and for whatever name.

use super::verifier::Verifier;
use crate::config::TlsSettings;
use rustls::{
    CertificateError, ClientConfig, Error,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::Arc;

/// Client settings that believe nobody but the listener of this configuration.
pub(crate) fn config(settings: &TlsSettings) -> Result<ClientConfig, Error> {
    let own = CertificateDer::from_pem_file(&settings.certificate_file)
        .map_err(|error| Error::General(format!("server.tls.certificate_file: {error}")))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let judge = move |shown: &CertificateDer<'_>, _: &[CertificateDer<'_>]| {
        if *shown == own { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
    };
    let verifier = Arc::new(Verifier::new(Arc::clone(&provider), judge));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // By a name, this certificate need not be valid at all: it is known byte for byte, and the key is proved as ever.
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}
