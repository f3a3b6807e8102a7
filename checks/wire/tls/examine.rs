//! Examines certificates and keys before they are used, and says what is wrong with them or what their peers may not accept.

use super::x509::{self, X509};
use rustls::{
    CertificateError,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// Why a certificate and a key cannot be used. Its text continues a sentence that begins with the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The file of the certificates.
    #[error("{0}")]
    Certificate(String),
    /// The file of the key.
    #[error("{0}")]
    Key(String),
}

/// Examines a chain of certificates, whose first one is that of the key, and returns warnings. Each continues a sentence that begins with the file
/// of the certificates.
///
/// # Errors
///
/// Why no TLS connection can use them.
pub fn examine_identity(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Result<Vec<String>, IdentityError> {
    let damaged = || IdentityError::Certificate("has a block that is no certificate".to_owned());
    let read: Vec<X509<'_>> = chain.iter().map(|der| X509::parse(der).map_err(|_| damaged())).collect::<Result<_, _>>()?;
    let leaf = read.first().ok_or_else(damaged)?;
    if !leaf.is_version_3() {
        let reason = "has a certificate of X.509 version 1, which the TLS library does not accept: sign it with extensions (`openssl x509 -extfile`)";
        return Err(IdentityError::Certificate(reason.to_owned()));
    }
    let Ok(signing) = any_supported_type(key) else {
        let reason = leaf.unsupported_key().map(|key| format!("has {key}: use RSA with 2,048 bits or more, or ECDSA with P-256"));
        let unknown = || {
            "has a private key that is damaged or of an unsupported type: use RSA with 2,048 bits or more, or ECDSA with P-256".to_owned()
        };
        return Err(IdentityError::Key(reason.unwrap_or_else(unknown)));
    };
    if let Some(public) = signing.public_key() {
        let is_of_key = |der: &CertificateDer<'_>| x509::public_key(der).is_ok_and(|found| found == public);
        match chain.iter().position(is_of_key) {
            Some(0) => {}
            Some(_) => {
                let reason =
                    "has the certificate of the key, but not as the first one: put it first, and the certificate of its issuer after it";
                return Err(IdentityError::Certificate(reason.to_owned()));
            }
            None => return Err(IdentityError::Key("has the key of another certificate: name the key of the first certificate".to_owned())),
        }
    }
    let mut warnings = Vec::new();
    match leaf.judge_now() {
        Err(CertificateError::Expired) => warnings.push(format!("has a certificate that expired on {}: renew it", leaf.last_day())),
        Err(CertificateError::NotValidYet) => {
            warnings.push(format!("has a certificate that is not valid before {}: check the clock of this machine", leaf.first_day()));
        }
        _ => {}
    }
    if read.iter().skip(1).any(|other| other.judge_now() == Err(CertificateError::Expired)) {
        warnings.push("has an intermediate certificate that has expired: replace it".to_owned());
    }
    let is_followed = read.windows(2).all(|pair| pair[0].is_issued_by(&pair[1]));
    if !leaf.is_issued_by(leaf) && !read.iter().skip(1).any(|issuer| leaf.is_issued_by(issuer)) {
        warnings.push(
            "has no certificate of the issuer: unless the peers trust that issuer itself, append the intermediate certificates".to_owned(),
        );
    } else if !is_followed {
        warnings
            .push("has its certificates in another order than that of the chain: each must be followed by that of its issuer".to_owned());
    }
    Ok(warnings)
}

/// A warning about certificates that are to be trusted: none of them is valid, or some can never verify anything.
#[must_use]
pub fn authority_warning(certificates: &[CertificateDer<'_>]) -> Option<String> {
    let read: Vec<_> = certificates.iter().map(X509::parse).collect();
    if read.iter().any(Result::is_err) {
        return Some("has a block that is no certificate".to_owned());
    }
    let invalid = read.iter().flatten().filter(|read| !read.is_valid_now()).count();
    (invalid == read.len()).then(|| "has no certificate that is valid now: every one has expired or is not valid yet".to_owned())
}
