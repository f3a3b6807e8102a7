//! Classifies TLS errors: which certificate is wrong and why, and which key of the configuration fixes it.

use super::{
    client_auth::ClientCertificate,
    verifier::{KeyNotHeld, NotPinned, UnsupportedKey},
};
use crate::{
    contract::{BoxError, Failure, FailureDetail},
    wire::cause::find_cause,
};
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls, OtherError, PeerIncompatible as Incompatible};
use std::{error::Error, io};

/// Whether an error, or one of its causes, comes from TLS.
#[must_use]
pub fn is_tls(error: &(dyn Error + 'static)) -> bool {
    find_cause::<rustls::Error>(error).is_some()
}

/// Classifies an I/O error of a connection that may be encrypted.
#[must_use]
pub fn io_failure(error: io::Error) -> Failure {
    if is_tls(&error) { failure(error) } else { Failure::network(error) }
}

/// Classifies an error whose cause is TLS.
pub fn failure(error: impl Into<BoxError>) -> Failure {
    let error = error.into();
    let (message, detail) = find_cause(&*error).map_or(("the TLS handshake failed", None), explain);
    let failure = Failure::tls(error).saying(message);
    match detail {
        Some(detail) => failure.detailed(detail),
        None => failure,
    }
}

/// Classifies an error of the handshake. Most servers have only general alerts for a client without a certificate, or with a wrong one.
pub(super) fn handshake_failure(error: io::Error, client_certificate: &ClientCertificate) -> Failure {
    let is_about_client = match find_cause(&error) {
        Some(Tls::AlertReceived(Alert::HandshakeFailure | Alert::AccessDenied)) => client_certificate.is_asked_for(),
        Some(Tls::AlertReceived(alert)) => is_about_certificate(*alert),
        _ => false,
    };
    let failure = io_failure(error);
    match (is_about_client, client_certificate.exists()) {
        (true, true) => failure.saying(CERTIFICATE_REJECTED).detailed(FailureDetail::ClientCertificateRejected),
        (true, false) => failure.saying(CERTIFICATE_REQUIRED).detailed(FailureDetail::ClientCertificateRequired),
        (false, _) => failure,
    }
}

const CERTIFICATE_REQUIRED: &str = "the server requires a client certificate";
const CERTIFICATE_REJECTED: &str = "the server rejected our client certificate";

/// Whether an alert of the server is about the client's certificate.
fn is_about_certificate(alert: Alert) -> bool {
    use Alert as A;
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::UnknownCA
            | A::CertificateExpired
            | A::CertificateRevoked
            | A::CertificateUnknown
    )
}

fn explain(error: &rustls::Error) -> (&'static str, Option<FailureDetail>) {
    match error {
        Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            ("the certificate has expired", Some(FailureDetail::CertificateExpired))
        }
        Tls::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            ("the certificate is not valid yet: is the clock of this machine right?", None)
        }
        // An issuer with a trusted name and another key is not the trusted one.
        Tls::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::BadSignature | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => ("the certificate's issuer is not trusted", None),
        // A certificate without any name has another remedy than one for another host.
        Tls::InvalidCertificate(Certificate::NotValidForNameContext { presented, .. }) if presented.is_empty() => (
            "the certificate has no subjectAltName, and so no host name: set `tls.verify = \"ca\"` or `tls.pinned_sha256`",
            Some(FailureDetail::CertificateWithoutName),
        ),
        Tls::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            ("the certificate is for another name", Some(FailureDetail::CertificateForOtherName))
        }
        Tls::InvalidCertificate(Certificate::Other(other)) => unaccepted(other),
        Tls::InvalidCertificate(other) => (invalid(other), None),
        Tls::InvalidMessage(_) => ("the port does not speak TLS", None),
        Tls::AlertReceived(alert) => explain_alert(*alert),
        Tls::PeerIncompatible(Incompatible::ServerDoesNotSupportTls12Or13 | Incompatible::ServerTlsVersionIsDisabledByOurConfig) => {
            (TOO_OLD, None)
        }
        Tls::PeerIncompatible(_) => (NOTHING_IN_COMMON, None),
        _ => ("the TLS handshake failed", None),
    }
}

const TOO_OLD: &str = "the server offers TLS 1.1 at most, and TLS 1.2 or 1.3 is required";
const NOTHING_IN_COMMON: &str =
    "no common cipher suite: the server may offer only static RSA, DHE or CBC, or a key of an unsupported type, which are not supported";

/// The alerts of <https://www.rfc-editor.org/rfc/rfc8446#section-6.2>, as servers use them.
fn explain_alert(alert: Alert) -> (&'static str, Option<FailureDetail>) {
    match alert {
        Alert::UnrecognisedName => ("the server has no certificate for the requested name", None),
        Alert::CertificateRequired => (CERTIFICATE_REQUIRED, Some(FailureDetail::ClientCertificateRequired)),
        // With TLS 1.3 it arrives after the handshake, and some servers send it also for a missing certificate.
        alert if is_about_certificate(alert) => (CERTIFICATE_REJECTED, Some(FailureDetail::ClientCertificateRejected)),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => (NOTHING_IN_COMMON, None),
        Alert::ProtocolVersion => (TOO_OLD, None),
        Alert::AccessDenied => ("the server denies access to this client", None),
        Alert::NoApplicationProtocol => ("the server does not accept the application protocol (ALPN)", None),
        Alert::InternalError => ("the server had an internal error in the TLS handshake", None),
        _ => ("the server ended the TLS handshake with an alert", None),
    }
}

/// Certificates that webpki rejects and OpenSSL may accept, and those that are not pinned.
fn unaccepted(OtherError(error): &OtherError) -> (&'static str, Option<FailureDetail>) {
    match error.downcast_ref() {
        // As `openssl req -x509` creates one: an authority, which webpki does not accept as the certificate of a server.
        Some(webpki::Error::CaUsedAsEndEntity) => {
            ("the certificate is self-signed: name it in `tls.ca_file`", Some(FailureDetail::CertificateSelfSigned))
        }
        Some(webpki::Error::UnsupportedCertVersion) => {
            ("the certificate is X.509 version 1: name it in `tls.ca_file`", Some(FailureDetail::CertificateVersion1))
        }
        _ if error.is::<KeyNotHeld>() => {
            ("the server does not have the private key of its certificate, or signs with an unsupported algorithm", None)
        }
        _ if error.is::<UnsupportedKey>() => {
            ("a certificate of the server has an unsupported key: RSA with fewer than 2,048 bits, or RSA-PSS", None)
        }
        _ if error.is::<NotPinned>() => ("the certificate is not one of `tls.pinned_sha256`", None),
        _ => ("the certificate is not valid", None),
    }
}

fn invalid(error: &Certificate) -> &'static str {
    match error {
        Certificate::BadEncoding => "the certificate cannot be read",
        Certificate::Revoked => "the certificate is revoked",
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "the certificate is not for servers: its extended key usage says otherwise"
        }
        Certificate::UnsupportedSignatureAlgorithmContext { .. } => {
            "the certificate is signed with an unsupported algorithm, such as SHA-1"
        }
        Certificate::UnhandledCriticalExtension => "the certificate has a critical extension that is not supported",
        _ => "the certificate is not valid",
    }
}
