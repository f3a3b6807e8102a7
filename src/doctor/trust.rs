//! TLS as a client speaks it, and what a strict one would say of the certificate.

use crate::{prober::Manner, verifier::Verifier};
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

/// What a server showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificate {
    /// What a client that verifies says against it.
    pub(super) trouble: Option<String>,
    pub(super) days_left: Option<i64>,
}

/// Shakes hands as a client does with whom users know as `host`. Most verify nothing; what they would have found is told all the same.
pub(super) async fn shake(manner: &Manner, host: &str, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Certificate), Failure> {
    let roots = system_roots().await?;
    let expected = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(Failure::tls)?;
    let peer = stream.peer_addr().map_err(Failure::network)?;
    let name = if manner.server_name { expected.clone() } else { ServerName::IpAddress(peer.ip().into()) };
    let found = Arc::new(Mutex::new(None));
    let config = config(manner, roots, expected, &found)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(tls::io_failure)?;
    let trouble = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = Certificate {
        trouble: trouble.map(|error| tls::failure(error).message().to_owned()),
        days_left: shown.and_then(Expiry::of_certificate).map(Expiry::days_left),
    };
    Ok((stream, certificate))
}

fn config(
    manner: &Manner,
    roots: Arc<RootCertStore>,
    expected: ServerName<'static>,
    found: &Arc<Mutex<Option<rustls::Error>>>,
) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let strict = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().map_err(Failure::internal)?;
    let (strictly, found) = (manner.verifies, Arc::clone(found));
    let judge = move |shown: &CertificateDer<'_>, chain: &[CertificateDer<'_>]| {
        let judged = strict.verify_server_cert(shown, chain, &expected, &[], UnixTime::now());
        match judged {
            Err(error) if strictly => Err(error),
            Err(error) => {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    };
    let versions = if manner.tls13 { &[&TLS13, &TLS12][..] } else { &[&TLS12][..] };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).map_err(Failure::internal)?;
    let verifier = Verifier::new(provider, judge);
    let verifier = if manner.verifies { verifier } else { verifier.without_proof() };
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    if manner.http_2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    config.resumption = Resumption::disabled();
    Ok(config)
}
