//! TLS: rustls, trusting what the system or the check's own files say, shared by every kind that speaks it.

use crate::contract::{Blocking, BoxError, Failure, FailureClass, InvalidConfig};
#[cfg(feature = "sql-server")]
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, OnceLock},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Whom TLS trusts, and how it proves who we are. The files are PEM, and read anew for each connection, so that they can be replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct TlsKeys {
    /// Certificates that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and those between it and its root, where the server wants one.
    pub client_certificate_file: Option<PathBuf>,
    /// The key of our certificate.
    pub client_key_file: Option<PathBuf>,
    /// The name that the server's certificate must have, when it is not the host's.
    pub server_name: Option<String>,
}

impl TlsKeys {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Looks for what cannot be meant.
    ///
    /// # Errors
    ///
    /// The key that is wrong. `encrypted` says whether there is TLS at all; `instead` is what to write in the URL for it.
    pub fn examine(&self, encrypted: bool, instead: &str) -> Result<(), InvalidConfig> {
        if !encrypted && !self.is_empty() {
            return Err(InvalidConfig::new("tls", format!("counts only with TLS: write `{instead}`")));
        }
        match (&self.client_certificate_file, &self.client_key_file) {
            (Some(_), None) => return Err(InvalidConfig::new("tls.client_key_file", "is missing beside `client_certificate_file`")),
            (None, Some(_)) => return Err(InvalidConfig::new("tls.client_certificate_file", "is missing beside `client_key_file`")),
            _ => {}
        }
        match self.server_name.clone().map(ServerName::try_from) {
            Some(Err(_)) => Err(InvalidConfig::new("tls.server_name", "is not a name: write `db.internal`")),
            _ => Ok(()),
        }
    }
}

/// The same for drivers that take a certificate's name from the URL alone.
#[cfg(feature = "sql-server")]
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
#[expect(clippy::struct_field_names, reason = "they are keys that users write")]
pub struct TlsFiles {
    /// Certificates that are trusted instead of the system's. Without a mode in the URL, the server must prove itself by them.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and those between it and its root, where the server wants one.
    pub client_certificate_file: Option<PathBuf>,
    /// The key of our certificate.
    pub client_key_file: Option<PathBuf>,
}

#[cfg(feature = "sql-server")]
impl From<TlsFiles> for TlsKeys {
    fn from(files: TlsFiles) -> Self {
        let TlsFiles { ca_file, client_certificate_file, client_key_file } = files;
        Self { ca_file, client_certificate_file, client_key_file, server_name: None }
    }
}

/// The system's trust store, like the environment, belongs to the process; it is read once, since that takes tens of milliseconds.
static SYSTEM: LazyLock<System> = LazyLock::new(System::default);

#[derive(Default)]
struct System {
    reading: Blocking,
    trusted: OnceLock<Trusted>,
}

#[derive(Clone)]
struct Trusted {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    #[cfg(feature = "sql-server")]
    pem: Arc<[u8]>,
}

impl System {
    async fn trusted(&self) -> Result<Trusted, Failure> {
        if let Some(trusted) = self.trusted.get() {
            return Ok(trusted.clone());
        }
        let trusted = self.reading.run(read_system).await??;
        Ok(self.trusted.get_or_init(|| trusted).clone())
    }
}

/// Whom this machine trusts.
///
/// # Errors
///
/// [`FailureClass::Tls`] when that is nobody.
pub async fn system_roots() -> Result<Arc<RootCertStore>, Failure> {
    SYSTEM.trusted().await.map(|trusted| trusted.roots)
}

fn read_system() -> Result<Trusted, Failure> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    #[cfg(feature = "sql-server")]
    let pem = pem(&certificates);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(Failure::new(FailureClass::Tls, "this machine trusts nobody: install ca-certificates, or set `tls.ca_file`"));
    }
    let roots = Arc::new(roots);
    Ok(Trusted {
        config: Arc::new(client(Arc::clone(&roots), None)?),
        roots,
        #[cfg(feature = "sql-server")]
        pem,
    })
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client(roots: Arc<RootCertStore>, identity: Option<Identity>) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(Failure::internal)?.with_root_certificates(roots);
    let mut config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| Failure::tls(error).saying("our certificate and its key do not fit"))?,
        None => builder.with_no_client_auth(),
    };
    // A session that is resumed is not verified again: a certificate that expired, or was replaced by a wrong one, would go unseen.
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(feature = "sql-server")]
fn pem(certificates: &[CertificateDer<'_>]) -> Arc<[u8]> {
    let block = |certificate: &CertificateDer<'_>| {
        let base64 = BASE64_STANDARD.encode(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    };
    certificates.iter().map(block).collect::<String>().into_bytes().into()
}

/// TLS of one check.
#[derive(Debug, Default)]
pub struct Tls {
    keys: TlsKeys,
    reading: Blocking,
}

impl Tls {
    /// As configured.
    #[must_use]
    pub fn new(keys: TlsKeys) -> Self {
        Self { keys, reading: Blocking::default() }
    }

    /// Client settings; the files are read now.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Tls`] when a file cannot be used, or this machine trusts nobody.
    pub async fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        if self.keys.ca_file.is_none() && self.keys.client_certificate_file.is_none() {
            return SYSTEM.trusted().await.map(|trusted| trusted.config);
        }
        let system = if self.keys.ca_file.is_none() { Some(SYSTEM.trusted().await?.roots) } else { None };
        let keys = self.keys.clone();
        self.reading
            .run(move || {
                let roots = match (&keys.ca_file, system) {
                    (Some(file), _) => Arc::new(roots(file)?),
                    (None, Some(system)) => system,
                    (None, None) => Arc::new(RootCertStore::empty()),
                };
                let identity = match (&keys.client_certificate_file, &keys.client_key_file) {
                    (Some(certificate), Some(key)) => Some((
                        certificates(certificate, "tls.client_certificate_file")?,
                        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("tls.client_key_file", error))?,
                    )),
                    _ => None,
                };
                client(roots, identity).map(Arc::new)
            })
            .await?
    }

    /// Shakes hands on an open connection with a server that must prove to be `host`, or who the keys say.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Tls`] with the reason, or what the network says.
    pub async fn handshake(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let name = self.keys.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(Failure::tls)?;
        TlsConnector::from(self.config().await?).connect(name, stream).await.map_err(io_failure)
    }

    /// What the keys trust as one PEM text, for drivers that make their own settings of it: the check's own file, or the system's roots.
    #[cfg(feature = "sql-server")]
    pub(crate) async fn roots_pem(&self) -> Result<Vec<u8>, Failure> {
        match &self.keys.ca_file {
            Some(file) => self.file(file, "tls.ca_file").await,
            None => SYSTEM.trusted().await.map(|trusted| trusted.pem.to_vec()),
        }
    }

    /// Our certificate and its key as PEM texts, where there are any.
    #[cfg(feature = "sql-server")]
    pub(crate) async fn identity_pem(&self) -> Result<Option<(Vec<u8>, Vec<u8>)>, Failure> {
        let (Some(certificate), Some(key)) = (&self.keys.client_certificate_file, &self.keys.client_key_file) else { return Ok(None) };
        let certificate = self.file(certificate, "tls.client_certificate_file").await?;
        Ok(Some((certificate, self.file(key, "tls.client_key_file").await?)))
    }

    #[cfg(feature = "sql-server")]
    async fn file(&self, path: &Path, key: &'static str) -> Result<Vec<u8>, Failure> {
        let path = path.to_owned();
        self.reading.run(move || std::fs::read(path)).await?.map_err(|error| unusable(key, error))
    }
}

fn roots(file: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, "tls.ca_file")? {
        roots.add(certificate).map_err(|error| unusable("tls.ca_file", error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(key, "no certificate is in it")),
        Err(error) => Err(unusable(key, error)),
    }
}

fn unusable(key: &'static str, cause: impl Into<BoxError>) -> Failure {
    Failure::tls(cause).saying(format!("the file of `{key}` cannot be used"))
}

/// Whether an error, or what caused it, comes from TLS.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    said_by_tls(error).is_some()
}

/// What TLS said, somewhere in the chain of causes.
fn said_by_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // redis-rs shares what caused its errors, by a pointer that is an error itself.
        let error = error.downcast_ref::<Arc<dyn Error + Send + Sync>>().map_or(error, |shared| &**shared);
        // An io::Error holds rustls's error without naming it as its source.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let said = error.downcast_ref::<rustls::Error>().or_else(|| held.and_then(|held| held.downcast_ref()));
        if said.is_some() {
            return said;
        }
        next = error.source();
    }
    None
}

/// An input or output error of a connection that may be encrypted.
#[must_use]
pub fn io_failure(error: io::Error) -> Failure {
    if is_tls(&error) { failure(error) } else { Failure::network(error) }
}

/// An error that comes from TLS, however deep: the sentence says what is wrong with whose certificate.
pub fn failure(error: impl Into<BoxError>) -> Failure {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};
    let error = error.into();
    let message = match said_by_tls(&*error) {
        Some(Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. })) => "the certificate has expired",
        Some(Tls::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. })) => {
            "the certificate is not valid yet"
        }
        // Who bears a trusted name and signs with another key is not whom we trust.
        Some(Tls::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature)) => {
            "the certificate's issuer is not trusted here"
        }
        Some(Tls::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. })) => {
            "the certificate is for another name"
        }
        // As OpenSSL makes one by `req -x509`: it may sign others, and so may not be a server's.
        Some(Tls::InvalidCertificate(Certificate::Other(other))) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the certificate is self-signed"
        }
        Some(Tls::InvalidCertificate(_)) => "the certificate is not valid",
        Some(Tls::InvalidMessage(_)) => "the port does not speak TLS",
        Some(Tls::AlertReceived(Alert::UnrecognisedName)) => "the server has no certificate for the name that it is asked by",
        Some(Tls::AlertReceived(Alert::CertificateRequired)) => "the server wants a certificate of ours",
        Some(Tls::AlertReceived(
            Alert::BadCertificate | Alert::UnknownCA | Alert::CertificateExpired | Alert::CertificateRevoked | Alert::CertificateUnknown,
        )) => "the server does not accept our certificate",
        _ => "the TLS handshake failed",
    };
    Failure::tls(error).saying(message)
}
