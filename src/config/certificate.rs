//! Reads the listener's certificate and key from PEM files.

use super::{files::unusable, settings::TlsSettings};
use crate::kinds::issue::ConfigIssue;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{fmt::Display, path::Path, sync::Arc};

/// The error for a key of `[server.tls]` whose file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) key: &'static str,
    pub(crate) message: String,
}

impl Unusable {
    fn new(key: &'static str, error: impl Display) -> Self {
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
    let chain = certificates(&settings.certificate_file, "certificate_file")?;
    let certificate = chain[0].clone();
    readable(&settings.key_file, "key_file")?;
    let key = PrivateKeyDer::from_pem_file(&settings.key_file).map_err(|error| Unusable::new("key_file", error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Unusable::new("certificate_file", error))?;
    let builder = match &settings.client_ca_file {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(file, "client_ca_file")? {
                roots.add(root).map_err(|error| Unusable::new("client_ca_file", error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| Unusable::new("client_ca_file", error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| Unusable::new("key_file", error))?;
    config.alpn_protocols = ["h2", "http/1.1", "http/1.0"].map(|protocol| protocol.as_bytes().to_vec()).to_vec();
    Ok(ListenerTls { config, certificate })
}

/// Explains why a file cannot be opened, as for every other file of the configuration.
fn readable(file: &Path, key: &'static str) -> Result<(), Unusable> {
    unusable(file).map_or(Ok(()), |reason| Err(Unusable::new(key, reason)))
}

/// The certificates of a file, at least one.
fn certificates(file: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    readable(file, key)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Unusable { key, message: "the file contains no certificate".to_owned() }),
        Err(error) => Err(Unusable::new(key, error)),
    }
}
