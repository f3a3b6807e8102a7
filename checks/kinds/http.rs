//! Checks a URL: the status, headers and body of an HTTP response.
//!
//! ```toml
//! [checks.api]
//! kind = "http"
//! url = "https://api.internal/health"
//! expect_json = { "/status" = "ok" }
//! ```

mod connection;
mod diagnosis;
mod dialect;
mod expectation;
mod link_local;
mod request;
mod upstream;

use crate::{
    contract::prelude::*,
    wire::{
        address::Dialer,
        connect::Expiry,
        http1::Origin,
        tls::{Tls, TlsKeys, login_warning},
        url,
    },
};
use connection::{BodyStart, HttpConnection};
use expectation::Expectation;
use hyper::{Method, Response, body::Incoming};
use link_local::LinkLocal;
use request::{RequestSpec, names_unix_socket};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    mem,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

pub use dialect::UpstreamDialect;
pub use expectation::{Scalar, Statuses};

/// Sends a request and checks the status, headers and body of the response.
///
/// The connection is kept. A redirect is a response like any other, unless `follow_redirects` is set: a redirect to a login page is not
/// what the application's users need. If nothing is expected of the body, the probe reads it for up to 250 ms and 64 KiB, so that the
/// connection can be reused. A longer body passes; a body that breaks off within these limits fails.
///
/// No rights are required, except, if the URL requires authentication, a user who may read this one page. Observes `status_code`,
/// `first_byte_ms`, for HTTPS `certificate_days_left`, and for a new connection `connect_ms` with its parts `resolve_ms` and `tls_ms`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// URL to request: `https://api.internal/health`.
    pub url: Secret,
    /// User name for basic authentication. Default: the user in `url`.
    pub username: Option<String>,
    /// Password for basic authentication, not percent-encoded. Default: the password in `url`.
    pub password: Option<Secret>,
    /// TLS settings: trusted certificates, client certificate, verification.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Request method. A failure on a kept connection counts only when a new connection confirms it, so a request may be sent twice. `GET`
    /// and `HEAD` are also sent again when the response takes over a second and twice as long as the previous one.
    #[serde(default = "method")]
    pub method: String,
    /// Further request headers, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// `Host` header, if it is not the host of `url`: a name that the application accepts.
    pub host: Option<String>,
    /// `X-Forwarded-Proto` header, for an application that redirects to HTTPS unless its proxy says `https`.
    pub forwarded_proto: Option<String>,
    /// Status codes that pass: numbers and ranges.
    #[serde(default = "Statuses::successes")]
    pub expect_status: Vec<Statuses>,
    /// Text that each of these response headers must contain, by name. With an empty text the header only has to exist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect_headers: BTreeMap<String, String>,
    /// Text that the first 64 KiB of the body must contain.
    pub expect_body: Option<String>,
    /// Values that a JSON body of at most 64 KiB must contain, by JSON pointer: `{ "/status" = "ok", "/workers/0/ready" = true }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect_json: BTreeMap<String, Scalar>,
    /// Follow up to five redirects, also to other servers, but never from HTTPS to HTTP. Another server receives neither credentials nor
    /// `headers` nor the client certificate; of `tls` only `ca_file` and `verify` apply to it. No redirect leads to a link-local address,
    /// where clouds serve credentials to machines, unless the host of `url` has such an address itself.
    #[serde(default)]
    pub follow_redirects: bool,
    /// Read the body as a health report, whatever the status code: `allswell`, `aspnet`, `django` (django-health-check 3 and 4),
    /// `health+json`, `microprofile` or `spring`. A failing report is a failure that names the failing components, a warning report is a
    /// warning. The statuses of its components are observed as `upstream`.
    pub dialect: Option<UpstreamDialect>,
    /// Warn when the response headers take longer than this.
    pub warn_after: Option<TimeSpan>,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

fn method() -> String {
    "GET".to_owned()
}

/// A check of one URL.
pub struct Http {
    spec: RequestSpec,
    has_fragment: bool,
    tls: Tls,
    /// For servers that a redirect leads to.
    tls_elsewhere: Tls,
    dialer: Dialer,
    expect: Expectation,
    follow_redirects: bool,
    dialect: Option<UpstreamDialect>,
    warn_after: Option<TimeSpan>,
    /// How long the last response took, in milliseconds.
    last_duration_ms: AtomicU64,
    kept: Kept<Vec<HttpConnection>>,
}

impl Backend for Http {
    const KIND: &'static str = "http";
    const CATEGORY: Category = Category::Network;
    const OTHER_NAMES: &'static [&'static str] = &["https", "url", "web", "api", "rest", "site", "endpoint", "webhook"];
    const EXAMPLE: &'static str = r#"
url = "http://127.0.0.1:8000/health/"
host = "www.example.com"
forwarded_proto = "https"
expect_headers = { content-type = "application/json" }
expect_json = { "/status" = "ok" }
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        if names_unix_socket(config.url.expose().trim()) {
            return Err(InvalidConfig::new(
                "url",
                "names a Unix socket, which this kind does not support: let the server also listen on 127.0.0.1",
            ));
        }
        let url = url::parse("url", &config.url, &[("http", "http"), ("https", "https")])?;
        config.tls.validate(url.scheme() == "https" || config.follow_redirects, "https://")?;
        let accept = match config.dialect {
            Some(dialect) => dialect.accept(),
            None if config.expect_json.is_empty() => "*/*",
            None => "application/json, */*;q=0.5",
        };
        let spec = RequestSpec::new(&config, &url, accept)?;
        let Config { follow_redirects, dialect, warn_after, .. } = config;
        let expect = Expectation::new(config.expect_status, config.expect_headers, config.expect_body, config.expect_json)?;
        let body_key = expect.body_key().or_else(|| dialect.map(|_| "dialect"));
        if let Some(key) = body_key.filter(|_| spec.method == Method::HEAD) {
            return Err(InvalidConfig::new(key, "reads the body, but the response to a HEAD request has none"));
        }
        let tls_elsewhere = TlsKeys { ca_file: config.tls.ca_file.clone(), verify: config.tls.verify, ..TlsKeys::default() };
        let tls_elsewhere = Tls::new(tls_elsewhere);
        let kept = Kept::new(config.connection, config.max_connection_age);
        let (tls, dialer) = (Tls::new(config.tls), Dialer::default());
        Ok(Self {
            spec,
            has_fragment: url.fragment().is_some(),
            tls,
            tls_elsewhere,
            dialer,
            expect,
            follow_redirects,
            dialect,
            warn_after,
            last_duration_ms: AtomicU64::new(0),
            kept,
        })
    }
}

#[async_trait]
impl Check for Http {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        let Origin { encrypted, address } = &self.spec.origin;
        let tls = encrypted.then_some(self.tls.keys());
        let login = login_warning("url", Some(&address.host), self.spec.carries_credentials(), tls, "https://");
        let fragment =
            self.has_fragment.then(|| ConfigWarning::new("url", "the part from `#` on has no effect: no client sends it to a server"));
        login.into_iter().chain(fragment).collect()
    }
}

/// Maximum number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// One connection for each server: that of `url`, and those that redirects lead to.
#[async_trait]
impl Session for Http {
    type Connection = Vec<HttpConnection>;

    async fn open(&self) -> Result<Vec<HttpConnection>, Failure> {
        Ok(vec![self.connection(&self.spec.origin, LinkLocal::Permitted).await?])
    }

    async fn ask(&self, connections: &mut Vec<HttpConnection>) -> Result<Observation, Failure> {
        let mut spec = self.spec.clone();
        // Summed over all connections and requests of this probe.
        let (mut opening, mut waiting) = (BTreeMap::<_, Duration>::new(), Duration::ZERO);
        for _ in 0..=MAX_REDIRECTS {
            let connection = self.connection_to(&spec.origin, connections).await?;
            for (phase, took) in connection.take_phases() {
                *opening.entry(phase).or_default() += took;
            }
            let asked = Instant::now();
            let response = connection.exchange(spec.request()).await?;
            waiting += asked.elapsed();
            let next = if self.follow_redirects { spec.redirected(response.status(), response.headers())? } else { None };
            let Some(next) = next else {
                self.last_duration_ms.store(waiting.as_millis().try_into().unwrap_or(u64::MAX), Relaxed);
                let seen = self.seen(connection.expiry, &response, waiting);
                let mut seen = opening.into_iter().fold(seen, |seen, (phase, took)| seen.took(phase, took));
                return match self.judge(&spec, connection, response, &mut seen).await {
                    Ok(()) => Ok(seen),
                    Err(failure) => Err(failure.observing(seen)),
                };
            };
            connection.drain_briefly(response.into_body()).await?;
            spec = next;
        }
        Err(Failure::unhealthy(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Twice the duration of the last response, so that a slow server does not get each request twice. A request that may change something
    /// is never sent twice.
    fn silence_limit(&self) -> Duration {
        let last_duration_ms = Duration::from_millis(self.last_duration_ms.load(Relaxed));
        if self.spec.is_safe() { last_duration_ms.saturating_mul(2).clamp(MIN_SILENCE_LIMIT, NO_SILENCE_LIMIT) } else { NO_SILENCE_LIMIT }
    }
}

/// Minimum time after which a request is also sent on a new connection.
const MIN_SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// Longer than any timeout, and short enough for clocks.
const NO_SILENCE_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Http {
    async fn connection(&self, origin: &Origin, link_local: LinkLocal) -> Result<HttpConnection, Failure> {
        let tls = if *origin == self.spec.origin { &self.tls } else { &self.tls_elsewhere };
        HttpConnection::open(&self.dialer, origin.clone(), tls, link_local).await
    }

    /// A usable connection to a server: a kept one, or a new one.
    async fn connection_to<'a>(
        &self,
        origin: &Origin,
        connections: &'a mut Vec<HttpConnection>,
    ) -> Result<&'a mut HttpConnection, Failure> {
        // The first connection is that to the configured host.
        let permitted = *origin == self.spec.origin || connections.first().is_some_and(|first| first.is_link_local);
        let link_local = if permitted { LinkLocal::Permitted } else { LinkLocal::Refused };
        let known = connections.iter().position(|connection| connection.origin == *origin);
        match known {
            Some(at) if connections[at].is_usable() => {}
            Some(at) => connections[at] = self.connection(origin, link_local).await?,
            None => {
                // A server may redirect to a new server each time: drop the oldest connection, except that to the configured host.
                if connections.len() > MAX_REDIRECTS {
                    connections.remove(1);
                }
                connections.push(self.connection(origin, link_local).await?);
            }
        }
        let at = known.unwrap_or(connections.len() - 1);
        Ok(&mut connections[at])
    }

    /// The values observed from the head of a response.
    fn seen(&self, expiry: Option<Expiry>, response: &Response<Incoming>, waiting: Duration) -> Observation {
        let seen = Observation::pass()
            .with("status_code", response.status().as_u16())
            .took("first_byte_ms", waiting)
            .with_some("certificate_days_left", expiry.map(Expiry::days_left))
            .with_some("tls_verify", self.tls.observed_verify().filter(|_| self.spec.origin.encrypted));
        match self.warn_after {
            Some(limit) if waiting > limit.0 => seen.warned(format!("the response took longer than {limit}")),
            _ => seen,
        }
    }

    /// Judges a response, and adds to the observed values.
    async fn judge(
        &self,
        spec: &RequestSpec,
        connection: &mut HttpConnection,
        response: Response<Incoming>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let (head, body) = response.into_parts();
        let expected = self.expect.accepts(head.status);
        let examines_body = self.dialect.is_some() || self.expect.body_key().is_some();
        let body = if expected && examines_body {
            connection.read(body).await?
        } else {
            match connection.drain_briefly(body).await {
                // The unexpected status matters more than a body that breaks off.
                Err(_) if !expected => BodyStart::default(),
                glanced => glanced?,
            }
        };
        if expected && examines_body && expectation::is_compressed(&head.headers) {
            return Err(Failure::unhealthy("the body is compressed, and so cannot be examined: let the server send it as it is"));
        }
        let reads_json = body.whole && (self.dialect.is_some() || self.expect.expects_json());
        let json: Option<Value> = if reads_json { serde_json::from_slice(&body.bytes).ok() } else { None };
        if let Some(dialect) = self.dialect.filter(|dialect| expected || dialect.comes_with(head.status)) {
            let report = dialect.read(&body.bytes, json.as_ref());
            if let Some(report) = report {
                *seen = mem::take(seen).with("upstream", report.observed());
                if let Some(warning) = report.judge(expected)? {
                    *seen = mem::take(seen).warned(warning);
                }
            } else if expected {
                return Err(Failure::unhealthy(format!("the body is not a report in the dialect {}", dialect.name())));
            }
        }
        if !expected {
            return Err(diagnosis::unexpected(spec, head.status, &head.headers, &body.bytes));
        }
        self.expect.check_headers(&head.headers)?;
        self.expect.check_body(&body.bytes, json.as_ref())
    }
}
