//! The client and the server do not agree on TLS.

use super::explanation::{Context, Explanation, USE_ALLSWELL_PORT, explanation};
use crate::doctor::{poll::PollStep, response::PollResponse, result::ClientResult, trials::TrialPolls};
use allswell_checks::{
    contract::{Failure, FailureClass, FailureDetail},
    wire::http_symptoms::{requires_client_certificate, requires_tls},
};
use hyper::{StatusCode, header::HeaderValue};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum TlsProblem {
    /// The handshake fails: why.
    Handshake(String),
    /// The server requires a client certificate.
    ClientCertificate,
    /// The server requires a server name (SNI).
    ServerName,
    /// The server accepts only TLS 1.3.
    OnlyTls13,
    /// The server's certificate fails verification.
    Certificate { why: String, problem: CertificateProblem },
    /// The client speaks TLS, the server does not.
    SpeaksHttp,
    /// The server speaks TLS, the client does not.
    SpeaksHttps,
}

/// Why a certificate fails verification, as far as the fixes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum CertificateProblem {
    Expired,
    OtherName,
    NoName,
    SelfSigned,
    Version1,
    Untrusted,
}

impl From<&Failure> for CertificateProblem {
    fn from(failure: &Failure) -> Self {
        match failure.detail() {
            Some(FailureDetail::CertificateExpired) => Self::Expired,
            Some(FailureDetail::CertificateForOtherName) => Self::OtherName,
            Some(FailureDetail::CertificateWithoutName) => Self::NoName,
            Some(FailureDetail::CertificateSelfSigned) => Self::SelfSigned,
            Some(FailureDetail::CertificateVersion1) => Self::Version1,
            _ => Self::Untrusted,
        }
    }
}

/// Why a certificate fails verification. The messages of some failures name settings of allswell, which the polled server does not have.
pub(in crate::doctor) fn certificate_problem(failure: &Failure) -> &str {
    match CertificateProblem::from(failure) {
        CertificateProblem::NoName => "the certificate has no subjectAltName, and so no host name",
        CertificateProblem::SelfSigned => "the certificate is self-signed",
        CertificateProblem::Version1 => "the certificate is X.509 version 1",
        CertificateProblem::Expired | CertificateProblem::OtherName | CertificateProblem::Untrusted => failure.message(),
    }
}

impl TlsProblem {
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        match (&result.outcome.failure, &result.outcome.response) {
            (Some(failure), _) if result.outcome.step == PollStep::Handshake => Self::diagnose_handshake(result, failure, trials).await,
            (Some(failure), _) => Self::diagnose_failure(result, failure, trials).await,
            (None, Some(response)) => Self::diagnose_response(result, response, trials).await,
            (None, None) => None,
        }
    }

    async fn diagnose_handshake(result: &ClientResult, failure: &Failure, trials: &mut TrialPolls<'_>) -> Option<Self> {
        if trials.with_scheme(result, "http").await.is_some_and(|response| !response.expects_tls) {
            return Some(Self::SpeaksHttp);
        }
        if failure.class() == FailureClass::Timeout {
            return None;
        }
        if concerns_client_certificate(failure) {
            return Some(Self::ClientCertificate);
        }
        // The trials become more and more lenient: the first that succeeds names the requirement that the client does not meet.
        let profile = &result.client.profile;
        let mut lenient = result.request.clone();
        lenient.profile.verifies = false;
        if profile.verifies && trials.status(&lenient).await.is_some() {
            return Some(Self::Certificate { why: certificate_problem(failure).to_owned(), problem: failure.into() });
        }
        lenient.profile.server_name = true;
        if !profile.server_name && trials.status(&lenient).await.is_some() {
            return Some(Self::ServerName);
        }
        lenient.profile.tls13 = true;
        if !profile.tls13 && trials.status(&lenient).await.is_some() {
            return Some(Self::OnlyTls13);
        }
        Some(Self::Handshake(failure.message().to_owned()))
    }

    async fn diagnose_failure(result: &ClientResult, failure: &Failure, trials: &mut TrialPolls<'_>) -> Option<Self> {
        // With TLS 1.3 the client learns only after the handshake that its certificate is missing.
        if failure.class() == FailureClass::Tls && concerns_client_certificate(failure) {
            return Some(Self::ClientCertificate);
        }
        if failure.detail() == Some(FailureDetail::ExpectsTls) {
            return Some(Self::SpeaksHttps);
        }
        let no_headers = result.outcome.step == PollStep::Headers && failure.class() != FailureClass::Timeout;
        let expects_tls = no_headers && result.request.url.scheme() == "http" && trials.with_scheme(result, "https").await.is_some();
        expects_tls.then_some(Self::SpeaksHttps)
    }

    async fn diagnose_response(result: &ClientResult, response: &PollResponse, trials: &mut TrialPolls<'_>) -> Option<Self> {
        match response.status {
            StatusCode::BAD_REQUEST if requires_tls(&response.body) => Some(Self::SpeaksHttps),
            StatusCode::BAD_REQUEST if requires_client_certificate(&response.body) => Some(Self::ClientCertificate),
            // Apache httpd completes the handshake without SNI, and then rejects the request.
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST
                if result.request.url.scheme() == "https" && !result.client.profile.server_name =>
            {
                let mut named = result.request.clone();
                named.profile.server_name = true;
                named.host = named.host.or_else(|| HeaderValue::from_str(trials.host_of_url()).ok());
                trials.succeeds(result, &named).await.then_some(Self::ServerName)
            }
            _ => None,
        }
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        let host = context.target.url.host_str().unwrap_or_default();
        match self {
            Self::Handshake(why) => explanation(
                "tls_handshake",
                "The TLS handshake fails",
                why,
                [
                    "Offer TLS 1.2 with an ECDHE AES-GCM cipher suite, do not require a client certificate, and configure a default \
                     certificate: most clients send no server name (SNI).",
                    "If the server offers only older cipher suites (CBC, RSA key exchange), a load balancer may support them; the doctor \
                     does not.",
                    "If no site has the requested name, Caddy ends the handshake (set `default_sni NAME`), and so does nginx with \
                     `ssl_reject_handshake`.",
                ],
            ),
            Self::ClientCertificate => explanation(
                "client_certificate",
                "The server requires a client certificate, and none of these clients sends one",
                first.received(),
                [
                    "Serve the health check without client certificates (nginx: `ssl_verify_client optional`, and check \
                     `$ssl_client_verify` in every other location), or on a port of its own.",
                    USE_ALLSWELL_PORT,
                ],
            ),
            Self::ServerName => explanation(
                "server_name",
                "The server requires a server name (SNI), and this client sends none",
                "the server responds if the TLS handshake contains the URL's host name",
                [
                    "Configure a default certificate for clients without SNI (nginx: a `default_server` without `ssl_reject_handshake`).",
                    "Caddy: set `default_sni NAME` in the global options. Apache: remove `SSLStrictSNIVHostCheck on`.",
                    "HAProxy: `check-sni`. Envoy: `sni` of the cluster's transport socket. AWS load balancers cannot send SNI in health \
                     checks.",
                ],
            ),
            Self::OnlyTls13 => explanation(
                "tls13_only",
                "The server accepts only TLS 1.3, but the load balancer's health checks use TLS 1.2",
                "the handshake fails with TLS 1.2 and succeeds with TLS 1.3",
                [
                    "Allow TLS 1.2 as well as TLS 1.3.",
                    "ALB: give the HTTPS listener a security policy with TLS 1.3; its health checks then use TLS 1.3.",
                ],
            ),
            Self::Certificate { why, problem } => {
                explanation("certificate", "The server's certificate fails verification", why, certificate_fix(*problem, host))
            }
            Self::SpeaksHttp => explanation(
                "speaks_http",
                "The port speaks plain HTTP, but the health check uses HTTPS",
                "the server responds without TLS",
                ["Set the health check protocol to HTTP, or the health check port to one with TLS."],
            ),
            Self::SpeaksHttps => explanation(
                "speaks_https",
                "The port expects TLS, but the health check uses plain HTTP",
                first.received(),
                ["Set the health check protocol to HTTPS, or the health check port to one without TLS."],
            ),
        }
    }
}

/// Whether the server requires a client certificate, or rejects the absence of one.
fn concerns_client_certificate(failure: &Failure) -> bool {
    matches!(failure.detail(), Some(FailureDetail::ClientCertificateRequired | FailureDetail::ClientCertificateRejected))
}

/// The fix depends on why the certificate fails verification.
pub(in crate::doctor) fn certificate_fix(problem: CertificateProblem, name: &str) -> Vec<String> {
    match problem {
        CertificateProblem::Expired => vec!["Renew the certificate.".to_owned()],
        CertificateProblem::OtherName | CertificateProblem::NoName => vec![
            format!("Use a certificate whose subjectAltName contains `{name}`."),
            "Consul: set `tls_server_name` to a name that the certificate contains.".to_owned(),
        ],
        CertificateProblem::SelfSigned | CertificateProblem::Version1 | CertificateProblem::Untrusted => vec![
            "Use a certificate from an issuer that the client trusts, or add the issuer to the client's trusted CAs (Consul: `ca_file`)."
                .to_owned(),
            "Or turn off certificate verification in the client (Consul: `tls_skip_verify = true`).".to_owned(),
        ],
    }
}
