//! `allswell get`: requests a report from a running allswell, for images that have no curl.

use super::{
    duration::duration,
    error::CommandError,
    exit::Exit,
    terminal::{print, printable_lines, stdout_is_terminal},
};
use crate::{
    config::{ServerSettings, Sources, TlsSettings, load},
    kinds::Registry,
    tls,
};
use allswell_checks::{
    contract::{BoxError, TimeSpan},
    wire::{
        address::{Address, Dialer, Stream},
        connect::open,
        tls::Tls,
    },
};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1::handshake,
    header::{CONNECTION, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{sync::Arc, time::Duration};
use tokio::{runtime, time::timeout};
use tokio_rustls::TlsConnector;
use url::Url;

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// URL to request [default: /health on the configured port of this machine]
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Timeout of the request, such as 500ms or 5s
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    timeout: Duration,
}

/// The largest response body.
const MAX_BODY_BYTES: usize = 16 << 20;

impl Get {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> Result<Exit, CommandError> {
        let (url, own) = if let Some(url) = self.url {
            (url, None)
        } else {
            let server = load(sources, registry)?.settings.server;
            (own_health_url(&server), server.tls)
        };
        let uri = parse_url(&url);
        let uri = uri.ok_or_else(|| CommandError::Usage("this is not an HTTP URL: write http://127.0.0.1:8080/health".to_owned()))?;
        let server = server_and_path(&uri);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
        let response = runtime.block_on(async { timeout(self.timeout, request(&uri, own.as_ref())).await });
        runtime.shutdown_background();
        let (status, body) = response
            .map_err(|_| CommandError::NotWell(format!("no response from {server} within {}", TimeSpan(self.timeout))))?
            .map_err(|error| CommandError::NotWell(format!("no response from {server}: {error}")))?;
        let body = String::from_utf8_lossy(&body);
        // A program gets every byte; a terminal would interpret control characters.
        if stdout_is_terminal() {
            print(&printable_lines(&body));
        } else {
            print(&body);
        }
        if status.is_success() { Ok(Exit::Done) } else { Err(CommandError::NotWell(format!("the server answered {status}"))) }
    }
}

/// Parses an `http` or `https` URL. `Uri` alone accepts ports that do not exist, and the request would then go to port 80 or 443.
fn parse_url(text: &str) -> Option<Uri> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    url.as_str().parse().ok()
}

/// The URL without credentials and query, for messages.
fn server_and_path(uri: &Uri) -> String {
    format!("{}://{}{}", uri.scheme_str().unwrap_or("http"), host_header(uri), uri.path())
}

/// The URL of the whole report of the service that runs with this configuration on this machine.
pub(super) fn own_health_url(server: &ServerSettings) -> String {
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}/health", loopback_address(&server.listen))
}

/// The address at which a listener is reached from this machine: one that listens on all interfaces listens on loopback, too.
fn loopback_address(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "8080"));
    let host = match host {
        "0.0.0.0" | "*" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    format!("{host}:{port}")
}

/// Sends the request. From a listener with the TLS settings `own`, exactly its certificate is accepted.
async fn request(uri: &Uri, own: Option<&TlsSettings>) -> Result<(StatusCode, Bytes), BoxError> {
    let encrypted = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default();
    let address = Address::new(host, uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }));
    let stream: Stream = match own {
        Some(own) => {
            let name = ServerName::try_from(address.host.clone())?;
            let plain = Dialer::default().connect(&address).await?;
            Box::new(TlsConnector::from(Arc::new(tls::pinned::client_config(own)?)).connect(name, plain).await?)
        }
        None => open(&Dialer::default(), &address, encrypted.then(Tls::default).as_ref()).await?.stream,
    };
    exchange(TokioIo::new(stream), uri).await
}

async fn exchange(stream: TokioIo<Stream>, uri: &Uri) -> Result<(StatusCode, Bytes), BoxError> {
    let (mut sender, connection) = handshake(stream).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, host_header(uri))
        .header(USER_AGENT, concat!("allswell/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
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

/// Host and port, without the credentials that a URL may have.
fn host_header(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_another_scheme_or_an_impossible_port_is_rejected() {
        for text in ["http://127.0.0.1:99999/", "http://127.0.0.1:8080x/", "ftp://127.0.0.1/", "127.0.0.1:8080", "localhost", "http://"] {
            assert_eq!(parse_url(text), None, "{text}");
        }
        for text in ["http://127.0.0.1:8080/health", "HTTPS://[::1]:8443/?a=b", "http://localhost"] {
            assert!(parse_url(text).is_some(), "{text}");
        }
    }

    #[test]
    fn messages_name_the_server_without_credentials_and_query() {
        let uri = parse_url("http://user:hunter2@[::1]:8080/health?token=hunter2").expect("a URL");
        assert_eq!(server_and_path(&uri), "http://[::1]:8080/health");
    }

    #[test]
    fn a_listener_on_all_interfaces_is_reached_on_loopback() {
        for (listen, expected) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.7:8080", "10.0.0.7:8080"), ("localhost:1", "localhost:1")]
        {
            assert_eq!(loopback_address(listen), expected);
        }
    }
}
