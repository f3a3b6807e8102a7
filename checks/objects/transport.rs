//! The network under `object_store`: connections, TLS and bounds are the house's own, and what was heard last is remembered as it was.

use crate::{
    contract::{Failure, FailureClass, Kept, MaxAge, Observation, Reuse, Session},
    meter::{Meter, Metered, TOO_LONG},
    net::{Address, Dialer, Stream},
    tls::{self, Tls},
};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, StatusCode, Uri,
    client::conn::http1::{self, Connection, SendRequest},
    header::{AUTHORIZATION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use object_store::{
    ClientOptions,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService},
};
use std::{
    collections::BTreeMap,
    error::Error as _,
    fmt,
    future::poll_fn,
    io,
    net::Ipv4Addr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::time::timeout;

/// The most that is read of one answer: errors, tokens and what we wrote ourselves are small.
const ANSWER: usize = 256 * 1024;

/// How long a machine's metadata service has for an answer. It is next door; and where there is none, packets to its address get lost.
const METADATA: Duration = Duration::from_secs(1);

/// Carries the requests of one check, to whatever hosts the driver asks.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Shared>);

struct Shared {
    /// The configured endpoint, and its keys of TLS: they are about that server, and about nobody who gives us credentials.
    endpoint: Option<(Origin, Tls)>,
    others: Tls,
    dialer: Dialer,
    reuse: Reuse,
    max_age: MaxAge,
    hosts: Mutex<BTreeMap<Origin, Arc<Kept<Link>>>>,
    heard: Mutex<Option<Heard>>,
}

/// What came of the last request.
pub(crate) enum Heard {
    /// An answer, good or bad.
    Answer(Answer),
    /// None; and whether it was asked for without encryption, as only a machine's own metadata service is.
    Nothing {
        /// Why.
        failure: Failure,
        /// Whether there was no TLS.
        plain: bool,
    },
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    /// For an endpoint, where one is configured.
    pub(crate) fn new(endpoint: Option<(Origin, Tls)>, reuse: Reuse, max_age: MaxAge) -> Self {
        Self(Arc::new(Shared {
            endpoint,
            others: Tls::default(),
            dialer: Dialer::default(),
            reuse,
            max_age,
            hosts: Mutex::default(),
            heard: Mutex::default(),
        }))
    }

    /// Takes what was heard last.
    pub(crate) fn heard(&self) -> Option<Heard> {
        lock(&self.0.heard).take()
    }

    async fn exchange(&self, request: HttpRequest) -> Result<Answer, Failure> {
        let origin = Origin::of(request.uri()).ok_or_else(|| Failure::protocol("an address that is none of HTTP"))?;
        let kept =
            Arc::clone(lock(&self.0.hosts).entry(origin.clone()).or_insert_with(|| Arc::new(Kept::new(self.0.reuse, self.0.max_age))));
        let patience = if origin.is_metadata() { METADATA } else { Duration::MAX };
        let exchange = Exchange { shared: &self.0, origin, request: addressed(request), answer: Mutex::default() };
        let exchanged = timeout(patience, kept.probe(&exchange)).await;
        exchanged.unwrap_or_else(|late| Err(Failure::new(FailureClass::Timeout, "no answer").because(late)))?;
        let answer = lock(&exchange.answer).take();
        answer.ok_or_else(|| Failure::internal("an exchange without an answer"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request as HTTP/1.1 has it on the wire.
fn addressed(mut request: HttpRequest) -> HttpRequest {
    let uri = request.uri();
    let host = match (uri.host().unwrap_or_default(), uri.port_u16(), uri.scheme_str()) {
        // As signatures have it: without the port that the scheme says already.
        (host, None, _) | (host, Some(80), Some("http")) | (host, Some(443), Some("https")) => host.to_owned(),
        (host, Some(port), _) => format!("{host}:{port}"),
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).parse();
    if let (Ok(target), Ok(host)) = (target, HeaderValue::from_str(&host)) {
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, host);
    }
    if request.headers().get(AUTHORIZATION).is_some_and(|value| value.as_bytes().trim_ascii() == b"Bearer") {
        // Some of the driver's requests carry the empty token of nobody, which is refused even where everybody may read.
        request.headers_mut().remove(AUTHORIZATION);
    }
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(concat!("allswell/", env!("CARGO_PKG_VERSION"))));
    request
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Transport")
    }
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let plain = request.uri().scheme_str() == Some("http");
        let exchanged = self.exchange(request).await;
        let (heard, result) = match exchanged {
            Ok(answer) => {
                let mut response = HttpResponse::new(answer.body.clone().into());
                *response.status_mut() = answer.status;
                *response.headers_mut() = answer.headers.clone();
                (Heard::Answer(answer), Ok(response))
            }
            Err(failure) => {
                // The driver repeats nothing of this kind.
                let error = HttpError::new(HttpErrorKind::Unknown, io::Error::other(failure.to_string()));
                (Heard::Nothing { failure, plain }, Err(error))
            }
        };
        *lock(&self.0.heard) = Some(heard);
        result
    }
}

/// A scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    encrypted: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// A host may stand in brackets.
    pub(crate) fn new(encrypted: bool, host: &str, port: Option<u16>) -> Self {
        let Address { host, port } = Address::new(host, port.unwrap_or(if encrypted { 443 } else { 80 }));
        Self { encrypted, host, port }
    }

    fn of(uri: &Uri) -> Option<Self> {
        let encrypted = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self::new(encrypted, uri.host()?, uri.port_u16()))
    }

    /// Whether it is what a cloud's machines and containers ask for their credentials: on the local link, and never encrypted.
    fn is_metadata(&self) -> bool {
        let local = self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_link_local()) || self.host.starts_with("fd00:ec2:");
        !self.encrypted && (local || self.host == "metadata.google.internal")
    }
}

/// One request, and room for its answer.
struct Exchange<'a> {
    shared: &'a Shared,
    origin: Origin,
    request: HttpRequest,
    answer: Mutex<Option<Answer>>,
}

#[async_trait]
impl Session for Exchange<'_> {
    type Connection = Link;

    async fn open(&self) -> Result<Link, Failure> {
        let Origin { encrypted, host, port } = &self.origin;
        let tls = match &self.shared.endpoint {
            Some((origin, tls)) if *origin == self.origin => tls,
            _ => &self.shared.others,
        };
        let stream = tls::open(&self.shared.dialer, &Address::new(host, *port), encrypted.then_some(tls)).await?;
        let meter = Meter::new(ANSWER);
        let stream: Stream = Box::new(Metered::new(stream, meter.clone()));
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failure)?;
        Ok(Link { sender, driver: Some(connection), meter })
    }

    async fn ask(&self, link: &mut Link) -> Result<Observation, Failure> {
        let answer = link.exchange(self.request.clone()).await.map_err(|error| link.meter.explain(failure(error)))?;
        *lock(&self.answer) = Some(answer);
        Ok(Observation::pass())
    }
}

type Driver = Connection<TokioIo<Stream>, HttpRequestBody>;

/// A kept HTTP connection. Its driver has no task of its own: it runs while a request does, and rests with the connection.
pub(crate) struct Link {
    sender: SendRequest<HttpRequestBody>,
    driver: Option<Driver>,
    meter: Meter,
}

impl Link {
    async fn exchange(&mut self, request: HttpRequest) -> hyper::Result<Answer> {
        self.meter.refill(ANSWER);
        alongside(&mut self.driver, self.sender.ready()).await?;
        let response = alongside(&mut self.driver, self.sender.send_request(request)).await?;
        let (head, body) = response.into_parts();
        let body = alongside(&mut self.driver, body.collect()).await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// Waits for `work` and drives the connection on which it waits.
async fn alongside<T>(driver: &mut Option<Driver>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        // An error of the connection reaches whoever waits on it; here it only means that there is nothing left to drive.
        if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(context).is_ready()) {
            *driver = None;
        }
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn failure(error: hyper::Error) -> Failure {
    if tls::is_tls(&error) {
        return tls::failure(error);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::unreachable(error).saying("connection closed before an answer");
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData) => Failure::protocol(error).saying(TOO_LONG),
        Some(kind) => Failure::network(io::Error::new(kind, error)),
        None => Failure::protocol(error).saying("the answer is not HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> HttpRequest {
        hyper::Request::get(uri).body(HttpRequestBody::empty()).expect("a request")
    }

    #[test]
    fn requests_are_addressed_as_they_were_signed() {
        for (uri, host, target) in [
            ("https://s3.eu-central-1.amazonaws.com/media/a?b=c", "s3.eu-central-1.amazonaws.com", "/media/a?b=c"),
            ("https://s3.internal:443/media", "s3.internal", "/media"),
            ("http://[::1]:9000/media", "[::1]:9000", "/media"),
        ] {
            let sent = addressed(request(uri));
            assert_eq!((sent.headers()[HOST].to_str().expect("a host"), sent.uri().to_string().as_str()), (host, target));
        }
    }

    #[test]
    fn metadata_services_are_known() {
        for (uri, known) in [
            ("http://169.254.169.254/latest", true),
            ("http://[fd00:ec2::254]/latest", true),
            ("http://metadata.google.internal/x", true),
            ("https://169.254.169.254/latest", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(Origin::of(&uri.parse().expect("a URI")).map(|origin| origin.is_metadata()), Some(known), "{uri}");
        }
    }
}
