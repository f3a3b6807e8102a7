//! Classifies TLS errors: which certificate is wrong and why, and which key of the configuration fixes it.

use super::verifier::{KeyNotHeld, NotPinned};
use crate::{
    contract::{BoxError, Failure, FailureDetail},
    wire::cause::find_cause,
};
use rustls::OtherError;
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

fn explain(error: &rustls::Error) -> (&'static str, Option<FailureDetail>) {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};
    match error {
        Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            ("the certificate has expired", Some(FailureDetail::CertificateExpired))
        }
        Tls::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            ("the certificate is not valid yet", None)
        }
        // An issuer with a trusted name and another key is not the trusted one.
        Tls::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::BadSignature | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => ("the certificate's issuer is not trusted", None),
        // A certificate without any name has another remedy than one for another host.
        Tls::InvalidCertificate(Certificate::NotValidForNameContext { presented, .. }) if presented.is_empty() => {
            ("the certificate has no subjectAltName, and so no host name: set `tls.verify = \"ca\"` or `tls.pinned_sha256`", None)
        }
        Tls::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            ("the certificate is for another name", Some(FailureDetail::CertificateForOtherName))
        }
        Tls::InvalidCertificate(Certificate::Other(other)) => (unaccepted(other), None),
        Tls::InvalidCertificate(_) => ("the certificate is not valid", None),
        Tls::InvalidMessage(_) => ("the port does not speak TLS", None),
        Tls::AlertReceived(Alert::UnrecognisedName) => ("the server has no certificate for the requested name", None),
        Tls::AlertReceived(Alert::CertificateRequired) => {
            ("the server requires a client certificate", Some(FailureDetail::ClientCertificateRequired))
        }
        Tls::AlertReceived(
            Alert::BadCertificate | Alert::UnknownCA | Alert::CertificateExpired | Alert::CertificateRevoked | Alert::CertificateUnknown,
        ) => ("the server rejected our client certificate", Some(FailureDetail::ClientCertificateRejected)),
        Tls::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) | Tls::PeerIncompatible(_) => {
            ("the server found no common cipher (static RSA and TLS 1.1 are not supported), or requires a client certificate", None)
        }
        Tls::AlertReceived(Alert::ProtocolVersion) => {
            ("the server supports neither TLS 1.2 nor TLS 1.3, and older versions are not supported here", None)
        }
        _ => ("the TLS handshake failed", None),
    }
}

/// Certificates that webpki rejects and OpenSSL may accept, and those that are not pinned.
fn unaccepted(OtherError(error): &OtherError) -> &'static str {
    match error.downcast_ref() {
        // As `openssl req -x509` creates one: an authority, which webpki does not accept as the certificate of a server.
        Some(webpki::Error::CaUsedAsEndEntity) => "the certificate is self-signed: name it in `tls.ca_file`",
        Some(webpki::Error::UnsupportedCertVersion) => "the certificate is X.509 version 1: name it in `tls.ca_file`",
        _ if error.is::<KeyNotHeld>() => {
            "the server does not have the private key of its certificate, or signs with an unsupported algorithm"
        }
        _ if error.is::<NotPinned>() => "the certificate is not one of `tls.pinned_sha256`",
        _ => "the certificate is not valid",
    }
}
