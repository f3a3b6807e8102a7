//! One poll: a request as a client sends it, and what came of it.

use super::{
    answer::Answer,
    http2,
    trust::{self, Certificate},
};
use crate::prober::{Manner, Redirects, Wanted};
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
    net::TcpStream,
    time::{Instant, timeout},
};
use url::{Position, Url};

/// How much may be read of one answer in all, and how large its head may be.
const EXCHANGE: usize = 8 << 20;
const HEAD: usize = 64 * 1024;
/// More of a body is not waited for, whoever would.
const LONG: usize = EXCHANGE / 2;
/// How much of a body is kept to be looked at.
const BODY: usize = 64 * 1024;
/// How many redirects are followed, by all who follow: Go's net/http stops at the tenth.
const HOPS: usize = 9;

/// A request to be sent.
#[derive(Clone)]
pub(super) struct Poll {
    pub(super) manner: Manner,
    pub(super) url: Url,
    /// Where the URL leads; redirects are looked up.
    pub(super) peer: SocketAddr,
    pub(super) host: Option<HeaderValue>,
    /// By which name users know the server.
    pub(super) name: String,
    /// What no client sends, to find out what it would change.
    pub(super) more: Vec<(HeaderName, HeaderValue)>,
}

/// How far a poll came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Connect,
    Handshake,
    Head,
    Body,
    Done,
}

/// A redirect that was followed.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) status: StatusCode,
    pub(super) to: Url,
}

/// What came of a poll.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) hops: Vec<Hop>,
    /// The last answer, also where its body did not come in time.
    pub(super) answer: Option<Answer>,
    /// How far the last request came, and why not further.
    pub(super) step: Step,
    pub(super) trouble: Option<Failure>,
    pub(super) certificate: Option<Certificate>,
    /// The first answer of the sort that announces another: 100 to 199.
    pub(super) informational: Option<u16>,
    pub(super) took: Duration,
}

impl Polled {
    /// The status of an answer that came as far as it was waited for.
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.answer.as_ref().filter(|_| self.trouble.is_none()).map(|answer| answer.status)
    }

    /// What a client looks at: the status of HTTP, or that of the gRPC call.
    pub(super) fn code(&self) -> Option<u16> {
        let answer = self.answer.as_ref().filter(|_| self.trouble.is_none())?;
        Some(answer.grpc.unwrap_or(answer.status.as_u16()))
    }

    /// Whether there is an answer, and it is one of the good ones.
    pub(super) fn is_good(&self, manner: &Manner) -> bool {
        self.code().is_some_and(|code| manner.success.contain(code))
    }
}

impl Poll {
    /// How long it may take in all.
    pub(super) fn limit(&self) -> Duration {
        self.own_limit() + self.manner.connect.unwrap_or_default()
    }

    /// The same without a limit for connecting alone.
    fn own_limit(&self) -> Duration {
        if self.url.scheme() == "https" { self.manner.timeout_tls } else { self.manner.timeout }
    }

    /// Sends the request and all that redirects ask for.
    pub(super) async fn run(&self) -> Polled {
        let began = Instant::now();
        let mut polled = Polled::default();
        let ended = timeout(self.limit(), self.follow(&mut polled)).await;
        polled.trouble = match ended {
            Ok(done) => done.err(),
            Err(_) => Some(in_vain(self.limit())),
        };
        polled.took = began.elapsed();
        polled
    }

    async fn follow(&self, polled: &mut Polled) -> Result<(), Failure> {
        let (mut url, mut peers, mut host) = (self.url.clone(), vec![self.peer], self.host.clone());
        loop {
            self.exchange(&url, &peers, host, polled).await?;
            let Some(next) = polled.answer.as_ref().and_then(|answer| self.next(&url, answer)) else { return Ok(()) };
            if polled.hops.len() == HOPS {
                return Err(Failure::unhealthy("stopped after 10 redirects"));
            }
            let status = polled.answer.take().map_or(StatusCode::FOUND, |answer| answer.status);
            polled.hops.push(Hop { status, to: next.clone() });
            polled.step = Step::Connect;
            let place = Address::new(next.host_str().unwrap_or_default(), next.port_or_known_default().unwrap_or(80));
            peers = Dialer::default().resolve(&place).await?;
            host = HeaderValue::from_str(authority(&next)).ok();
            url = next;
        }
    }

    /// Where a redirect leads, if this client goes there.
    fn next(&self, url: &Url, answer: &Answer) -> Option<Url> {
        let next = url.join(answer.location()?).ok().filter(|next| matches!(next.scheme(), "http" | "https"))?;
        match self.manner.redirects {
            Redirects::Judged => None,
            Redirects::WithinHost => Some(next).filter(|next| next.host() == url.host()),
            Redirects::Followed => Some(next),
        }
    }

    async fn exchange(&self, url: &Url, peers: &[SocketAddr], host: Option<HeaderValue>, polled: &mut Polled) -> Result<(), Failure> {
        polled.step = Step::Connect;
        let connecting = async { TcpStream::connect(peers).await.map_err(Failure::network) };
        let stream = match self.manner.connect {
            Some(limit) => timeout(limit, connecting).await.map_err(|_| in_vain(limit))??,
            None => connecting.await?,
        };
        let rest = async {
            let name = if polled.hops.is_empty() { &self.name } else { url.host_str().unwrap_or_default() };
            let stream = self.opened(url, name, stream, polled).await?;
            polled.step = Step::Head;
            self.ask(url, host, stream, polled).await
        };
        // Where connecting has a limit of its own, so has what comes after it.
        match self.manner.connect {
            Some(_) => timeout(self.own_limit(), rest).await.map_err(|_| in_vain(self.own_limit()))?,
            None => rest.await,
        }
    }

    async fn opened(&self, url: &Url, name: &str, stream: TcpStream, polled: &mut Polled) -> Result<Stream, Failure> {
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        polled.step = Step::Handshake;
        let (stream, certificate) = trust::shake(&self.manner, name, stream).await?;
        polled.certificate = Some(certificate);
        Ok(Box::new(stream))
    }

    async fn ask(&self, url: &Url, host: Option<HeaderValue>, stream: Stream, polled: &mut Polled) -> Result<(), Failure> {
        let meter = Meter::new(EXCHANGE);
        let stream = TokioIo::new(Metered::new(stream, meter.clone()));
        if self.manner.http_2 {
            polled.answer = Some(http2::ask(url, host.as_ref(), &self.manner, stream).await.map_err(|failure| meter.explain(failure))?);
            polled.step = Step::Done;
            return Ok(());
        }
        let handshake = Builder::new().title_case_headers(true).max_buf_size(HEAD).handshake(stream).await;
        let (mut sender, driver) = handshake.map_err(failure)?;
        let mut driver = Some(driver);
        let mut request = self.request(url, host)?;
        let announced = Arc::new(AtomicU16::new(0));
        let first = Arc::clone(&announced);
        on_informational(&mut request, move |answer| {
            let _ = first.compare_exchange(0, answer.status().as_u16(), Relaxed, Relaxed);
        });
        let answer = drive_while(&mut driver, sender.send_request(request)).await;
        let (head, mut body) = answer.map_err(|error| meter.explain(failure(error)))?.into_parts();
        polled.informational = Some(announced.load(Relaxed)).filter(|status| *status > 0);
        let framed = head.headers.contains_key(CONTENT_LENGTH)
            || head.headers.contains_key(TRANSFER_ENCODING)
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let answer = polled.answer.insert(Answer { status: head.status, headers: head.headers, body: Vec::new(), grpc: None, framed });
        polled.step = Step::Body;
        let wanted = match self.manner.wanted {
            // What the client does not wait for tells the doctor something, where it is there at once.
            Wanted::Head => {
                let _ = timeout(GLANCE, read(&mut body, &mut driver, HEAD, &mut answer.body)).await;
                polled.step = Step::Done;
                return Ok(());
            }
            Wanted::Bytes(bytes) => bytes,
            Wanted::Whole => usize::MAX,
        };
        read(&mut body, &mut driver, wanted, &mut answer.body).await?;
        polled.step = Step::Done;
        Ok(())
    }

    fn request(&self, url: &Url, host: Option<HeaderValue>) -> Result<Request<Empty<Bytes>>, Failure> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::from_bytes(self.manner.method.as_bytes()).map_err(Failure::internal)?;
        *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().map_err(Failure::internal)?;
        *request.version_mut() = if self.manner.http_1_0 { Version::HTTP_10 } else { Version::HTTP_11 };
        let headers = request.headers_mut();
        headers.extend(host.map(|host| (HOST, host)));
        for (name, value) in self.manner.headers {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(Failure::internal)?, HeaderValue::from_static(value));
        }
        headers.extend(self.more.iter().cloned());
        Ok(request)
    }
}

/// How long a body is looked at that the client does not wait for.
const GLANCE: Duration = Duration::from_millis(250);

/// Reads until the end or so many bytes, and keeps the beginning.
async fn read<D>(body: &mut Incoming, driver: &mut Option<D>, wanted: usize, kept: &mut Vec<u8>) -> Result<(), Failure>
where
    D: Future + Unpin,
{
    let mut seen = 0;
    while let Some(frame) = drive_while(driver, body.frame()).await {
        let frame = frame.map_err(|error| failure(error).truncated())?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        kept.extend_from_slice(&data[..data.len().min(BODY - kept.len())]);
        seen += data.len();
        // Nobody has to wait for the end of a body that has none.
        if seen >= wanted.min(LONG) {
            break;
        }
    }
    Ok(())
}

/// Host and port, as they stand in the header `Host`.
pub(super) fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn in_vain(limit: Duration) -> Failure {
    let error = io::Error::from(io::ErrorKind::TimedOut);
    Failure::new(FailureClass::Timeout, format!("no answer within {}", TimeSpan(limit))).because(error)
}
