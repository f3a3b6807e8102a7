//! The HTTP below `object_store`: our own connections, TLS and limits. It remembers the last exchange as it was.

use super::{
    amendment::Amendment,
    connection::{StorageConnection, StorageResponse},
    environment::has_proxy,
    refusal::{Action, Refusal},
};
use crate::{
    contract::{ConfigWarning, Failure, FailureClass, Kept, MaxAge, Observation, Reuse, Session},
    wire::{
        address::Dialer,
        connect::open,
        http1::Origin,
        tls::{Tls, login_warning},
    },
};
use async_trait::async_trait;
use hyper::{
    Uri,
    header::{AUTHORIZATION, HOST, HeaderValue, USER_AGENT},
};
use object_store::{
    ClientOptions,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};
use std::{
    collections::BTreeMap,
    fmt, io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// Timeout of the metadata service of a machine. It is close by; where there is none, packets to its address get lost.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends the requests of one check to all hosts that the driver uses. Each request may be sent twice, as [`Kept`] does when a connection is
/// dead or silent: an object is replaced by the same bytes, and a deleted object stays deleted, although some providers then report that it
/// does not exist.
#[derive(Clone)]
pub(crate) struct StorageTransport(Arc<TransportState>);

struct TransportState {
    /// The configured endpoint and its TLS keys. They apply to that server only, not to providers of credentials.
    endpoint: Option<(Origin, Tls)>,
    others: Tls,
    dialer: Dialer,
    reuse: Reuse,
    max_age: MaxAge,
    hosts: Mutex<BTreeMap<Origin, Arc<Kept<StorageConnection>>>>,
    last: Mutex<Option<LastExchange>>,
}

/// The result of the last request.
pub(crate) enum LastExchange {
    /// A response, good or bad.
    Response(StorageResponse),
    /// No response.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether the request was plaintext, as only those to a metadata service are.
        plain: bool,
    },
}

impl LastExchange {
    /// Whether the response says that the object does not exist.
    pub(crate) fn is_missing_object(&self, action: Action) -> bool {
        matches!(self, Self::Response(received) if Refusal::new(action, received).is_missing_object())
    }
}

impl StorageTransport {
    /// For a configured endpoint, or for the servers of the provider.
    pub(crate) fn new(endpoint: Option<(Origin, Tls)>, others: Tls, reuse: Reuse, max_age: MaxAge) -> Self {
        Self(Arc::new(TransportState {
            endpoint,
            others,
            dialer: Dialer::default(),
            reuse,
            max_age,
            hosts: Mutex::default(),
            last: Mutex::default(),
        }))
    }

    /// The observed value `tls_verify` of the endpoint.
    pub(crate) fn tls_verify(&self) -> Option<&'static str> {
        self.0.endpoint.as_ref().filter(|(origin, _)| origin.encrypted).and_then(|(_, tls)| tls.observed_verify())
    }

    /// The warning about the endpoint. `sends_reusable_credentials` is that of the provider.
    pub(crate) fn warnings(&self, sends_reusable_credentials: bool) -> Vec<ConfigWarning> {
        let warning = self.0.endpoint.as_ref().and_then(|(origin, tls)| {
            login_warning(
                "endpoint",
                Some(&origin.address.host),
                sends_reusable_credentials,
                origin.encrypted.then_some(tls.keys()),
                "https://",
            )
        });
        let host = self.0.endpoint.as_ref().map(|(origin, _)| origin.address.host.as_str());
        let is_encrypted = self.0.endpoint.as_ref().is_none_or(|(origin, _)| origin.encrypted);
        let proxy = (is_encrypted && has_proxy(host)).then(|| {
            let message = "the proxy of the variable HTTPS_PROXY is not used: the check connects directly. Add the host to NO_PROXY";
            ConfigWarning::new("endpoint", message)
        });
        warning.into_iter().chain(proxy).collect()
    }

    /// Takes the last exchange.
    pub(crate) fn take_last(&self) -> Option<LastExchange> {
        lock(&self.0.last).take()
    }

    /// Sends a request, of the driver or one that the driver does not offer.
    pub(super) async fn exchange(&self, mut request: HttpRequest) -> Result<StorageResponse, Failure> {
        if let Some(amendment) = request.extensions_mut().remove::<Amendment>() {
            amendment.apply(&mut request)?;
        }
        let uri = request.uri().clone();
        let origin = origin_of(&uri).ok_or_else(|| Failure::protocol("an address that is not HTTP"))?;
        let kept =
            Arc::clone(lock(&self.0.hosts).entry(origin.clone()).or_insert_with(|| Arc::new(Kept::new(self.0.reuse, self.0.max_age))));
        let limit = if is_metadata_service(&origin) { METADATA_TIMEOUT } else { Duration::MAX };
        let exchange = ExchangeSession { shared: &self.0, origin, request: addressed(request), received: Mutex::default() };
        let exchanged = timeout(limit, kept.probe(&exchange)).await;
        exchanged.unwrap_or_else(|late| Err(Failure::new(FailureClass::Timeout, "no response").because(late)))?;
        let received = lock(&exchange.received).take();
        let received = received.ok_or_else(|| Failure::internal("an exchange without a response"))?;
        Ok(StorageResponse { uri, ..received })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request in the form of HTTP/1.1.
fn addressed(mut request: HttpRequest) -> HttpRequest {
    let uri = request.uri();
    let host = match (uri.host().unwrap_or_default(), uri.port_u16(), uri.scheme_str()) {
        // As in the signature: without the default port of the scheme.
        (host, None, _) | (host, Some(80), Some("http")) | (host, Some(443), Some("https")) => host.to_owned(),
        (host, Some(port), _) => format!("{host}:{port}"),
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).parse();
    if let (Ok(target), Ok(host)) = (target, HeaderValue::from_str(&host)) {
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, host);
    }
    if request.headers().get(AUTHORIZATION).is_some_and(|value| value.as_bytes().trim_ascii() == b"Bearer") {
        // Some requests of the driver carry an empty token, which is rejected even for public objects.
        request.headers_mut().remove(AUTHORIZATION);
    }
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(concat!("allswell/", env!("CARGO_PKG_VERSION"))));
    request
}

impl fmt::Debug for StorageTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StorageTransport")
    }
}

impl HttpConnector for StorageTransport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for StorageTransport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let plain = request.uri().scheme_str() == Some("http");
        let exchanged = self.exchange(request).await;
        let (last, result) = match exchanged {
            Ok(received) => {
                let mut response = HttpResponse::new(received.body.clone().into());
                *response.status_mut() = received.status;
                *response.headers_mut() = received.headers.clone();
                (LastExchange::Response(received), Ok(response))
            }
            Err(failure) => {
                // The driver does not retry this kind.
                let error = HttpError::new(HttpErrorKind::Unknown, io::Error::other(failure.to_string()));
                (LastExchange::Failed { failure, plain }, Err(error))
            }
        };
        *lock(&self.0.last) = Some(last);
        result
    }
}

fn origin_of(uri: &Uri) -> Option<Origin> {
    let encrypted = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    Some(Origin::new(encrypted, uri.host()?, uri.port_u16()))
}

/// Whether it is the metadata service that gives a cloud's machines and containers their credentials: link-local, and never encrypted.
fn is_metadata_service(origin: &Origin) -> bool {
    let host = &origin.address.host;
    let is_local = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_link_local()) || host.starts_with("fd00:ec2:");
    !origin.encrypted && (is_local || host == "metadata.google.internal")
}

/// One request, and its response.
struct ExchangeSession<'a> {
    shared: &'a TransportState,
    origin: Origin,
    request: HttpRequest,
    received: Mutex<Option<StorageResponse>>,
}

#[async_trait]
impl Session for ExchangeSession<'_> {
    type Connection = StorageConnection;

    async fn open(&self) -> Result<StorageConnection, Failure> {
        let tls = match &self.shared.endpoint {
            Some((origin, tls)) if *origin == self.origin => tls,
            _ => &self.shared.others,
        };
        let stream = open(&self.shared.dialer, &self.origin.address, self.origin.encrypted.then_some(tls)).await?.stream;
        StorageConnection::over(stream).await
    }

    async fn ask(&self, connection: &mut StorageConnection) -> Result<Observation, Failure> {
        *lock(&self.received) = Some(connection.ask(self.request.clone()).await?);
        Ok(Observation::pass())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::client::HttpRequestBody;

    fn request(uri: &str) -> HttpRequest {
        hyper::Request::get(uri).body(HttpRequestBody::empty()).expect("a request")
    }

    #[test]
    fn requests_have_the_host_that_was_signed() {
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
    fn metadata_services_are_recognised() {
        for (uri, known) in [
            ("http://169.254.169.254/latest", true),
            ("http://[fd00:ec2::254]/latest", true),
            ("http://metadata.google.internal/x", true),
            ("https://169.254.169.254/latest", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(origin_of(&uri.parse().expect("a URI")).map(|origin| is_metadata_service(&origin)), Some(known), "{uri}");
        }
    }
}
