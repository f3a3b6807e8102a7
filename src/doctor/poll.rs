//! One poll: the request as a client sends it, and its outcome.

use super::{
    handshake::{self, PresentedCertificate},
    http2,
    response::PollResponse,
    software::Software,
};
use crate::pollers::{PollerProfile, RedirectRule, ResponsePart};
use allswell_checks::{
    contract::{Failure, FailureClass, TimeSpan},
    wire::{
        address::{Address, Dialer, Stream},
        http1::{drive_while, failure},
        meter::{Meter, Metered},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Method, Request, StatusCode, Version,
    body::Incoming,
    client::conn::http1::Builder,
    ext::on_informational,
    header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::rt::TokioIo;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, timeout},
};
use url::{Position, Url};

/// Bounds what is read from one connection.
const MAX_EXCHANGE_BYTES: usize = 8 << 20;
/// Bounds the headers of a response.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Bounds what is read of a body, also for clients that wait for its end.
const MAX_BODY_BYTES: usize = MAX_EXCHANGE_BYTES / 2;
/// Bounds what is kept of a body for the diagnosis.
const MAX_KEPT_BYTES: usize = 64 * 1024;
/// Bounds the redirects that are followed. The clients that follow redirects use Go's net/http, which stops at the tenth.
const MAX_REDIRECTS: usize = 9;
/// Bounds the wait for a body that the client itself does not wait for.
const MAX_BODY_WAIT: Duration = Duration::from_millis(250);

/// The request of a poll.
#[derive(Clone)]
pub(super) struct PollRequest {
    pub(super) profile: PollerProfile,
    pub(super) url: Url,
    /// The address to connect to. Redirects are resolved anew.
    pub(super) peer: SocketAddr,
    /// The Host header.
    pub(super) host: Option<HeaderValue>,
    /// The name under which users know the server, and for which its certificate must be valid.
    pub(super) server_name: String,
    /// Headers that the client does not send: trial polls add them.
    pub(super) extra_headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the header of the PROXY protocol precedes the request and the TLS handshake.
    pub(super) sends_proxy_header: bool,
}

/// How far a poll got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PollStep {
    #[default]
    Connect,
    Handshake,
    Headers,
    Body,
    Done,
}

/// A redirect that was followed.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) status: StatusCode,
    pub(super) to: Url,
}

/// The outcome of a poll.
#[derive(Debug, Default)]
pub(super) struct PollOutcome {
    /// The redirects that were followed.
    pub(super) hops: Vec<Hop>,
    /// The last response, even if its body is incomplete.
    pub(super) response: Option<PollResponse>,
    /// How far the last request got.
    pub(super) step: PollStep,
    /// Why it got no further.
    pub(super) failure: Option<Failure>,
    pub(super) certificate: Option<PresentedCertificate>,
    /// The status of the first informational response (1xx).
    pub(super) informational: Option<u16>,
    /// The software that sent the first response, if that identifies it.
    pub(super) software: Option<Software>,
    pub(super) took: Duration,
}

impl PollOutcome {
    /// The response, if it is as complete as the client requires.
    pub(super) fn complete_response(&self) -> Option<&PollResponse> {
        self.response.as_ref().filter(|_| self.failure.is_none())
    }

    /// The HTTP status of a complete response.
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.complete_response().map(|response| response.status)
    }

    /// The code that the client evaluates: the status of the gRPC call, or the HTTP status.
    pub(super) fn code(&self) -> Option<u16> {
        let response = self.complete_response()?;
        Some(response.grpc_status.unwrap_or(response.status.as_u16()))
    }

    /// Whether there is a complete response with one of the client's success codes.
    pub(super) fn is_success(&self, profile: &PollerProfile) -> bool {
        self.code().is_some_and(|code| profile.success.contains(code))
    }
}

impl PollRequest {
    /// The timeout of the whole poll.
    pub(super) fn timeout(&self) -> Duration {
        self.response_timeout() + self.profile.connect.unwrap_or_default()
    }

    /// The timeout without the part that is reserved for connecting.
    fn response_timeout(&self) -> Duration {
        if self.url.scheme() == "https" { self.profile.timeout_tls } else { self.profile.timeout }
    }

    /// Sends the request, and follows redirects as the client does.
    pub(super) async fn send(&self) -> PollOutcome {
        let started = Instant::now();
        let mut outcome = PollOutcome::default();
        outcome.failure = match timeout(self.timeout(), self.follow(&mut outcome)).await {
            Ok(followed) => followed.err(),
            Err(_) => Some(timed_out(self.timeout())),
        };
        outcome.took = started.elapsed();
        outcome
    }

    async fn follow(&self, outcome: &mut PollOutcome) -> Result<(), Failure> {
        let (mut url, mut peers, mut host) = (self.url.clone(), vec![self.peer], self.host.clone());
        loop {
            let exchanged = self.exchange(&url, &peers, host, outcome).await;
            if outcome.hops.is_empty() {
                outcome.software = outcome.response.as_ref().and_then(Software::identify);
            }
            exchanged?;
            let Some(next) = outcome.response.as_ref().and_then(|response| self.next(&url, response)) else { return Ok(()) };
            if outcome.hops.len() == MAX_REDIRECTS {
                return Err(Failure::unhealthy("stopped after 10 redirects"));
            }
            let status = outcome.response.take().map_or(StatusCode::FOUND, |response| response.status);
            outcome.hops.push(Hop { status, to: next.clone() });
            outcome.step = PollStep::Connect;
            let address = Address::new(next.host_str().unwrap_or_default(), next.port_or_known_default().unwrap_or(80));
            peers = Dialer::default().resolve(&address).await?;
            host = HeaderValue::from_str(authority(&next)).ok();
            url = next;
        }
    }

    /// The target of a redirect, if this client follows it.
    fn next(&self, url: &Url, response: &PollResponse) -> Option<Url> {
        let next = url.join(response.location()?).ok().filter(|next| matches!(next.scheme(), "http" | "https"))?;
        match self.profile.redirects {
            RedirectRule::Judged => None,
            RedirectRule::WithinHost => Some(next).filter(|next| next.host() == url.host()),
            RedirectRule::Followed => Some(next),
        }
    }

    async fn exchange(&self, url: &Url, peers: &[SocketAddr], host: Option<HeaderValue>, outcome: &mut PollOutcome) -> Result<(), Failure> {
        outcome.step = PollStep::Connect;
        let connecting = async { TcpStream::connect(peers).await.map_err(Failure::network) };
        let stream = match self.profile.connect {
            Some(limit) => timeout(limit, connecting).await.map_err(|_| timed_out(limit))??,
            None => connecting.await?,
        };
        let rest = async {
            let mut stream = stream;
            if self.sends_proxy_header {
                stream.write_all(&proxy_header()).await.map_err(Failure::network)?;
            }
            let server_name = if outcome.hops.is_empty() { &self.server_name } else { url.host_str().unwrap_or_default() };
            let stream = self.secure(url, server_name, stream, outcome).await?;
            outcome.step = PollStep::Headers;
            self.request_response(url, host, stream, outcome).await
        };
        // If connecting has a timeout of its own, the rest has one, too.
        match self.profile.connect {
            Some(_) => timeout(self.response_timeout(), rest).await.map_err(|_| timed_out(self.response_timeout()))?,
            None => rest.await,
        }
    }

    /// Starts TLS if the URL's scheme requires it.
    async fn secure(&self, url: &Url, server_name: &str, stream: TcpStream, outcome: &mut PollOutcome) -> Result<Stream, Failure> {
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        outcome.step = PollStep::Handshake;
        let (stream, certificate) = handshake::connect(&self.profile, server_name, stream).await?;
        outcome.certificate = Some(certificate);
        Ok(Box::new(stream))
    }

    async fn request_response(
        &self,
        url: &Url,
        host: Option<HeaderValue>,
        stream: Stream,
        outcome: &mut PollOutcome,
    ) -> Result<(), Failure> {
        let meter = Meter::new(MAX_EXCHANGE_BYTES);
        let stream = TokioIo::new(Metered::new(stream, meter.clone()));
        if self.profile.http_2 {
            let response = http2::request_response(url, host.as_ref(), &self.profile, stream).await;
            outcome.response = Some(response.map_err(|failure| meter.explain(failure))?);
            outcome.step = PollStep::Done;
            return Ok(());
        }
        let handshake = Builder::new().title_case_headers(true).max_buf_size(MAX_HEADER_BYTES).handshake(stream).await;
        let (mut sender, driver) = handshake.map_err(failure)?;
        let mut driver = Some(driver);
        let mut request = self.http1_request(url, host)?;
        let informational = Arc::new(AtomicU16::new(0));
        let first = Arc::clone(&informational);
        on_informational(&mut request, move |response| {
            let _ = first.compare_exchange(0, response.status().as_u16(), Relaxed, Relaxed);
        });
        let response = drive_while(&mut driver, sender.send_request(request)).await;
        let (head, mut body) = response.map_err(|error| meter.explain(failure(error)))?.into_parts();
        outcome.informational = Some(informational.load(Relaxed)).filter(|status| *status > 0);
        let is_framed = head.headers.contains_key(CONTENT_LENGTH)
            || head.headers.contains_key(TRANSFER_ENCODING)
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let response = PollResponse { status: head.status, headers: head.headers, body: Vec::new(), grpc_status: None, is_framed };
        let response = outcome.response.insert(response);
        outcome.step = PollStep::Body;
        let required = match self.profile.awaited {
            // The client ignores the body, but its beginning helps the diagnosis if it arrives at once.
            ResponsePart::Head => {
                let _ = timeout(MAX_BODY_WAIT, read(&mut body, &mut driver, MAX_KEPT_BYTES, &mut response.body)).await;
                outcome.step = PollStep::Done;
                return Ok(());
            }
            ResponsePart::Bytes(bytes) => bytes,
            ResponsePart::Whole => usize::MAX,
        };
        read(&mut body, &mut driver, required, &mut response.body).await?;
        outcome.step = PollStep::Done;
        Ok(())
    }

    fn http1_request(&self, url: &Url, host: Option<HeaderValue>) -> Result<Request<Empty<Bytes>>, Failure> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::from_bytes(self.profile.method.as_bytes()).map_err(Failure::internal)?;
        *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().map_err(Failure::internal)?;
        *request.version_mut() = if self.profile.http_1_0 { Version::HTTP_10 } else { Version::HTTP_11 };
        let headers = request.headers_mut();
        headers.extend(host.map(|host| (HOST, host)));
        for (name, value) in self.profile.headers {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(Failure::internal)?, HeaderValue::from_static(value));
        }
        headers.extend(self.extra_headers.iter().cloned());
        Ok(request)
    }
}

/// Reads the body until its end, but at most the required number of bytes, and keeps the beginning.
async fn read<D>(body: &mut Incoming, driver: &mut Option<D>, required: usize, kept: &mut Vec<u8>) -> Result<(), Failure>
where
    D: Future + Unpin,
{
    let mut received = 0;
    while let Some(frame) = drive_while(driver, body.frame()).await {
        let frame = frame.map_err(|error| failure(error).truncated())?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        kept.extend_from_slice(&data[..data.len().min(MAX_KEPT_BYTES - kept.len())]);
        received += data.len();
        // A body may have no end.
        if received >= required.min(MAX_BODY_BYTES) {
            break;
        }
    }
    Ok(())
}

/// The header of the PROXY protocol that the health checks of a Network Load Balancer send: version 2, the command `LOCAL`, no address, a checksum
/// and padding. As captured in <https://github.com/kubernetes/kubernetes/issues/57250>.
fn proxy_header() -> Vec<u8> {
    const CHECKSUM: &[u8] = &[0x03, 0, 4, 0xbc, 0xe5, 0x95, 0x1f];
    const PADDING: usize = 74;
    [b"\r\n\r\n\0\r\nQUIT\n\x20\x11\x00\x54", CHECKSUM, &[0x04, 0, 74], &[0; PADDING]].concat()
}

/// Host and port of a URL, as in the Host header.
pub(super) fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn timed_out(limit: Duration) -> Failure {
    let error = io::Error::from(io::ErrorKind::TimedOut);
    Failure::new(FailureClass::Timeout, format!("no response within {}", TimeSpan(limit))).because(error)
}
