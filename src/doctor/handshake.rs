//! The TLS handshake as a client performs it, and whether the server's certificate would pass verification.

use crate::{pollers::PollerProfile, tls::verifier::Verifier};
use allswell_checks::{
    contract::Failure,
    wire::{
        connect::Expiry,
        tls::{self, system_roots},
    },
};
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The server's certificate.
#[derive(Debug)]
pub(super) struct PresentedCertificate {
    /// Why it fails verification, also for clients that do not verify it.
    pub(super) failure: Option<Failure>,
    pub(super) days_left: Option<i64>,
}

/// Performs the handshake as the client does. `host` is the name under which users know the server.
pub(super) async fn connect(
    profile: &PollerProfile,
    host: &str,
    stream: TcpStream,
) -> Result<(TlsStream<TcpStream>, PresentedCertificate), Failure> {
    let roots = system_roots().await?;
    let expected = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(Failure::tls)?;
    let peer = stream.peer_addr().map_err(Failure::network)?;
    let name = if profile.server_name { expected.clone() } else { ServerName::IpAddress(peer.ip().into()) };
    let error = Arc::new(Mutex::new(None));
    let config = config(profile, roots, expected, &error)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(tls::io_failure)?;
    let error = error.lock().unwrap_or_else(PoisonError::into_inner).take();
    let presented = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = PresentedCertificate {
        failure: error.map(tls::failure),
        days_left: presented.and_then(Expiry::of_certificate).map(Expiry::days_left),
    };
    Ok((stream, certificate))
}

/// The client's configuration. Verification errors that the client ignores are stored in `ignored`.
fn config(
    profile: &PollerProfile,
    roots: Arc<RootCertStore>,
    expected: ServerName<'static>,
    ignored: &Arc<Mutex<Option<rustls::Error>>>,
) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let strict = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().map_err(Failure::internal)?;
    let (must_verify, ignored) = (profile.verifies, Arc::clone(ignored));
    let verify = move |certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]| match strict.verify_server_cert(
        certificate,
        chain,
        &expected,
        &[],
        UnixTime::now(),
    ) {
        Err(error) if must_verify => Err(error),
        Err(error) => {
            *ignored.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            Ok(())
        }
        Ok(_) => Ok(()),
    };
    let versions = if profile.tls13 { &[&TLS13, &TLS12][..] } else { &[&TLS12][..] };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).map_err(Failure::internal)?;
    let verifier = Verifier::new(provider, verify);
    let verifier = if profile.verifies { verifier } else { verifier.without_key_proof() };
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    if profile.http_2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    config.resumption = Resumption::disabled();
    Ok(config)
}
