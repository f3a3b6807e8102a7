//! A TLS proxy in front of a plaintext server, with any certificate, which can require a client certificate.

use super::Certificates;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ResolvesServerCertUsingSni, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::TLS13,
};
use std::{net::TcpListener, sync::Arc, thread};
use tokio::{
    io::{AsyncWriteExt, copy, copy_bidirectional, sink},
    net::TcpStream,
    runtime::Builder,
};
use tokio_rustls::TlsAcceptor;

/// Returns the port of a TLS proxy in front of a plaintext port. It lives as long as the test process.
pub(crate) fn tls_front(upstream: u16, certificates: &Certificates) -> u16 {
    serve(upstream, certificates, ServerConfig::builder().with_no_client_auth())
}

/// The same with TLS 1.3 only.
pub(crate) fn tls_front_by_tls13(upstream: u16, certificates: &Certificates) -> u16 {
    let builder = ServerConfig::builder_with_protocol_versions(&[&TLS13]);
    serve(upstream, certificates, builder.with_no_client_auth())
}

/// The same for clients that send a server name (SNI).
pub(crate) fn tls_front_with_server_name(upstream: u16, certificates: &Certificates, name: &str) -> u16 {
    let (chain, key) = load(certificates);
    let mut resolver = ResolvesServerCertUsingSni::new();
    resolver.add(name, CertifiedKey::new(chain, any_supported_type(&key).expect("a key"))).expect("a certificate for the name");
    accept(upstream, ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(resolver)))
}

/// The same for clients who prove by a certificate of the same authority who they are.
pub(crate) fn tls_front_for_known_clients(upstream: u16, certificates: &Certificates) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificates.authority).expect("a certificate")).expect("a root");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
    serve(upstream, certificates, ServerConfig::builder().with_client_cert_verifier(verifier))
}

fn serve(upstream: u16, certificates: &Certificates, builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>) -> u16 {
    let (chain, key) = load(certificates);
    accept(upstream, builder.with_single_cert(chain, key).expect("a configuration"))
}

fn load(certificates: &Certificates) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = vec![CertificateDer::from_pem_file(&certificates.certificate).expect("a certificate")];
    (chain, PrivateKeyDer::from_pem_file(&certificates.key).expect("a key"))
}

fn accept(upstream: u16, config: ServerConfig) -> u16 {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = match acceptor.accept(client).into_fallible().await {
                        Ok(client) => client,
                        Err((_, mut refused)) => {
                            // Closing with unread bytes would reset the connection and discard the alert.
                            let _ = refused.shutdown().await;
                            let _ = copy(&mut refused, &mut sink()).await;
                            return;
                        }
                    };
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    });
    port
}
