//! TLS: rustls with the system's trusted roots, shared by every kind that speaks it.

use crate::contract::{Blocking, Failure, FailureClass};
#[cfg(feature = "net")]
use crate::net::{Address, Dialer, Stream};
#[cfg(feature = "sql-server")]
use base64::{Engine, prelude::BASE64_STANDARD};
#[cfg(feature = "sql-server")]
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{
    error::Error,
    io,
    sync::{Arc, LazyLock, OnceLock},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The system's trust store, like the environment, belongs to the process; it is read once, since that takes tens of milliseconds.
static SYSTEM: LazyLock<System> = LazyLock::new(System::default);

#[derive(Default)]
struct System {
    reading: Blocking,
    roots: OnceLock<Roots>,
}

#[derive(Clone)]
struct Roots {
    config: Arc<ClientConfig>,
    #[cfg(feature = "sql-server")]
    pem: Arc<[u8]>,
}

impl System {
    async fn roots(&self) -> Result<Roots, Failure> {
        if let Some(roots) = self.roots.get() {
            return Ok(roots.clone());
        }
        let roots = self.reading.run(read).await??;
        Ok(self.roots.get_or_init(|| roots).clone())
    }
}

/// Client settings that trust what the system trusts.
///
/// # Errors
///
/// [`FailureClass::Internal`] when this machine trusts nobody: no root certificates are installed.
pub async fn system_config() -> Result<Arc<ClientConfig>, Failure> {
    SYSTEM.roots().await.map(|roots| roots.config)
}

/// The system's trusted roots as one PEM text, for drivers that make their own settings of it.
#[cfg(feature = "sql-server")]
pub(crate) async fn system_roots_pem() -> Result<Vec<u8>, Failure> {
    SYSTEM.roots().await.map(|roots| roots.pem.to_vec())
}

fn read() -> Result<Roots, Failure> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    #[cfg(feature = "sql-server")]
    let pem = pem(&certificates);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(Failure::new(FailureClass::Internal, "this machine has no root certificates: install ca-certificates"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let config = builder.map_err(Failure::internal)?.with_root_certificates(roots).with_no_client_auth();
    Ok(Roots {
        config: Arc::new(config),
        #[cfg(feature = "sql-server")]
        pem,
    })
}

#[cfg(feature = "sql-server")]
fn pem(certificates: &[CertificateDer<'_>]) -> Arc<[u8]> {
    let block = |certificate: &CertificateDer<'_>| {
        let base64 = BASE64_STANDARD.encode(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    };
    certificates.iter().map(block).collect::<String>().into_bytes().into()
}

/// Opens a connection, encrypted or not.
///
/// # Errors
///
/// What the resolver, the network or TLS says.
#[cfg(feature = "net")]
pub async fn open(dialer: &Dialer, address: &Address, encrypted: bool) -> Result<Stream, Failure> {
    let stream = dialer.connect(address).await?;
    Ok(if encrypted { Box::new(handshake(&address.host, stream).await?) } else { Box::new(stream) })
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
