//! `allswell get`: asks a running allswell, for images that have no curl.

use super::{DONE, NOT_WELL, USAGE, begun, complain, configured, duration, print, printable_lines};
use crate::{
    config::{ServerSettings, Sources, TlsSettings},
    kinds::Registry,
    tls,
};
use allswell_checks::wire::{
    address::{Address, Dialer, Stream},
    connect::open,
    tls::Tls,
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
use std::{
    error::Error,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};
use tokio::{runtime, time::timeout};
use tokio_rustls::TlsConnector;

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// What to ask [default: /health of the configured port on this machine]
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// How long to wait, such as 500ms or 5s
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    timeout: Duration,
}

/// How large a report may be.
const BODY: usize = 16 << 20;

type Trouble = Box<dyn Error + Send + Sync>;

impl Get {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> u8 {
        let (url, own) = match self.url {
            Some(url) => (url, None),
            None => match configured(sources, registry) {
                Ok(configured) => {
                    let server = configured.settings.server;
                    (own_health(&server), server.tls)
                }
                Err(code) => return code,
            },
        };
        let uri: Uri = match url.parse::<Uri>() {
            Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => uri,
            _ => {
                complain("error: this is not a URL: write http://127.0.0.1:8080/health");
                return USAGE;
            }
        };
        let runtime = match begun(runtime::Builder::new_current_thread().enable_all().build()) {
            Ok(runtime) => runtime,
            Err(code) => return code,
        };
        let answer = runtime.block_on(async { timeout(self.timeout, ask(&uri, own.as_ref())).await });
        runtime.shutdown_background();
        match answer {
            Ok(Ok((status, body))) => {
                let body = String::from_utf8_lossy(&body);
                // Programs get every byte; a terminal would obey some of them.
                if io::stdout().is_terminal() {
                    print(&printable_lines(&body));
                } else {
                    print(&body);
                }
                if status.is_success() {
                    return DONE;
                }
                complain(&format!("error: answered {status}"));
            }
            Ok(Err(error)) => complain(&format!("error: no answer: {error}")),
            Err(_) => complain(&format!("error: no answer within {:?}", self.timeout)),
        }
        NOT_WELL
    }
}

/// The whole report of the service of this configuration, asked from this machine.
pub(super) fn own_health(server: &ServerSettings) -> String {
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}/health", reachable(&server.listen))
}

/// Where a listener can be reached from this machine: one that listens everywhere listens on loopback, too.
fn reachable(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "8080"));
    let host = match host {
        "0.0.0.0" | "*" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    format!("{host}:{port}")
}

/// Asks; of a listener of our `own` configuration, that very certificate is believed.
async fn ask(uri: &Uri, own: Option<&TlsSettings>) -> Result<(StatusCode, Bytes), Trouble> {
    let encrypted = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default();
    let address = Address::new(host, uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }));
    let stream: Stream = match own {
        Some(own) => {
            let name = ServerName::try_from(address.host.clone())?;
            let plain = Dialer::default().connect(&address).await?;
            Box::new(TlsConnector::from(Arc::new(tls::pinned::config(own)?)).connect(name, plain).await?)
        }
        None => open(&Dialer::default(), &address, encrypted.then(Tls::default).as_ref()).await?.stream,
    };
    exchange(TokioIo::new(stream), uri).await
}

async fn exchange(stream: TokioIo<Stream>, uri: &Uri) -> Result<(StatusCode, Bytes), Trouble> {
    let (mut sender, connection) = handshake(stream).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, host_header(uri))
        .header(USER_AGENT, concat!("allswell/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY).collect().await?.to_bytes();
        Ok((status, body))
    };
    // The connection ends with the answer, or the answer says why it did not come.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

/// Host and port, without the user-info that a URL may have.
fn host_header(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_everything_is_asked_on_loopback() {
        for (listen, expected) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.7:8080", "10.0.0.7:8080"), ("localhost:1", "localhost:1")]
        {
            assert_eq!(reachable(listen), expected);
        }
    }
}
