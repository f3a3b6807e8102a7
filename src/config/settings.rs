//! The settings of allswell itself. Doc comments are the reference in the JSON Schema; a test compares the defaults with `config/allswell.toml`.

use super::listen_address;
use crate::{
    component::Policy,
    kinds::issue::{ConfigIssue, Issue},
    report::ServiceIdentity,
};
use allswell_checks::contract::{ByteSize, Secret, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

/// All settings except checks and groups.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The application that this instance reports on; in every report.
    pub service: ServiceSettings,
    /// The HTTP server.
    pub server: ServerSettings,
    /// The log.
    pub log: LogSettings,
    /// The policy of every check that does not override it.
    pub defaults: Policy,
}

/// The application that this instance reports on; in every report.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// The application's name.
    pub name: Option<String>,
    /// The application's version.
    pub version: Option<String>,
    /// The machine, container or process. Default: the host name.
    pub instance: Option<String>,
}

impl From<&ServiceSettings> for ServiceIdentity {
    fn from(settings: &ServiceSettings) -> Self {
        Self { name: settings.name.clone(), version: settings.version.clone(), instance: settings.instance.clone() }
    }
}

/// The HTTP server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port to listen on. With port 0 the system chooses a free one.
    pub listen: String,
    /// The HTTP status for `fail`: 500 to 599.
    pub fail_status: u16,
    /// The HTTP status for `warn`: 200 to 499.
    pub warn_status: u16,
    /// Every response is sent by this deadline, with the results known by then.
    pub deadline: TimeSpan,
    /// How long readiness fails after SIGTERM, while the server keeps serving, before the process exits.
    pub drain: TimeSpan,
    /// The instance drains while this file exists.
    pub drain_file: Option<PathBuf>,
    /// Whether to reload the configuration when the content of a file changes. SIGHUP always reloads it.
    pub watch_config: bool,
    /// The token that clients send as `Authorization: Bearer …` to see causes, request fresh probes, drain and reload. ASCII without whitespace at
    /// its ends; a token of fewer than 16 characters is a warning.
    pub token: Option<Secret>,
    /// What a response contains without the token. With `"status"`, no response has failure classes or messages; feeds still have the time of each
    /// change.
    pub details: Details,
    /// HTTPS on the same listener.
    pub tls: Option<TlsSettings>,
    /// `HAProxy`'s agent-check: one line per connection.
    pub haproxy_agent: Option<AgentSettings>,
    /// The maximum number of connections. At the start it is lowered to what the limit of open files allows after a reserve for the probes. A new
    /// connection is always accepted: at the maximum, another one is closed for it.
    pub max_connections: usize,
    /// The maximum memory for responses that clients have not read yet: 1MiB to 1GiB. Beyond it the connections of the slowest readers are closed.
    /// There is always room for reports in JSON.
    pub response_memory: ByteSize,
    /// The timeout for the header of a request.
    pub header_timeout: TimeSpan,
    /// The timeout between two requests on a connection.
    pub idle_timeout: TimeSpan,
    /// Whether a load balancer may announce its client with the PROXY protocol, version 1 or 2, before a request or a TLS handshake. With
    /// `"accept"`, connections without the header are served as well. The announced address is shown, and never decides anything.
    pub proxy_protocol: ProxyProtocol,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8080".to_owned(),
            fail_status: 500,
            warn_status: 200,
            deadline: TimeSpan::millis(800),
            drain: TimeSpan::seconds(5),
            drain_file: None,
            watch_config: false,
            token: None,
            details: Details::Full,
            tls: None,
            haproxy_agent: None,
            max_connections: 1024,
            response_memory: ByteSize(16 << 20),
            header_timeout: TimeSpan::seconds(5),
            idle_timeout: TimeSpan::seconds(75),
            proxy_protocol: ProxyProtocol::Off,
        }
    }
}

impl ServerSettings {
    /// Warnings about valid values.
    pub(crate) fn warnings(&self) -> Vec<ConfigIssue> {
        let mut warnings = Vec::new();
        if self.token.as_ref().is_some_and(|token| token.expose().len() < MIN_TOKEN_LENGTH) {
            let message =
                format!("has fewer than {MIN_TOKEN_LENGTH} characters and can be guessed: use the output of `openssl rand -hex 16`");
            warnings.push(ConfigIssue::new(["token"], message));
        }
        if self.deadline.0 >= CLIENT_TIMEOUT {
            let message = "load balancers give up after 5s by default, and a kubelet after 1s: write less than the timeout of the client";
            warnings.push(ConfigIssue::new(["deadline"], message));
        }
        if self.drain.0 > GRACE_PERIOD {
            let message =
                "Kubernetes ends the process 30s after SIGTERM by default, Docker after 10s, systemd after 90s: raise that time as well";
            warnings.push(ConfigIssue::new(["drain"], message));
        }
        warnings
    }

    /// What is wrong with values that have the right type.
    pub(crate) fn issues(&self) -> Vec<ConfigIssue> {
        let mut issues = vec![
            status_issue("fail_status", self.fail_status, FAIL_STATUS),
            status_issue("warn_status", self.warn_status, 200..=499),
            positive("deadline", self.deadline.0),
            positive("header_timeout", self.header_timeout.0),
            positive("idle_timeout", self.idle_timeout.0),
        ];
        if matches!(self.warn_status, 204 | 205 | 304) {
            let message = format!("a response with status {} has no body, so clients would get no report: use 200", self.warn_status);
            issues.push(Some(ConfigIssue::new(["warn_status"], message)));
        }
        issues.push(address(&["listen"], &self.listen));
        if let Some(agent) = &self.haproxy_agent {
            let key = ["haproxy_agent", "listen"];
            let collides = || {
                let message = "`server.listen` has the same address, and only one of them can listen on it: choose another port";
                listen_address::collide(&self.listen, &agent.listen).then(|| ConfigIssue::new(key, message))
            };
            issues.push(address(&key, &agent.listen).or_else(collides));
        }
        if self.max_connections == 0 {
            issues.push(Some(ConfigIssue::new(["max_connections"], "must be at least 1")));
        }
        if !RESPONSE_MEMORY.contains(&self.response_memory.0) {
            let found = self.response_memory.to_string().into();
            issues.push(Some(ConfigIssue::new(["response_memory"], Issue::Range { expected: "1MiB to 1GiB".to_owned(), found })));
        }
        issues
            .push(self.token.as_ref().and_then(|token| unusable_token(token.expose())).map(|message| ConfigIssue::new(["token"], message)));
        issues.into_iter().flatten().collect()
    }
}

/// The reason why no client could send a token in `Authorization: Bearer …`, by RFC 9110, section 5.5.
fn unusable_token(token: &str) -> Option<&'static str> {
    if token.trim().is_empty() {
        return Some("is empty: remove it, or use the output of `openssl rand -hex 16`");
    }
    if token.trim() != token {
        return Some("begins or ends with whitespace, which an HTTP header cannot carry: remove the whitespace");
    }
    let is_sendable = |c: char| c == ' ' || c.is_ascii_graphic();
    (!token.chars().all(is_sendable))
        .then_some("has characters that an HTTP header cannot carry: use ASCII letters, digits and punctuation")
}

/// `HAProxy`'s agent-check: each connection gets the verdict in one line and is closed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// Address and port to listen on.
    pub listen: String,
}

/// HTTPS on the same listener, with TLS 1.2 and 1.3. The files are PEM and are reloaded when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are keys that users write")]
pub struct TlsSettings {
    /// The server's certificate and the intermediate certificates of its chain.
    pub certificate_file: PathBuf,
    /// The private key of the certificate.
    pub key_file: PathBuf,
    /// The certificates of the authorities that sign clients' certificates. Clients without such a certificate are rejected; `allswell get` has none.
    pub client_ca_file: Option<PathBuf>,
}

#[cfg(feature = "server")]
impl TlsSettings {
    /// The paths of all files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate_file, &self.key_file].into_iter().chain(&self.client_ca_file)
    }
}

/// The HTTP statuses that can stand for `fail`.
pub(crate) const FAIL_STATUS: RangeInclusive<u16> = 500..=599;

/// The issue of a status outside of its range.
pub(crate) fn status_issue(key: &str, status: u16, range: RangeInclusive<u16>) -> Option<ConfigIssue> {
    let expected = || format!("a status from {} to {}", range.start(), range.end());
    (!range.contains(&status)).then(|| ConfigIssue::new([key], Issue::Range { expected: expected(), found: status.to_string().into() }))
}

/// From room for a few responses to what fits into any machine.
const RESPONSE_MEMORY: RangeInclusive<u64> = 1 << 20..=1 << 30;

/// The default timeout of the health checks of AWS load balancers.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default `terminationGracePeriodSeconds` of Kubernetes, which counts from SIGTERM on and includes the drain.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// A random token of this length cannot be guessed.
const MIN_TOKEN_LENGTH: usize = 16;

/// The issue of a text that cannot be listened on.
fn address(key: &[&str], listen: &str) -> Option<ConfigIssue> {
    listen_address::mistake(listen).map(|message| ConfigIssue::new(key.iter().copied(), message))
}

fn positive(key: &str, duration: Duration) -> Option<ConfigIssue> {
    duration.is_zero().then(|| ConfigIssue::new([key], "must be greater than zero"))
}

/// What happens to the header of the PROXY protocol at the start of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// It is not expected: a connection with it gets a 400.
    Off,
    /// It is read where it is sent.
    Accept,
}

/// What a response contains without the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Details {
    /// Everything except causes, which are the drivers' own words.
    Full,
    /// Only names and statuses.
    Status,
}

/// The log on standard error.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The least severe level that is logged. A level in `RUST_LOG` wins.
    pub level: LogLevel,
    /// Text for people or JSON for programs.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// The severity of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The level in the syntax of `RUST_LOG`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// What is wrong with a policy whose values have the right type.
pub(crate) fn policy_issues(policy: &Policy) -> Vec<ConfigIssue> {
    let mut issues = vec![positive("interval", policy.interval), positive("timeout", policy.timeout)];
    if !(0.0..=0.5).contains(&policy.jitter) {
        let found = policy.jitter.to_string().into();
        let hint = (policy.jitter > 1.0).then(|| "10 % is 0.1".to_owned());
        let issue = Issue::Range { expected: "a share from 0 to 0.5".to_owned(), found };
        issues.push(Some(ConfigIssue::new(["jitter"], issue).with_hint(hint)));
    }
    for (key, count) in [("fall", policy.fall), ("rise", policy.rise)] {
        if count == 0 {
            issues.push(Some(ConfigIssue::new([key], "must be at least 1")));
        }
    }
    issues.into_iter().flatten().collect()
}

/// Components that are judged together.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// The names of the checks.
    pub checks: Vec<String>,
    /// The HTTP status for `fail` of this group: 500 to 599. Default: `server.fail_status`.
    pub fail_status: Option<u16>,
}

/// Groups that always exist: no check may have one of these names.
pub(crate) const BUILT_IN_GROUPS: [&str; 3] = ["live", "ready", "startup"];
