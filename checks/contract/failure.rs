//! What a failed probe returns: why the backend does not work.

use super::{
    observation::Observation,
    redact::strip_user_info,
    values::{Value, Values},
};
use std::{borrow::Cow, error::Error, fmt, io};

/// Any error that can be sent between threads, as drivers return it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a backend fails, as a stable word for dashboards and scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// The name does not resolve, or the connection is refused, has no route, or is reset or closed before the first reply.
    Unreachable,
    /// The TLS handshake, or the chain, name or dates of a certificate; also a TLS connection to a plaintext port.
    Tls,
    /// Credentials or rights; also a database, vhost or account that does not exist or is not accessible.
    Rejected,
    /// The backend replied and does not work: read-only, starting up, missing queue, limit exceeded, unexpected reply.
    Unhealthy,
    /// The reply is not in the expected protocol, or ended in the middle.
    Protocol,
    /// The backend has no connections, memory or quota left.
    Exhausted,
    /// No reply within the timeout.
    Timeout,
    /// From the engine: the last result is too old.
    Stale,
    /// From the engine: there is no result yet.
    Pending,
    /// From the engine: the check panicked.
    Panicked,
    /// A defect of the check, or no resources left on this host.
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
    /// The server's certificate has no subjectAltName.
    CertificateWithoutName,
    /// The server's certificate is self-signed.
    CertificateSelfSigned,
    /// The server's certificate is X.509 version 1.
    CertificateVersion1,
    /// The server requires a client certificate, and none was sent.
    ClientCertificateRequired,
    /// The server rejected the client certificate.
    ClientCertificateRejected,
    /// The response to a gRPC call has no `grpc-status`.
    NotGrpc,
    /// The server replied with a TLS alert to plaintext.
    ExpectsTls,
    /// The headers of the response are longer than the client accepts.
    HeadersTooLarge,
}

/// A backend does not work: a class, a message that is safe to publish, and the cause in the driver's words.
pub struct Failure {
    class: FailureClass,
    detail: Option<FailureDetail>,
    message: Cow<'static, str>,
    values: Values,
    cause: Option<BoxError>,
    reusable_connection: bool,
}

impl Failure {
    /// A failure with a message of ours: a lower-case fragment without a full stop, and without a secret, URL, address or text of the
    /// driver.
    pub fn new(class: FailureClass, message: impl Into<Cow<'static, str>>) -> Self {
        Self { class, detail: None, message: message.into(), values: Values::new(), cause: None, reusable_connection: false }
    }

    /// [`FailureClass::Unreachable`], with the driver's error as its cause.
    pub fn unreachable(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Unreachable, "cannot be reached").because(cause)
    }

    /// [`FailureClass::Tls`], with the driver's error as its cause.
    pub fn tls(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Tls, "the TLS handshake failed").because(cause)
    }

    /// [`FailureClass::Rejected`], with a message of ours.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Rejected, message)
    }

    /// [`FailureClass::Unhealthy`], with a message of ours.
    pub fn unhealthy(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Unhealthy, message)
    }

    /// [`FailureClass::Protocol`], with the driver's error as its cause.
    pub fn protocol(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Protocol, "the reply is not in the expected protocol").because(cause)
    }

    /// [`FailureClass::Exhausted`], with a message of ours.
    pub fn exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Exhausted, message)
    }

    /// [`FailureClass::Internal`], with what went wrong on this side as its cause.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(FailureClass::Internal, "the check itself failed").because(cause)
    }

    /// Classifies an I/O error of a network connection by its kind.
    #[must_use]
    pub fn network(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let is_reset = matches!(error.kind(), Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected);
        // 24 and 23 are EMFILE and ENFILE: the shortage is on this host, not on the server.
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
            // The kernel finds no address of the server's family, or no free port for a connection to it.
            (Kind::AddrNotAvailable, _) => (FailureClass::Unreachable, "this machine has no local address or port for the connection"),
            (Kind::NotFound, _) => (FailureClass::Unreachable, "the socket does not exist"),
            (Kind::PermissionDenied, _) => (FailureClass::Rejected, "this machine does not permit the connection"),
            (Kind::InvalidData, _) => (FailureClass::Protocol, "the reply is not in the expected protocol"),
            _ => (FailureClass::Unreachable, "cannot be reached"),
        };
        let failure = Self::new(class, message).because(error);
        if is_reset { failure.detailed(FailureDetail::Reset) } else { failure }
    }

    /// Adds a value that was observed before the failure.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.values.insert(name, value);
        self
    }

    /// Adds everything that was observed before the failure.
    #[must_use]
    pub fn observing(mut self, seen: Observation) -> Self {
        self.values.extend(seen.into_parts().1);
        self
    }

    /// Sets the cause: the driver's words, for the log and for clients that send the token.
    #[must_use]
    pub fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Replaces the message.
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

    /// Reclassifies a closed connection as a truncated reply, for a server that had already sent part of a reply.
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

    /// Says that the reply was read completely, so that the connection can be reused, although the reply is a failure. Has an effect only
    /// for [`Unhealthy`](FailureClass::Unhealthy), [`Rejected`](FailureClass::Rejected) and [`Exhausted`](FailureClass::Exhausted).
    #[must_use]
    pub fn reusable_connection(self) -> Self {
        let is_understood = matches!(self.class, FailureClass::Unhealthy | FailureClass::Rejected | FailureClass::Exhausted);
        Self { reusable_connection: is_understood, ..self }
    }

    /// Whether the connection can be reused.
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

    /// The message, which is safe to publish.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The values observed before the failure.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The error of the driver and its sources, joined by `: `, without the user info of URLs, at most 64 KiB. It may still contain known
    /// secrets: pass it through a [`Redactor`](super::Redactor) before publishing it, and shorten it only afterwards, so that no part of a
    /// secret remains.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        const LIMIT: usize = 64 * 1024;
        let mut text = String::new();
        let mut next: Option<&dyn Error> = self.cause.as_deref().map(|cause| cause as _);
        while let Some(error) = next {
            let words = error.to_string();
            // Many errors repeat the text of their source.
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

    /// The class, message and values.
    #[must_use]
    pub fn into_parts(self) -> (FailureClass, Cow<'static, str>, Values) {
        (self.class, self.message, self.values)
    }
}

/// Leaves out the cause, which may contain a secret.
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

// No `source`: printing the error chain would show the driver's words unredacted.
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
