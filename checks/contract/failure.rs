//! What a probe brought back when the backend does not work.

use super::{
    observation::Observation,
    redact::strip_user_info,
    values::{Value, Values},
};
use std::{borrow::Cow, error::Error, fmt, io};

/// Any error that can be sent between threads; what drivers return.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a backend fails, in the few words that dashboards and scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// The name does not resolve, refused, no route, reset or closed before the first answer.
    Unreachable,
    /// Handshake, chain, name or date of a certificate; TLS spoken to a plain port.
    Tls,
    /// Credentials or rights; the named database, vhost or account does not exist or is not ours.
    Rejected,
    /// It answered and said no: read-only, starting up, missing queue, threshold passed, unexpected answer.
    Unhealthy,
    /// It answered something that is not its protocol, or broke off in the middle.
    Protocol,
    /// No more connections, memory or quota there.
    Exhausted,
    /// Nothing within the time limit.
    Timeout,
    /// Ours: the last result is too old to be believed.
    Stale,
    /// Ours: there is no result yet.
    Pending,
    /// Ours: the check panicked.
    Panicked,
    /// Ours: a defect, or no resources on this machine.
    Internal,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::Unreachable,
        Self::Tls,
        Self::Rejected,
        Self::Unhealthy,
        Self::Protocol,
        Self::Exhausted,
        Self::Timeout,
        Self::Stale,
        Self::Pending,
        Self::Panicked,
        Self::Internal,
    ];

    /// The class in lower case, as reports have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Rejected => "rejected",
            Self::Unhealthy => "unhealthy",
            Self::Protocol => "protocol",
            Self::Exhausted => "exhausted",
            Self::Timeout => "timeout",
            Self::Stale => "stale",
            Self::Pending => "pending",
            Self::Panicked => "panicked",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a program may need to know about a failure beyond its class. Code compares this and never a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureDetail {
    /// The connection was reset, aborted, or closed while we were sending.
    Reset,
    /// The server's certificate has expired.
    CertificateExpired,
    /// The server's certificate is for another host.
    CertificateForOtherName,
    /// The server requires a client certificate, and none was sent.
    ClientCertificateRequired,
    /// The server rejected the client certificate.
    ClientCertificateRejected,
    /// The response to a gRPC call has no `grpc-status`.
    NotGrpc,
}

/// A backend does not work: a class, a sentence for everybody, and the driver's words for the operator.
pub struct Failure {
    class: FailureClass,
    detail: Option<FailureDetail>,
    message: Cow<'static, str>,
    values: Values,
    cause: Option<BoxError>,
    reusable_connection: bool,
}

impl Failure {
    /// A failure with a sentence of ours: a lower-case fragment without a full stop, and without a secret, URL, address or driver's text.
    pub fn new(class: FailureClass, message: impl Into<Cow<'static, str>>) -> Self {
        Self { class, detail: None, message: message.into(), values: Values::new(), cause: None, reusable_connection: false }
    }

    /// [`FailureClass::Unreachable`], caused by what the driver says.
    pub fn unreachable(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Unreachable, "cannot be reached").because(cause)
    }

    /// [`FailureClass::Tls`], caused by what the driver says.
    pub fn tls(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Tls, "the TLS handshake failed").because(cause)
    }

    /// [`FailureClass::Rejected`], with a sentence of ours.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Rejected, message)
    }

    /// [`FailureClass::Unhealthy`], with a sentence of ours.
    pub fn unhealthy(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Unhealthy, message)
    }

    /// [`FailureClass::Protocol`], caused by what the driver says.
    pub fn protocol(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Protocol, "the reply is not in the expected protocol").because(cause)
    }

    /// [`FailureClass::Exhausted`], with a sentence of ours.
    pub fn exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Exhausted, message)
    }

    /// [`FailureClass::Internal`], caused by what went wrong here.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Internal, "the check itself failed").because(cause)
    }

    /// An input or output error of a network connection, classified by its kind.
    #[must_use]
    pub fn network(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let is_reset = matches!(error.kind(), Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected);
        // 24 and 23 are EMFILE and ENFILE: the shortage is on this machine, not over there.
        let (class, message) = match (error.kind(), error.raw_os_error()) {
            (_, Some(23 | 24)) => (FailureClass::Internal, "this machine has no file descriptors left"),
            (Kind::ConnectionRefused, _) => (FailureClass::Unreachable, "connection refused"),
            (Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected, _) => {
                (FailureClass::Unreachable, "connection reset")
            }
            (Kind::UnexpectedEof, _) => (FailureClass::Unreachable, "connection closed before a reply"),
            (Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown, _) => {
                (FailureClass::Unreachable, "no route to the host")
            }
            (Kind::TimedOut, _) => (FailureClass::Timeout, "the connection timed out"),
            (Kind::NotFound, _) => (FailureClass::Unreachable, "the socket does not exist"),
            (Kind::PermissionDenied, _) => (FailureClass::Rejected, "this machine does not permit the connection"),
            (Kind::InvalidData, _) => (FailureClass::Protocol, "the reply is not in the expected protocol"),
            _ => (FailureClass::Unreachable, "cannot be reached"),
        };
        let failure = Self::new(class, message).because(error);
        if is_reset { failure.detailed(FailureDetail::Reset) } else { failure }
    }

    /// Adds what was observed until then.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.values.insert(name, value);
        self
    }

    /// Adds all that was observed until then.
    #[must_use]
    pub fn observing(mut self, seen: Observation) -> Self {
        self.values.extend(seen.into_parts().1);
        self
    }

    /// Adds the driver's words, for the log and for who shows the token.
    #[must_use]
    pub fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Replaces the sentence.
    #[must_use]
    pub fn saying(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn detailed(self, detail: FailureDetail) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// Replaces the class.
    #[must_use]
    pub fn reclassified(self, class: FailureClass) -> Self {
        Self { class, ..self }
    }

    /// The same, of a peer that had answered before: an end is then no answer's absence, but an answer that broke off in the middle.
    #[must_use]
    pub fn truncated(self) -> Self {
        match self.class {
            FailureClass::Unreachable => {
                let broken_off = self.reclassified(FailureClass::Protocol).saying("the connection was closed in the middle of a reply");
                Self { detail: None, ..broken_off }
            }
            _ => self,
        }
    }

    /// Says that the connection on which it was heard is in order: the whole answer was read, and it is the answer that does not please. Such a
    /// connection may be asked again.
    #[must_use]
    pub fn reusable_connection(self) -> Self {
        let is_understood = matches!(self.class, FailureClass::Unhealthy | FailureClass::Rejected | FailureClass::Exhausted);
        Self { reusable_connection: is_understood, ..self }
    }

    /// Whether the connection on which it was heard may be asked again.
    pub(crate) const fn has_reusable_connection(&self) -> bool {
        self.reusable_connection
    }

    /// The class.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        self.class
    }

    /// What a program may need to know beyond the class.
    #[must_use]
    pub const fn detail(&self) -> Option<FailureDetail> {
        self.detail
    }

    /// Our sentence, safe for everybody.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was observed until it failed.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The driver's words and theirs, joined by `: `, without the user-info of URLs, at most 64 KiB. Known secrets are still in it: pass it
    /// through a [`Redactor`](super::Redactor) before anybody sees it, and cut it only then, lest half a secret remain.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        const LIMIT: usize = 64 * 1024;
        let mut text = String::new();
        let mut next: Option<&dyn Error> = self.cause.as_deref().map(|cause| cause as _);
        while let Some(error) = next {
            let words = error.to_string();
            // Many errors repeat their source in their own words.
            if !text.contains(&words) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&words);
            }
            if text.len() > LIMIT {
                text.truncate(text.floor_char_boundary(LIMIT));
                break;
            }
            next = error.source();
        }
        (!text.is_empty()).then(|| strip_user_info(&text).into_owned())
    }

    /// Takes it apart: class, sentence and values.
    #[must_use]
    pub fn into_parts(self) -> (FailureClass, Cow<'static, str>, Values) {
        (self.class, self.message, self.values)
    }
}

/// Shows no driver's words: they may hold a secret.
impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Failure")
            .field("class", &self.class)
            .field("detail", &self.detail)
            .field("message", &self.message)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.class, self.message)
    }
}

// No `source`: an error chain that somebody prints would show the driver's words unredacted.
impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_cause_is_the_whole_chain_without_user_info() {
        let inner = io::Error::other("GET http://app:hunter2@db/ failed");
        let failure = Failure::unreachable(Outer(inner));
        assert_eq!(failure.cause().as_deref(), Some("outer: GET http://***@db/ failed"));
        assert!(!format!("{failure:?} {failure}").contains("hunter2"));
    }

    #[test]
    fn a_cause_is_bounded() {
        let failure = Failure::protocol("ü".repeat(100_000));
        assert!(failure.cause().is_some_and(|cause| cause.len() <= 64 * 1024));
    }

    #[test]
    fn network_errors_have_a_class() {
        let refused = Failure::network(io::ErrorKind::ConnectionRefused.into());
        assert_eq!((refused.class(), refused.message()), (FailureClass::Unreachable, "connection refused"));
        assert_eq!(Failure::network(io::Error::from_raw_os_error(24)).class(), FailureClass::Internal);
    }

    #[test]
    fn a_reset_keeps_its_detail_until_it_is_a_broken_answer() {
        let reset = Failure::network(io::ErrorKind::ConnectionReset.into());
        assert_eq!(reset.detail(), Some(FailureDetail::Reset));
        assert_eq!(Failure::network(io::ErrorKind::ConnectionRefused.into()).detail(), None);
        assert_eq!(reset.truncated().detail(), None);
    }
}
