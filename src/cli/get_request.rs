//! The request of `allswell get`, over TCP or TLS.

use super::{
    get_target::{path_and_query, server_and_path},
    own_service::{OwnCertificate, OwnService},
};
use crate::tls::pinned;
use allswell_checks::{
    contract::BoxError,
    wire::{
        address::{Address, Dialer, Stream},
        connect::open,
        tls::Tls,
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1::handshake,
    header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

/// The largest response body.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The request of `allswell get`.
#[derive(Debug)]
pub(super) struct GetRequest {
    scheme: &'static str,
    /// The addresses that are tried in turn.
    addresses: Vec<Address>,
    /// The index of the one that is tried now.
    current: usize,
    /// The header `Host`; by default the address.
    host: Option<String>,
    path: String,
    /// The certificate of our own service, if this is it. Any other server must have one that a client trusts.
    certificate: Option<OwnCertificate>,
}

impl GetRequest {
    /// A request for a path of the own service.
    pub(super) fn own(service: OwnService, path: String) -> Self {
        let scheme = service.scheme();
        Self { scheme, addresses: service.addresses, current: 0, host: None, path, certificate: service.tls }
    }

    /// A request for a URL.
    pub(super) fn url(url: &Url) -> Self {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        Self {
            scheme: if url.scheme() == "https" { "https" } else { "http" },
            addresses: vec![Address::new(host, port)],
            current: 0,
            host: Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))),
            path: path_and_query(url),
            certificate: None,
        }
    }

    /// What is requested now, for messages.
    pub(super) fn server_and_path(&self) -> String {
        self.address().map(|address| server_and_path(self.scheme, address, &self.path)).unwrap_or_default()
    }

    /// Sends the request to the first address that accepts a connection.
    pub(super) async fn send(&mut self, authorization: Option<&HeaderValue>) -> Result<(StatusCode, Bytes), BoxError> {
        let stream = self.connect().await?;
        let address = self.address().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::get(&self.path)
            .header(HOST, self.host.as_ref().unwrap_or(&address))
            .header(USER_AGENT, concat!("allswell/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        exchange(TokioIo::new(stream), request.body(Empty::new())?).await
    }

    fn address(&self) -> Option<&Address> {
        self.addresses.get(self.current)
    }

    async fn connect(&mut self) -> Result<Stream, BoxError> {
        loop {
            let Some(address) = self.address() else { return Err("there is no address to connect to".into()) };
            let opened: Result<Stream, BoxError> = if let Some(certificate) = &self.certificate {
                match Dialer::default().connect(address).await {
                    // The listener accepts connections here, so no other address is tried.
                    Ok(stream) => return handshake_with(certificate, address, stream).await,
                    Err(failure) => Err(failure.into()),
                }
            } else {
                let tls = (self.scheme == "https").then(Tls::default);
                open(&Dialer::default(), address, tls.as_ref()).await.map(|opened| opened.stream).map_err(Into::into)
            };
            if opened.is_ok() || self.current + 1 == self.addresses.len() {
                return opened;
            }
            self.current += 1;
        }
    }
}

/// Encrypts a connection to our own service.
async fn handshake_with(certificate: &OwnCertificate, address: &Address, stream: TcpStream) -> Result<Stream, BoxError> {
    let pin = match certificate {
        OwnCertificate::Sha256(pin) => pin.clone(),
        OwnCertificate::File(file) => pinned::fingerprint_of_file(file)?,
        OwnCertificate::Unknown => return Err("server.tls.certificate_file is not known".into()),
    };
    // The name is not verified, but an address with a scope is no name at all.
    let name = ServerName::try_from(address.host.split('%').next().unwrap_or_default().to_owned())?;
    Ok(Box::new(TlsConnector::from(Arc::new(pinned::client_config(pin)?)).connect(name, stream).await?))
}

async fn exchange(stream: TokioIo<Stream>, request: Request<Empty<Bytes>>) -> Result<(StatusCode, Bytes), BoxError> {
    let (mut sender, connection) = handshake(stream).await?;
    let response = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await?.to_bytes();
        Ok((status, body))
    };
    // The result of the connection adds nothing to that of the request.
    let (response, _) = tokio::join!(response, connection);
    response
}
