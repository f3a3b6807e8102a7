//! Anything that answers HTTP.

use crate::{
    contract::{from_text, prelude::*},
    endpoint,
    net::{Address, Dialer, Stream},
    tls::{self, Tls, TlsKeys},
};
use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body, Incoming},
    client::conn::http1::{self, Connection, SendRequest},
    header::{ACCEPT, AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde::{Deserializer, Serialize, Serializer};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    future::poll_fn,
    ops::RangeInclusive,
    pin::{Pin, pin},
    str::FromStr,
    task::Poll,
};
use tokio::time::Instant;

/// Sends a request and looks at the answer's status and body. The connection is kept. Redirects are answers, not orders: a redirect to a
/// login page is not what the application's users get.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to ask for: `https://api.internal/health`.
    pub url: Secret,
    /// The user for basic authentication, when it does not stand in `url`.
    pub username: Option<String>,
    /// The password for basic authentication, when it does not stand in `url`; it needs no escaping here.
    pub password: Option<Secret>,
    /// Whom TLS trusts, and how it proves who we are.
    #[serde(default)]
    pub tls: TlsKeys,
    /// The request's method.
    #[serde(default = "method")]
    pub method: String,
    /// More request headers, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// What is sent as `Host`, when it is not the host of `url`: one of the names that the application expects.
    pub host: Option<String>,
    /// What is sent as `X-Forwarded-Proto`, for an application that redirects to HTTPS unless its proxy says `https`.
    pub forwarded_proto: Option<String>,
    /// Statuses that are well: numbers and ranges.
    #[serde(default = "expect_status")]
    pub expect_status: Vec<Statuses>,
    /// A text that must stand in the first 64 KiB of the body.
    pub expect_body: Option<String>,
    /// Warn when the answer's head takes longer than this.
    pub warn_after: Option<TimeSpan>,
    /// Whether the connection is kept between probes.
    #[serde(default)]
    pub connection: Reuse,
    /// A kept connection is renewed after this time.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

fn method() -> String {
    "GET".to_owned()
}

fn expect_status() -> Vec<Statuses> {
    vec![Statuses(200..=299)]
}

/// A status or a range of them: `"204"`, `"200-299"`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", inline)]
pub struct Statuses(RangeInclusive<u16>);

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(format!("`{text}` is not a status: write \"204\" or \"200-299\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// Defaults are documented as they are written.
impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{}", self.0.start(), self.0.end()))
    }
}

/// How much of a body is looked at.
const BODY: usize = 64 * 1024;

/// A check of one URL.
pub struct Http {
    tls: Option<Tls>,
    address: Address,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    expect_status: Vec<Statuses>,
    expect_body: Option<String>,
    warn_after: Option<TimeSpan>,
    dialer: Dialer,
    kept: Kept<Link>,
}

impl Backend for Http {
    const KIND: &'static str = "http";
    const CATEGORY: Category = Category::Network;
    const EXAMPLE: &'static str = r#"
url = "http://127.0.0.1:8000/health/"
host = "www.example.com"
forwarded_proto = "https"
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let url = endpoint::parse("url", &config.url, &[("http", "http"), ("https", "https")])?;
        let encrypted = url.scheme() == "https";
        config.tls.examine(encrypted, "https://")?;
        let tls = encrypted.then(|| Tls::new(config.tls.clone()));
        let host = url.host_str().ok_or_else(|| InvalidConfig::new("url", "has no host"))?;
        let address = Address::new(host, url.port().unwrap_or(if encrypted { 443 } else { 80 }));
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let target = target.parse().map_err(|_| InvalidConfig::new("url", "its path cannot be sent as it is"))?;
        let method = config.method.parse().map_err(|_| InvalidConfig::new("method", "not a method: write `GET` or `HEAD`"))?;
        let headers = headers(&config, &url)?;
        if config.expect_status.is_empty() {
            return Err(InvalidConfig::new("expect_status", "is empty: nothing would ever be well"));
        }
        if config.expect_body.as_ref().is_some_and(|text| text.is_empty() || text.len() > BODY) {
            return Err(InvalidConfig::new("expect_body", "must have between 1 byte and 64 KiB"));
        }
        if config.expect_body.is_some() && method == Method::HEAD {
            return Err(InvalidConfig::new("expect_body", "is never there in the answer to a HEAD request"));
        }
        let kept = Kept::new(config.connection, config.max_connection_age);
        let Config { expect_status, expect_body, warn_after, .. } = config;
        Ok(Self { tls, address, method, target, headers, expect_status, expect_body, warn_after, dialer: Dialer::default(), kept })
    }
}

fn headers(config: &Config, url: &url::Url) -> Result<HeaderMap, InvalidConfig> {
    let mut headers = HeaderMap::new();
    let text = |key: &'static str, text: &str| HeaderValue::from_str(text).map_err(|_| InvalidConfig::new(key, "cannot stand in a header"));
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    headers.insert(HOST, text("host", config.host.as_deref().unwrap_or(&authority))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("allswell/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(proto) = &config.forwarded_proto {
        headers.insert(HeaderName::from_static("x-forwarded-proto"), text("forwarded_proto", proto)?);
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let username = config.username.clone().unwrap_or_else(|| decoded(url.username()));
    let password = config.password.as_ref().map(|password| password.expose().to_owned()).or_else(|| url.password().map(decoded));
    if !username.is_empty() || password.is_some() {
        let credentials = STANDARD.encode(format!("{username}:{}", password.unwrap_or_default()));
        let mut value = text("password", &format!("Basic {credentials}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, value) in &config.headers {
        let name: HeaderName = name.parse().map_err(|_| InvalidConfig::new("headers", format!("`{name}` is not a header's name")))?;
        let mut value = text("headers", value.expose())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[async_trait]
impl Check for Http {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }
}

#[async_trait]
impl Session for Http {
    type Connection = Link;

    async fn open(&self) -> Result<Link, Failure> {
        let stream = tls::open(&self.dialer, &self.address, self.tls.as_ref()).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failure)?;
        Ok(Link { sender, driver: Some(connection) })
    }

    async fn ask(&self, link: &mut Link) -> Result<Observation, Failure> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        let asked = Instant::now();
        let response = link.exchange(request).await?;
        let first_byte = asked.elapsed();
        let status = response.status();
        if !self.expect_status.iter().any(|expected| expected.0.contains(&status.as_u16())) {
            return Err(unexpected(status).with("status_code", status.as_u16()));
        }
        let small = response.body().size_hint().upper().is_some_and(|size| size <= BODY as u64);
        // Read to its end, a body frees the connection for the next request; one that may be endless is left where it is.
        let body = if small || self.expect_body.is_some() { link.body(response).await? } else { Vec::new() };
        let lacks = |expected: &String| !body.windows(expected.len()).any(|window| window == expected.as_bytes());
        if self.expect_body.as_ref().is_some_and(lacks) {
            return Err(Failure::unhealthy("the expected text is not in the body").with("status_code", status.as_u16()));
        }
        let seen = Observation::pass().with("status_code", status.as_u16()).took("first_byte_ms", first_byte);
        Ok(match self.warn_after {
            Some(limit) if first_byte > limit.0 => seen.warned(format!("the answer took longer than {limit}")),
            _ => seen,
        })
    }
}

fn unexpected(status: StatusCode) -> Failure {
    let mut message = format!("answered {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        // Writing to a String cannot fail.
        let _ = write!(message, " {reason}");
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Failure::rejected(message),
        _ => Failure::unhealthy(message),
    }
}

/// A kept HTTP connection. Its driver has no task of its own: it runs while a request does, and rests with the connection.
pub struct Link {
    sender: SendRequest<Empty<Bytes>>,
    driver: Option<Connection<TokioIo<Stream>, Empty<Bytes>>>,
}

impl Link {
    async fn exchange(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let answer = self.sender.send_request(request);
        alongside(&mut self.driver, answer).await.map_err(failure)
    }

    /// The beginning of the body, at most 64 KiB.
    async fn body(&mut self, response: Response<Incoming>) -> Result<Vec<u8>, Failure> {
        let mut body = response.into_body();
        let mut text = Vec::new();
        while text.len() < BODY {
            match alongside(&mut self.driver, body.frame()).await {
                Some(frame) => text.extend_from_slice(frame.map_err(broken_off)?.data_ref().map_or(&[][..], |data| data)),
                None => break,
            }
        }
        text.truncate(BODY);
        Ok(text)
    }
}

/// Waits for `work` and drives the connection on which it waits.
async fn alongside<T>(driver: &mut Option<Connection<TokioIo<Stream>, Empty<Bytes>>>, work: impl Future<Output = T>) -> T {
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

/// In the middle of an answer an end is not an answer's absence.
fn broken_off(error: hyper::Error) -> Failure {
    if tls::is_tls(&error) { failure(error) } else { Failure::protocol(error).saying("the answer broke off in the middle") }
}

fn failure(error: hyper::Error) -> Failure {
    if tls::is_tls(&error) {
        return tls::failure(error);
    }
    if error.is_parse() {
        return Failure::protocol(error).saying("the answer is not HTTP");
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::unreachable(error).saying("connection closed before an answer");
    }
    match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
        Some(kind) => Failure::network(std::io::Error::new(kind, error)),
        None => Failure::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_or_ranges() {
        assert_eq!("204".parse(), Ok(Statuses(204..=204)));
        assert_eq!("200 - 399".parse(), Ok(Statuses(200..=399)));
        for wrong in ["", "2xx", "299-200", "99", "200-999"] {
            assert!(wrong.parse::<Statuses>().is_err(), "{wrong}");
        }
    }
}
