//! A test case: a check, the transport to a rogue server, the login that the server requests, and how much of the password may leave.

use super::{
    lab::{PASSWORD, USER},
    mysql::are_logins_of_nobody,
    peer::{Encryption, Heard, Rogue},
};
use crate::{probing, secrets::base64_of};
use allswell::{Aggregator, engine::Builder};
use std::fmt;

/// How much of the password left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// A proof that does not reveal the password.
    Scramble,
    /// The password: in plaintext, encoded, or encrypted with a key that the server chose.
    Password,
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "nothing",
            Self::Scramble => "a scramble",
            Self::Password => "the password",
        })
    }
}

impl Left {
    fn of(heard: &Heard, secret: &str) -> Self {
        let forms = [secret.to_owned(), base64_of(secret.as_bytes()), base64_of(format!("{USER}:{secret}").as_bytes()), hex(secret)];
        let has = |bytes: &[u8]| forms.iter().any(|form| contains(bytes, form.as_bytes()));
        if heard.sealed || has(&heard.plain) || has(&heard.encrypted) {
            Self::Password
        } else if heard.proof {
            Self::Scramble
        } else {
            Self::Nothing
        }
    }
}

pub(super) fn contains(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

fn hex(text: &str) -> String {
    text.bytes().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// How far the configuration trusts the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    Plain,
    Unverified,
    Verified,
    /// TLS must be verified, and the verification fails.
    Failed,
    Local,
}

/// A transport to a server, and its configuration.
#[derive(Clone)]
pub(super) struct Transport {
    pub(super) name: &'static str,
    pub(super) trust: Trust,
    pub(super) encryption: Encryption,
    /// A parameter of the URL.
    pub(super) mode: Option<String>,
    pub(super) keys: String,
    /// `allow_cleartext_password` is set.
    pub(super) allowed: bool,
}

impl Transport {
    pub(super) fn new(name: &'static str, trust: Trust, encryption: Encryption, keys: &str) -> Self {
        Self { name, trust, encryption, mode: None, keys: keys.to_owned(), allowed: false }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.trust == Trust::Plain
    }

    pub(super) fn is_local(&self) -> bool {
        self.trust == Trust::Local
    }

    /// The end of the URL scheme: `s` with TLS.
    pub(super) const fn s(&self) -> &'static str {
        if matches!(self.encryption, Encryption::None) { "" } else { "s" }
    }

    /// The column of the table.
    fn column(&self) -> &'static str {
        match (self.trust, self.allowed) {
            (Trust::Plain, false) => "plain TCP",
            (Trust::Plain, true) => "plain TCP, allowed",
            (Trust::Unverified, false) => "unverified TLS",
            (Trust::Unverified, true) => "unverified TLS, allowed",
            (Trust::Verified, _) => "verified TLS",
            (Trust::Failed, _) => "failed verification",
            (Trust::Local, _) => "Unix socket",
        }
    }
}

/// The columns of the table.
pub(super) const COLUMNS: [&str; 7] =
    ["plain TCP", "plain TCP, allowed", "unverified TLS", "unverified TLS, allowed", "verified TLS", "failed verification", "Unix socket"];

/// The login that a rogue server requests.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) asked: &'static str,
    /// How much leaves if revealing the password is not permitted, or if this request cannot obtain it.
    left: Left,
    /// Whether the reply reveals the password, although the protocol has methods that do not.
    reveals: bool,
    /// Whether a check must not even connect to the server.
    avoided: bool,
    probes: usize,
}

impl Request {
    /// A request by which this much leaves over every transport, unless a required verification of TLS fails.
    pub(super) const fn leaves(asked: &'static str, left: Left) -> Self {
        Self { asked, left, reveals: false, avoided: false, probes: 1 }
    }

    /// A request whose reply reveals the password if that is permitted; otherwise this much leaves.
    pub(super) const fn reveals(asked: &'static str, otherwise: Left) -> Self {
        Self { asked, left: otherwise, reveals: true, avoided: false, probes: 1 }
    }

    /// The server is at the end of a redirect that is not followed.
    pub(super) const fn avoided(self) -> Self {
        Self { avoided: true, ..self }
    }

    pub(super) const fn on_second_probe(self) -> Self {
        Self { probes: 2, ..self }
    }

    /// The policy: how much must leave over this transport.
    fn expected(self, transport: &Transport) -> Left {
        let is_permitted = match transport.trust {
            Trust::Failed => return Left::Nothing,
            Trust::Plain | Trust::Unverified => transport.allowed,
            Trust::Verified | Trust::Local => true,
        };
        if self.reveals && is_permitted { Left::Password } else { self.left }
    }

    /// Whether the failure must name the key that would permit it.
    fn is_refused(self, transport: &Transport) -> bool {
        self.reveals && !transport.allowed && matches!(transport.trust, Trust::Plain | Trust::Unverified)
    }
}

/// One cell of the table.
pub(super) struct LeakCase {
    pub(super) kind: &'static str,
    /// The key that holds the secret.
    pub(super) key: &'static str,
    request: Request,
    transport: Transport,
    table: String,
    secret: String,
    rogue: Rogue,
    /// A server that redirects to it.
    leader: Option<Rogue>,
}

/// The result of a case.
pub(super) struct Outcome {
    pub(super) kind: &'static str,
    pub(super) asked: &'static str,
    pub(super) column: &'static str,
    pub(super) left: Left,
    /// The amount by the policy.
    pub(super) expected: Left,
    /// The violations.
    pub(super) wrong: Option<String>,
}

impl LeakCase {
    pub(super) fn new(kind: &'static str, key: &'static str, request: Request, transport: &Transport, table: String, rogue: Rogue) -> Self {
        Self { kind, key, request, transport: transport.clone(), table, secret: PASSWORD.to_owned(), rogue, leader: None }
    }

    /// With a server that redirects to the examined one.
    pub(super) fn led_by(self, leader: Rogue) -> Self {
        Self { leader: Some(leader), ..self }
    }

    /// With another secret.
    pub(super) fn hiding(self, secret: String) -> Self {
        Self { secret, ..self }
    }

    /// Probes, and compares the amount that left with the policy.
    pub(super) fn run(self) -> Outcome {
        let expected = self.request.expected(&self.transport);
        let probed = probed(&self.table, self.request.probes);
        let led = self.leader.map(Rogue::finish).is_some();
        let heard = self.rogue.finish();
        let left = Left::of(&heard, &self.secret);
        let mut wrong = Vec::new();
        match &probed {
            Err(refused) => wrong.push(format!("the configuration is refused: {}", refused.lines().next().unwrap_or_default())),
            Ok(failure) => {
                let message =
                    failure.as_ref().map_or_else(|| "the component passes".to_owned(), |(class, message)| format!("{class}: {message}"));
                let class = failure.as_ref().map(|(class, _)| class.as_str());
                if expected != left {
                    wrong.push(format!("{left} left, and not {expected} ({message})"));
                }
                let reached = !heard.plain.is_empty() || !heard.encrypted.is_empty();
                // A client that rejects the greeting of a server sends nothing.
                let receives_greeting = self.transport.trust != Trust::Failed && !self.request.is_refused(&self.transport);
                if receives_greeting && reached == self.request.avoided {
                    wrong.push(format!("reached: {reached} ({message})"));
                }
                let named = matches!(class, Some("rejected" | "tls")) && message.contains("allow_cleartext_password");
                if self.request.is_refused(&self.transport) && !named {
                    wrong.push(format!("the failure does not name the key that permits it: {message}"));
                }
                if self.transport.trust == Trust::Failed {
                    let is_nobody = self.kind == "mysql" && are_logins_of_nobody(&heard.encrypted);
                    let is_named = [&heard.plain, &heard.encrypted].into_iter().any(|bytes| contains(bytes, USER.as_bytes()));
                    if !(heard.encrypted.is_empty() || is_nobody) || is_named {
                        wrong.push(format!("something left before the server was verified: {heard:?}"));
                    }
                    if class != Some("tls") && !led {
                        wrong.push(format!("the failure is not one of TLS: {message}"));
                    }
                }
            }
        }
        let mode = self.transport.mode.as_deref().unwrap_or("no mode");
        let place = format!("{} ({}), {}, {}, {mode}", self.kind, self.key, self.request.asked, self.transport.name);
        let wrong = (!wrong.is_empty()).then(|| format!("{place}: {}", wrong.join("; ")));
        Outcome { kind: self.kind, asked: self.request.asked, column: self.transport.column(), left, expected, wrong }
    }
}

/// Class and message of the failure of the last probe, or the problems of the configuration.
fn probed(table: &str, probes: usize) -> Result<Option<(String, String)>, String> {
    let components = probing::loaded(&format!("timeout = \"5s\"\n{table}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut engine = components.into_iter().fold(Aggregator::builder(), Builder::component).build();
    let mut failure = None;
    for _ in 0..probes {
        let report = runtime.block_on(engine.probe_all(|_, _| {}));
        failure = report.components["probed"].failure.as_ref().map(|failure| (failure.class.to_string(), failure.message.to_string()));
    }
    Ok(failure)
}
