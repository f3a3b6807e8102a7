//! TLS through rustls, with the trusted roots of the system or the files of the check, for every kind that speaks it.

mod client_auth;
mod deferred;
mod examine;
mod failure;
mod keys;
mod pem;
mod verifier;
mod x509;

use crate::contract::{Blocking, Failure, FailureClass};
use client_auth::ClientCertificate;
use deferred::DeferredVerifier;
pub use examine::{IdentityError, authority_warning, examine_identity};
pub use failure::{failure, io_failure, is_tls};
pub use keys::{Fingerprint, TlsKeys, Verify, is_loopback, login_warning};
pub use pem::{PemError, read_certificates, read_private_key};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use std::sync::{Arc, LazyLock, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};
use verifier::KeysVerifier;
use x509::X509;

/// The only global of this crate: a cache. The trust store belongs to the process, like the environment; reading it takes tens of
/// milliseconds, so it is read once and shared by all checks. A restart is needed to read a new one; a `ca_file` is read again for each
/// connection.
static SYSTEM: LazyLock<SystemRoots> = LazyLock::new(SystemRoots::default);

/// The trusted roots of the system, read once.
#[derive(Default)]
struct SystemRoots {
    reading: Blocking,
    trusted: OnceLock<TrustedRoots>,
}

#[derive(Clone)]
struct TrustedRoots {
    roots: Arc<RootCertStore>,
    client: Client,
}

/// The settings of a client, and the verifier in them.
#[derive(Clone)]
struct Client {
    config: Arc<ClientConfig>,
    verifier: Arc<KeysVerifier>,
}

/// A connection with TLS, and whether its peer is the server that the keys require.
pub enum Encrypted<S> {
    /// The peer has proved what the keys require.
    Trusted(S),
    /// The peer has not proved it, for this reason: nothing that is meant for the server may be sent.
    Untrusted(S, Failure),
}

impl SystemRoots {
    async fn trusted(&self) -> Result<TrustedRoots, Failure> {
        if let Some(trusted) = self.trusted.get() {
            return Ok(trusted.clone());
        }
        let trusted = self.reading.run(read_system).await??;
        Ok(self.trusted.get_or_init(|| trusted).clone())
    }
}

/// The trusted roots of this host.
///
/// # Errors
///
/// [`FailureClass::Tls`] when there are none.
pub async fn system_roots() -> Result<Arc<RootCertStore>, Failure> {
    SYSTEM.trusted().await.map(|trusted| trusted.roots)
}

fn read_system() -> Result<TrustedRoots, Failure> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs().certs;
    roots.add_parsable_certificates(found.into_iter().filter(|found| X509::parse(found).is_ok_and(|found| found.is_valid_now())));
    if roots.is_empty() {
        return Err(Failure::new(FailureClass::Tls, "no trusted CA certificates found: install ca-certificates, or set `tls.ca_file`"));
    }
    let roots = Arc::new(roots);
    let provider = provider();
    let verifier = chain(Arc::clone(&roots), Vec::new(), Verify::Full, &provider)?;
    Ok(TrustedRoots { client: client(verifier, provider, None)?, roots })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn chain(
    roots: Arc<RootCertStore>,
    trusted: Vec<CertificateDer<'static>>,
    verify: Verify,
    provider: &Arc<CryptoProvider>,
) -> Result<KeysVerifier, Failure> {
    KeysVerifier::chain(roots, trusted, verify, provider).map_err(Failure::internal)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client(verifier: KeysVerifier, provider: Arc<CryptoProvider>, identity: Option<Identity>) -> Result<Client, Failure> {
    let verifier = Arc::new(verifier);
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Failure::internal)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<_>);
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable_identity)?,
        None => builder.with_no_client_auth(),
    };
    // The certificate of a resumed session is not verified again: one that has expired, or was replaced by a wrong one, would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(Client { config: Arc::new(config), verifier })
}

/// Why a client certificate and its key cannot be used.
fn unusable_identity(error: rustls::Error) -> Failure {
    let message = match error {
        rustls::Error::InconsistentKeys(_) => "the client certificate and its key do not match",
        _ => "the key in `tls.client_key_file` is of an unsupported type, such as RSA with fewer than 2,048 bits, or damaged",
    };
    Failure::tls(error).saying(message)
}

/// The TLS settings of one check.
#[derive(Debug, Default)]
pub struct Tls {
    keys: TlsKeys,
    reading: Blocking,
}

impl Tls {
    /// TLS with these keys.
    #[must_use]
    pub fn new(keys: TlsKeys) -> Self {
        Self { keys, reading: Blocking::default() }
    }

    /// The observed value `tls_verify`: `none` if no certificate is verified.
    #[must_use]
    pub fn observed_verify(&self) -> Option<&'static str> {
        (!self.keys.is_verified()).then_some("none")
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &TlsKeys {
        &self.keys
    }

    /// Reads the files of the keys, for one connection. Before it is opened, if the server must not notice a file that cannot be used.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Tls`] when a file cannot be used, or this host has no trusted roots.
    pub async fn ready(&self) -> Result<ReadyTls<'_>, Failure> {
        Ok(ReadyTls { keys: &self.keys, client: self.client().await? })
    }

    async fn client(&self) -> Result<Client, Failure> {
        let keys = &self.keys;
        let uses_system = keys.ca_file.is_none() && keys.pinned_sha256.is_empty() && keys.verify != Some(Verify::None);
        let system = if uses_system { Some(SYSTEM.trusted().await?) } else { None };
        if let Some(system) = &system
            && keys.client_certificate_file.is_none()
            && keys.verify != Some(Verify::Ca)
        {
            return Ok(system.client.clone());
        }
        let (keys, system) = (keys.clone(), system.map(|system| system.roots));
        self.reading.run(move || read(&keys, system)).await?
    }

    /// [`ReadyTls::handshake`] with the files as they are now.
    ///
    /// # Errors
    ///
    /// Those of [`Tls::ready`] and [`ReadyTls::handshake`].
    pub async fn handshake<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.ready().await?.handshake(host, stream).await
    }
}

/// TLS whose files have been read, for one connection.
pub struct ReadyTls<'a> {
    keys: &'a TlsKeys,
    client: Client,
}

impl ReadyTls<'_> {
    /// Runs the TLS handshake on an open connection, with a server that must be `host`, or what the keys require.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Tls`] with the reason, or what the network reports.
    pub async fn handshake<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connect(host, stream, None).await
    }

    /// The same, but completes the handshake with a server whose certificate is not accepted: for protocols whose servers count
    /// interrupted handshakes against this host. With a client certificate the handshake ends at once, because it would be sent.
    ///
    /// # Errors
    ///
    /// Those of [`ReadyTls::handshake`], except those of the server's certificate.
    pub async fn complete_handshake<S>(&self, host: &str, stream: S) -> Result<Encrypted<TlsStream<S>>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.client.config.client_auth_cert_resolver.has_certs() {
            return self.handshake(host, stream).await.map(Encrypted::Trusted);
        }
        let deferred = Arc::new(DeferredVerifier::new(Arc::clone(&self.client.verifier)));
        let stream = self.connect(host, stream, Some(Arc::clone(&deferred))).await?;
        Ok(match deferred.verdict() {
            Ok(()) => Encrypted::Trusted(stream),
            Err(error) => Encrypted::Untrusted(stream, failure(error)),
        })
    }

    async fn connect<S>(&self, host: &str, stream: S, deferred: Option<Arc<DeferredVerifier>>) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.keys.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(Failure::tls)?;
        let (mut config, client_certificate) = ClientCertificate::noticing(&self.client.config);
        if let Some(deferred) = deferred {
            config.dangerous().set_certificate_verifier(deferred);
        }
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        connected.map_err(|error| failure::handshake_failure(error, &client_certificate))
    }
}

/// The data of the channel binding `tls-server-end-point` for the server of a connection.
#[cfg(feature = "postgres")]
pub(crate) fn server_end_point<S>(stream: &TlsStream<S>) -> Option<Vec<u8>> {
    stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(x509::end_point)
}

/// The settings of the client from the keys and their files; `system` are the roots of this host, if they apply.
fn read(keys: &TlsKeys, system: Option<Arc<RootCertStore>>) -> Result<Client, Failure> {
    let provider = provider();
    let verify = keys.verify.unwrap_or_default();
    let verifier = match (&keys.ca_file, system) {
        _ if !keys.pinned_sha256.is_empty() => KeysVerifier::pins(keys.pinned_sha256.clone(), &provider),
        _ if verify == Verify::None => KeysVerifier::nothing(&provider),
        (Some(file), _) => {
            let trusted = read_certificates(file).map_err(|error| error.in_key("tls.ca_file"))?;
            chain(Arc::new(roots(&trusted)?), trusted, verify, &provider)?
        }
        (None, system) => chain(system.unwrap_or_else(|| Arc::new(RootCertStore::empty())), Vec::new(), verify, &provider)?,
    };
    let identity = match (&keys.client_certificate_file, &keys.client_key_file) {
        (Some(certificate), Some(key)) => {
            let chain = read_certificates(certificate).map_err(|error| error.in_key("tls.client_certificate_file"))?;
            Some((chain, read_private_key(key).map_err(|error| error.in_key("tls.client_key_file"))?))
        }
        _ => None,
    };
    client(verifier, provider, identity)
}

/// The authorities among these certificates. The certificate of a server is trusted only for itself: otherwise one server could pose as
/// another.
fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let mut expired = 0;
    for certificate in certificates {
        let read = X509::parse(certificate).map_err(|error| unusable(rustls::Error::from(error)))?;
        match (read.is_authority(), read.is_valid_now()) {
            (true, true) => roots.add(certificate.clone()).map_err(unusable)?,
            (true, false) => expired += 1,
            (false, _) => {}
        }
    }
    if expired == certificates.len() {
        return Err(Failure::new(FailureClass::Tls, "every certificate in `tls.ca_file` has expired or is not valid yet"));
    }
    Ok(roots)
}

fn unusable(cause: rustls::Error) -> Failure {
    pem::unusable("tls.ca_file", "has a block that is no certificate").because(cause)
}
