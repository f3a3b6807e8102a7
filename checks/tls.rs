//! TLS: rustls with the system's trusted roots, shared by every kind that speaks it.

use crate::contract::{Failure, FailureClass};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{
    error::Error,
    io,
    sync::{Arc, OnceLock},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The system's trust store, like the environment, belongs to the process; it is read once, since that takes tens of milliseconds.
static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// Client settings that trust what the system trusts.
///
/// # Errors
///
/// [`FailureClass::Internal`] when this machine trusts nobody: no root certificates are installed.
pub async fn system_config() -> Result<Arc<ClientConfig>, Failure> {
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let config = tokio::task::spawn_blocking(read_system).await.map_err(Failure::internal)??;
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}

fn read_system() -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Failure::new(FailureClass::Internal, "this machine has no root certificates: install ca-certificates"));
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Failure::internal)
        .map(|builder| Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Shakes hands on an open connection with a server that must prove to be `host`.
///
/// # Errors
///
/// [`FailureClass::Tls`] with the reason, or what the network says.
pub async fn handshake(host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(Failure::tls)?;
    TlsConnector::from(system_config().await?).connect(name, stream).await.map_err(io_failure)
}

/// Whether an error, or what caused it, comes from TLS.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // An io::Error holds rustls's error without naming it as its source.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || held.and_then(|held| held.downcast_ref::<rustls::Error>()).is_some() {
            return true;
        }
        next = error.source();
    }
    false
}

/// An input or output error of a connection that may be encrypted.
pub(crate) fn io_failure(error: io::Error) -> Failure {
    if !is_tls(&error) {
        return Failure::network(error);
    }
    let message = match error.get_ref().and_then(|held| held.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. })) => {
            "the certificate has expired"
        }
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => "the certificate's issuer is not trusted here",
        Some(rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. },
        )) => "the certificate is for another name",
        Some(rustls::Error::InvalidCertificate(_)) => "the certificate is not valid",
        Some(rustls::Error::InvalidMessage(_)) => "the port does not speak TLS",
        _ => "the TLS handshake failed",
    };
    Failure::tls(error).saying(message)
}
