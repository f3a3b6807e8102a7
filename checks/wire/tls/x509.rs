//! Reads X.509 certificates of every version; webpki reads only version 3.

use rustls::{
    CertificateError,
    pki_types::{CertificateDer, DnsName, ServerName, SubjectPublicKeyInfoDer, UnixTime},
};
use std::net::IpAddr;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer, ParsedExtension, X509Version},
    public_key::PublicKey,
    time::ASN1Time,
};

/// A parsed certificate.
pub(super) struct X509<'a>(X509Certificate<'a>);

impl<'a> X509<'a> {
    /// Parses a certificate in DER.
    pub(super) fn parse(der: &'a CertificateDer<'_>) -> Result<Self, CertificateError> {
        X509Certificate::from_der(der).map(|(_, read)| Self(read)).map_err(|_| CertificateError::BadEncoding)
    }

    /// Whether it may sign other certificates: by its basicConstraints (RFC 5280, section 4.2.1.9). Without them as in OpenSSL: if its key
    /// may sign certificates, or if it is of version 1 and self-signed.
    pub(super) fn is_authority(&self) -> bool {
        let extension = |found: &dyn Fn(&ParsedExtension<'_>) -> Option<bool>| {
            self.0.extensions().iter().find_map(|extension| found(extension.parsed_extension()))
        };
        let constraints = extension(&|parsed| match parsed {
            ParsedExtension::BasicConstraints(constraints) => Some(constraints.ca),
            _ => None,
        });
        let usage = extension(&|parsed| match parsed {
            ParsedExtension::KeyUsage(usage) => Some(usage.key_cert_sign()),
            _ => None,
        });
        let is_old_root = self.0.version() != X509Version::V3 && self.0.subject() == self.0.issuer();
        constraints.or(usage).unwrap_or(is_old_root)
    }

    /// Whether the provider can verify signatures of its key: of RSA keys only those with at least 2,048 bits, and no RSA-PSS keys
    /// (1.2.840.113549.1.1.10, RFC 8017, appendix C).
    pub(super) fn has_supported_key(&self) -> bool {
        let key = self.0.public_key();
        let is_pss = key.algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.10";
        !is_pss && !matches!(key.parsed(), Ok(PublicKey::RSA(rsa)) if rsa.key_size() < 2048)
    }

    /// Whether it is valid now. webpki does not verify this for an authority.
    pub(super) fn is_valid_now(&self) -> bool {
        self.judge_dates(UnixTime::now()).is_ok()
    }

    /// Whether it can have extensions. Versions 1 and 2 cannot.
    pub(super) fn is_version_3(&self) -> bool {
        self.0.version() == X509Version::V3
    }

    /// Verifies that it is valid now.
    pub(super) fn judge_now(&self) -> Result<(), CertificateError> {
        self.judge_dates(UnixTime::now())
    }

    /// Whether the other certificate has the name of its issuer.
    pub(super) fn is_issued_by(&self, other: &X509<'_>) -> bool {
        self.0.issuer().as_raw() == other.0.subject().as_raw()
    }

    /// The day on which it becomes valid: `2026-01-31`.
    pub(super) fn first_day(&self) -> String {
        day(self.0.validity().not_before)
    }

    /// The day on which it expires.
    pub(super) fn last_day(&self) -> String {
        day(self.0.validity().not_after)
    }

    /// What its key is, if the provider cannot use it.
    pub(super) fn unsupported_key(&self) -> Option<String> {
        let key = self.0.public_key();
        match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() < 2048 => Some(format!("an RSA key of {} bits, which is too short", rsa.key_size())),
            Ok(PublicKey::EC(_)) => Some("a key on an elliptic curve that is not supported".to_owned()),
            Ok(PublicKey::DSA(_)) => Some("a DSA key, which TLS no longer supports".to_owned()),
            _ => None,
        }
    }

    /// Verifies that it is valid at this time.
    pub(super) fn judge_dates(&self, now: UnixTime) -> Result<(), CertificateError> {
        let (validity, now) = (self.0.validity(), i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        if now < validity.not_before.timestamp() {
            Err(CertificateError::NotValidYet)
        } else if now > validity.not_after.timestamp() {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Verifies that it is for this server: by its subjectAltName; without one, as in certificates of version 1, by its common name.
    pub(super) fn judge_name(&self, name: &ServerName<'_>) -> Result<(), CertificateError> {
        let names = self.0.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
        let is_for = match (names, name) {
            (Some(names), ServerName::DnsName(wanted)) => {
                names.iter().any(|name| matches!(name, GeneralName::DNSName(given) if is_name_of(given, wanted)))
            }
            (Some(names), ServerName::IpAddress(wanted)) => {
                let wanted = IpAddr::from(*wanted);
                names.iter().any(|name| matches!(name, GeneralName::IPAddress(given) if address(given) == Some(wanted)))
            }
            (None, wanted) => {
                let wanted = wanted.to_str();
                let mut given = self.0.subject().iter_common_name().filter_map(|given| given.as_str().ok());
                given.any(|given| DnsName::try_from(&*wanted).map_or(*given == *wanted, |wanted| is_name_of(given, &wanted)))
            }
            _ => false,
        };
        if is_for { Ok(()) } else { Err(CertificateError::NotValidForName) }
    }
}

/// The public key of a certificate.
pub(super) fn public_key<'a>(der: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, CertificateError> {
    let (_, read) = X509Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
    Ok(SubjectPublicKeyInfoDer::from(read.tbs_certificate.subject_pki.raw))
}

/// The data of the channel binding `tls-server-end-point` for this certificate: a hash of it, by the hash function of its signature, but at
/// least SHA-256. `None` for signatures without one, such as Ed25519, for which it is not defined.
/// <https://www.rfc-editor.org/rfc/rfc5929#section-4.1>
#[cfg(feature = "postgres")]
pub(super) fn end_point(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    use x509_parser::signature_algorithm::SignatureAlgorithm;
    let (_, read) = X509Certificate::from_der(der).ok()?;
    let written = read.signature_algorithm.algorithm.to_id_string();
    let algorithm = match &*written {
        // MD5 and SHA-1, with RSA and ECDSA, and SHA-256.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => &SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => match SignatureAlgorithm::try_from(&read.signature_algorithm).ok()? {
            SignatureAlgorithm::RSASSA_PSS(parameters) => match &*parameters.hash_algorithm_oid().to_id_string() {
                "2.16.840.1.101.3.4.2.2" => &SHA384,
                "2.16.840.1.101.3.4.2.3" => &SHA512,
                _ => &SHA256,
            },
            _ => return None,
        },
    };
    Some(digest(algorithm, der).as_ref().to_vec())
}

/// Whether a name in a certificate, whose first label may be `*`, matches a name: RFC 9525, section 6.3.
fn is_name_of(given: &str, wanted: &DnsName<'_>) -> bool {
    let wanted = wanted.as_ref().trim_end_matches('.');
    match given.strip_prefix("*.") {
        Some(rest) => wanted.split_once('.').is_some_and(|(_, wanted)| wanted.contains('.') && rest.eq_ignore_ascii_case(wanted)),
        None => given.eq_ignore_ascii_case(wanted),
    }
}

fn day(time: ASN1Time) -> String {
    let date = time.to_datetime().date();
    format!("{}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        let is = |given, wanted| is_name_of(given, &DnsName::try_from(wanted).expect("a name"));
        assert!(is("db.internal", "DB.internal") && is("*.db.internal", "a.db.internal"));
        assert!(!is("*.db.internal", "db.internal") && !is("*.db.internal", "a.b.db.internal") && !is("*.internal", "db.internal"));
    }
}
