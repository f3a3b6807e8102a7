//! The settings of allswell itself. Doc comments are the reference; defaults are here, and `config/allswell.toml` is tested against them.

use crate::{
    component::Policy,
    kinds::issue::{ConfigIssue, Issue},
    report::Service,
};
use allswell_checks::contract::{ByteSize, Secret, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{net::Ipv6Addr, ops::RangeInclusive, path::PathBuf, time::Duration};

/// Everything but the checks and the groups.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Who we are; in every report.
    pub service: ServiceSettings,
    /// How we answer.
    pub server: ServerSettings,
    /// What we log.
    pub log: LogSettings,
    /// The policy of every check that does not say otherwise.
    pub defaults: Policy,
}

/// Who we are; in every report.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// The application's name.
    pub name: Option<String>,
    /// The application's version.
    pub version: Option<String>,
    /// This machine, container or process; the host name when it is not given.
    pub instance: Option<String>,
}

impl From<&ServiceSettings> for Service {
    fn from(settings: &ServiceSettings) -> Self {
        Self { name: settings.name.clone(), version: settings.version.clone(), instance: settings.instance.clone() }
    }
}

/// How we answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// The HTTP status of `fail`: 500 to 599.
    pub fail_status: u16,
    /// The HTTP status of `warn`: 200 to 499.
    pub warn_status: u16,
    /// Every answer leaves by then, with what is known.
    pub deadline: TimeSpan,
    /// After SIGTERM: fail readiness this long, keep serving, then exit.
    pub drain: TimeSpan,
    /// While this file exists: drain.
    pub drain_file: Option<PathBuf>,
    /// Reload when a file's content changes; SIGHUP always does.
    pub watch_config: bool,
    /// `Authorization: Bearer …` unlocks causes, fresh probes and reloads. ASCII without blanks at the ends; below 16 characters there is a warning.
    pub token: Option<Secret>,
    /// What is told without the token. With `"status"`, feeds also say when a status changed, and nothing shows classes or messages.
    pub details: Details,
    /// HTTPS on the same listener.
    pub tls: Option<TlsSettings>,
    /// `HAProxy`'s agent-check: one line per connect.
    pub haproxy_agent: Option<AgentSettings>,
    /// The most connections at a time; lowered at start to what the limit of open files allows beside the probes. A new connection is always
    /// accepted, and another one is closed for it.
    pub max_connections: usize,
    /// The most memory that rendered answers may take until clients have read them; 1MiB to 1GiB. Beyond it, the slowest readers are closed. Reports
    /// in JSON always have room.
    pub response_memory: ByteSize,
    /// A request's head must be complete by then.
    pub header_timeout: TimeSpan,
    /// Between requests of one connection.
    pub idle_timeout: TimeSpan,
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
        }
    }
}

impl ServerSettings {
    /// Warnings about values that are valid.
    pub(crate) fn warnings(&self) -> Vec<ConfigIssue> {
        let is_short = self.token.as_ref().is_some_and(|token| token.expose().len() < MIN_TOKEN_LENGTH);
        let message =
            format!("has fewer than {MIN_TOKEN_LENGTH} characters, which can be guessed: use the output of `openssl rand -hex 16`");
        is_short.then(|| ConfigIssue::new(["token"], message)).into_iter().collect()
    }

    /// What the types do not say.
    pub(crate) fn issues(&self) -> Vec<ConfigIssue> {
        let mut issues = vec![
            status_issue("fail_status", self.fail_status, FAIL_STATUS),
            status_issue("warn_status", self.warn_status, 200..=499),
            positive("deadline", self.deadline.0),
            positive("header_timeout", self.header_timeout.0),
            positive("idle_timeout", self.idle_timeout.0),
        ];
        if matches!(self.warn_status, 204 | 205 | 304) {
            let message = format!("{} is a status without a body, and the report has one", self.warn_status);
            issues.push(Some(ConfigIssue::new(["warn_status"], message)));
        }
        issues.push(address(&["listen"], &self.listen));
        issues.push(self.haproxy_agent.as_ref().and_then(|agent| address(&["haproxy_agent", "listen"], &agent.listen)));
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

/// Why no client could send a token in `Authorization: Bearer …`: RFC 9110, section 5.5.
fn unusable_token(token: &str) -> Option<&'static str> {
    if token.trim().is_empty() {
        return Some("is empty: leave it out, or give it a value that nobody guesses");
    }
    if token.trim() != token {
        return Some("has blanks or line breaks at its ends, which no header can carry: remove them");
    }
    let is_sendable = |c: char| c == ' ' || c.is_ascii_graphic();
    (!token.chars().all(is_sendable)).then_some("has characters that no header can carry: use letters, digits and punctuation of ASCII")
}

/// `HAProxy`'s agent-check: whoever connects is told in one line how all is, and the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// Address and port.
    pub listen: String,
}

/// HTTPS on the same listener, by TLS 1.2 and 1.3. The files are PEM, and read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are keys that users write")]
pub struct TlsSettings {
    /// Our certificate, and those between it and its root.
    pub certificate_file: PathBuf,
    /// The key of our certificate.
    pub key_file: PathBuf,
    /// Only clients with a certificate of these authorities are answered; `allswell get` has none.
    pub client_ca_file: Option<PathBuf>,
}

#[cfg(feature = "cli")]
impl TlsSettings {
    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate_file, &self.key_file].into_iter().chain(&self.client_ca_file)
    }
}

/// The statuses that may mean `fail`.
pub(crate) const FAIL_STATUS: RangeInclusive<u16> = 500..=599;

/// A status that must be in a range.
pub(crate) fn status_issue(key: &str, status: u16, range: RangeInclusive<u16>) -> Option<ConfigIssue> {
    let expected = || format!("a status from {} to {}", range.start(), range.end());
    (!range.contains(&status)).then(|| ConfigIssue::new([key], Issue::Range { expected: expected(), found: status.to_string().into() }))
}

/// Room for a few answers at least, and no more than fits into any machine.
const RESPONSE_MEMORY: RangeInclusive<u64> = 1 << 20..=1 << 30;

/// From this length on, nobody guesses a random token.
const MIN_TOKEN_LENGTH: usize = 16;

/// An address to listen on. It is not quoted: it may be a URL with a password.
fn address(key: &[&str], listen: &str) -> Option<ConfigIssue> {
    let is_host = |host: &str| match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    let port = listen.rsplit_once(':').filter(|(host, _)| is_host(host)).and_then(|(_, port)| port.parse::<u16>().ok());
    let message = "not an address to listen on: write \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\"";
    port.is_none().then(|| ConfigIssue::new(key.iter().copied(), message))
}

fn positive(key: &str, duration: Duration) -> Option<ConfigIssue> {
    duration.is_zero().then(|| ConfigIssue::new([key], "must be greater than zero"))
}

/// What is told without the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Details {
    /// Everything but the drivers' words.
    Full,
    /// Names and statuses alone.
    Status,
}

/// What we log, to standard error.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The least important level that is logged. `RUST_LOG`, where set, wins.
    pub level: LogLevel,
    /// For people, or for programs.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// A level of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The level as `RUST_LOG` writes it.
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

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What the types of a policy do not say.
pub(crate) fn policy_issues(policy: &Policy) -> Vec<ConfigIssue> {
    let mut issues = vec![positive("interval", policy.interval), positive("timeout", policy.timeout)];
    if !(0.0..=0.5).contains(&policy.jitter) {
        let found = policy.jitter.to_string().into();
        issues.push(Some(ConfigIssue::new(["jitter"], Issue::Range { expected: "a share from 0 to 0.5".to_owned(), found })));
    }
    for (key, count) in [("fall", policy.fall), ("rise", policy.rise)] {
        if count == 0 {
            issues.push(Some(ConfigIssue::new([key], "must be at least 1")));
        }
    }
    issues.into_iter().flatten().collect()
}

/// Components that are judged together, under a name of their own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// The names of its checks.
    pub checks: Vec<String>,
    /// The HTTP status of `fail` for this group; the server's when it is not given.
    pub fail_status: Option<u16>,
}

/// Groups that are always there: no check may have such a name.
pub(crate) const BUILT_IN_GROUPS: [&str; 3] = ["live", "ready", "startup"];
