//! Reads the listener's certificate and key from PEM files.

use super::{files::unusable, settings::TlsSettings};
use crate::kinds::issue::ConfigIssue;
use allswell_checks::wire::tls::{IdentityError, authority_warning, examine_identity, read_certificates, read_private_key};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::CertificateDer, server::WebPkiClientVerifier};
use std::{fmt::Display, path::Path, sync::Arc};

/// The error for a key of `[server.tls]` whose file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) key: &'static str,
    pub(crate) message: String,
}

impl Unusable {
    fn new(key: &'static str, error: impl Display) -> Self {
        Self { key, message: format!("the file {error}") }
    }

    /// For what the TLS library says of its own.
    fn rejected(key: &'static str, error: impl Display) -> Self {
        Self { key, message: format!("the file cannot be used: {error}") }
    }

    /// The error as an issue of the table around `[server.tls]`.
    pub(super) fn into_issue(self) -> ConfigIssue {
        ConfigIssue::new(["tls", self.key], self.message)
    }
}

/// What a listener needs for TLS.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    pub(crate) config: ServerConfig,
    /// The certificate that it presents, without the chain.
    pub(crate) certificate: CertificateDer<'static>,
}

/// Reads the files of `[server.tls]`. This blocks.
///
/// # Errors
///
/// The first file that cannot be used.
pub(crate) fn read(settings: &TlsSettings) -> Result<ListenerTls, Unusable> {
    examine(settings).map(|(listener, _)| listener)
}

/// Reads the files of `[server.tls]`, and also returns warnings about what clients may not accept, as issues of the table around `[server.tls]`.
/// This blocks.
///
/// # Errors
///
/// The first file that cannot be used.
pub(super) fn examine(settings: &TlsSettings) -> Result<(ListenerTls, Vec<ConfigIssue>), Unusable> {
    let chain = certificates(&settings.certificate_file, "certificate_file")?;
    let certificate = chain[0].clone();
    readable(&settings.key_file, "key_file")?;
    let key = read_private_key(&settings.key_file).map_err(|error| Unusable::new("key_file", error))?;
    let found = examine_identity(&chain, &key).map_err(|error| match &error {
        IdentityError::Certificate(_) => Unusable::new("certificate_file", error),
        IdentityError::Key(_) => Unusable::new("key_file", error),
    })?;
    let mut warnings: Vec<ConfigIssue> = found.into_iter().map(|warning| Unusable::new("certificate_file", warning).into_issue()).collect();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Unusable::rejected("certificate_file", error))?;
    let builder = match &settings.client_ca_file {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            let authorities = certificates(file, "client_ca_file")?;
            let warning = authority_warning(&authorities).map(|warning| Unusable::new("client_ca_file", warning).into_issue());
            warnings.extend(warning);
            for root in authorities {
                roots.add(root).map_err(|error| Unusable::rejected("client_ca_file", error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| Unusable::rejected("client_ca_file", error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| Unusable::rejected("key_file", error))?;
    config.alpn_protocols = ["h2", "http/1.1", "http/1.0"].map(|protocol| protocol.as_bytes().to_vec()).to_vec();
    Ok((ListenerTls { config, certificate }, warnings))
}

/// Explains why a file cannot be opened, as for every other file of the configuration.
fn readable(file: &Path, key: &'static str) -> Result<(), Unusable> {
    unusable(file).map_or(Ok(()), |message| Err(Unusable { key, message }))
}

/// The certificates of a file, at least one.
fn certificates(file: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    readable(file, key)?;
    read_certificates(file).map_err(|error| Unusable::new(key, error))
}
