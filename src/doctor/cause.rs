//! What can be wrong with an endpoint, as far as its clients can see it.

use allswell_checks::contract::{Failure, FailureDetail};

/// What is wrong; of several things the one that is met first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// There is no answer.
    Connection(Connection),
    /// There is no answer, because of TLS.
    Tls(Tls),
    /// The answer is a redirect.
    Redirect(Redirect),
    /// The answer says no.
    Refusal(Refusal),
    /// The answer says that something is wrong with the server.
    Trouble(Trouble),
}

/// There is no connection, no TLS, no HTTP, or no answer in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Connection {
    /// No connection: why.
    Unreachable(String),
    /// Nobody answers the packets that open a connection.
    Swallowed,
    /// Connected, and closed again without an answer.
    HungUp,
    /// What came is not HTTP.
    NotHttp,
    /// What came is HTTP/2, and no answer to a gRPC call.
    NotGrpc,
    /// It answers by HTTP/2 alone, or not by HTTP/2 where that is wanted.
    OtherVersion,
    /// The head came, and the body does not end.
    EndlessBody,
    /// The body ended before its end.
    BrokenBody,
    /// Too late.
    Slow,
}

/// TLS is not as the client wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tls {
    /// TLS wants no such handshake: why.
    Handshake(String),
    /// It wants a certificate of the client's.
    ClientCertificate,
    /// It wants to be asked by a name that it has.
    ServerName,
    /// It speaks TLS 1.3 alone.
    OnlyTls13,
    /// The certificate fails verification.
    Certificate { why: String, problem: CertificateProblem },
    /// TLS was spoken, and it speaks none.
    Unwanted,
    /// No TLS was spoken, and it wants it.
    Wanted,
}

/// Why a certificate fails verification, as far as the fixes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CertificateProblem {
    Expired,
    OtherName,
    Untrusted,
}

impl From<&Failure> for CertificateProblem {
    fn from(failure: &Failure) -> Self {
        match failure.detail() {
            Some(FailureDetail::CertificateExpired) => Self::Expired,
            Some(FailureDetail::CertificateForOtherName) => Self::OtherName,
            _ => Self::Untrusted,
        }
    }
}

/// It redirects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Redirect {
    /// It redirects to HTTPS; whether it would believe a proxy's word that there is HTTPS already.
    Https { believes_proxy: Option<bool> },
    /// Redirects without an end.
    Loop,
    /// The path with a slash at its end, or without, is another: which one is right.
    Slash(String),
    /// It redirects to a page for logging in.
    Login(String),
    /// It redirects to somewhere else.
    Elsewhere(String),
}

/// It answers, and says no.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// The answer depends on the `Host`: one that it accepts, if one is known, and what it answers then.
    Host(Option<(String, u16)>),
    /// It protects itself against forged requests.
    Csrf,
    /// It wants credentials.
    Credentials,
    /// It forbids the request.
    Forbidden,
    /// It does not take the method.
    Method,
    /// There is no such path.
    NotFound,
    /// HTTP/1.0 is refused, and HTTP/1.1 is not.
    OldVersion,
    /// A header tells Envoy to take it for a failure.
    EnvoyTold,
    /// The end of the body is known by the end of the connection alone.
    Unframed,
    /// A gRPC call ended with another status than those that are good for this client.
    Grpc(u16),
    /// An answer of the sort 1xx came before the real one, which this client takes for the last.
    Announced(u16),
    /// Another status than those that are good for this client.
    Unexpected(u16),
}

/// The server is not well, or has had enough.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// It has had enough of us.
    TooMany,
    /// It is allswell, or speaks as it does, and says no.
    SaysFail,
    /// It warns, by a status that is not good for this client.
    SaysWarn(u16),
    /// A proxy has no answer of the app's.
    Gateway(u16),
    /// It fails, and answers the same request well a moment later.
    Flapping(u16),
    /// It fails.
    ServerError(u16),
}
