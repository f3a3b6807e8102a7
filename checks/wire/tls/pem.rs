//! Reads PEM files as leniently as OpenSSL does, and names what cannot be used.
//!
//! Files that people make have byte-order marks, text around the blocks, indented lines, blocks that are joined without a newline, and OpenSSL's
//! own labels. <https://www.rfc-editor.org/rfc/rfc7468#section-2>

use crate::contract::{Failure, FailureClass};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use std::{
    borrow::Cow,
    error::Error,
    fs,
    io::{self, Read},
    path::Path,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The largest file. The bundles of all public authorities have less than 1 MiB.
const MAX_BYTES: u64 = 16 << 20;

/// Why a PEM file cannot be used. Its text continues a sentence that begins with the file: "has no certificate".
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct PemError {
    reason: Cow<'static, str>,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl PemError {
    fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), cause: None }
    }

    fn because(reason: &'static str, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { reason: reason.into(), cause: Some(Box::new(cause)) }
    }

    /// The failure of a probe that needs the file in a key of the configuration.
    pub(super) fn in_key(self, key: &'static str) -> Failure {
        let failure = unusable(key, &self.reason);
        match self.cause {
            Some(cause) => failure.because(cause.to_string()),
            None => failure,
        }
    }
}

/// The certificates of a PEM file; at least one. This blocks.
///
/// # Errors
///
/// What the file is or has instead.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = read(file)?;
    let mut found = Vec::new();
    for block in blocks(&text) {
        match block.label {
            "CERTIFICATE" | "X509 CERTIFICATE" => found.push(block.decode()?.into()),
            // OpenSSL's own format: the certificate, and then what it is trusted for.
            "TRUSTED CERTIFICATE" => {
                let mut der = block.decode()?;
                let rest = X509Certificate::from_der(&der).map(|(rest, _)| rest.len());
                let rest = rest.map_err(|_| PemError::new("has a block that is no certificate"))?;
                der.truncate(der.len() - rest);
                found.push(der.into());
            }
            _ => {}
        }
    }
    if found.is_empty() { Err(PemError::new(without(&text, "certificate"))) } else { Ok(found) }
}

/// The first private key of a PEM file. This blocks.
///
/// # Errors
///
/// What the file is or has instead.
pub fn read_private_key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = read(file)?;
    for block in blocks(&text) {
        if block.label == "ENCRYPTED PRIVATE KEY" || (block.label.ends_with("PRIVATE KEY") && block.content.contains("ENCRYPTED")) {
            return Err(PemError::new("has an encrypted private key, which is not supported: decrypt it with `openssl pkey`"));
        }
        return Ok(match block.label {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(block.decode()?).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(block.decode()?).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(block.decode()?).into(),
            "OPENSSH PRIVATE KEY" => {
                return Err(PemError::new("has a private key of OpenSSH: convert it with `ssh-keygen -p -m PEM`"));
            }
            // Parameters of the key, and certificates.
            _ => continue,
        });
    }
    Err(PemError::new(without(&text, "private key")))
}

/// A file that cannot be used, with the reason in our words.
pub(super) fn unusable(key: &'static str, reason: &str) -> Failure {
    Failure::new(FailureClass::Tls, format!("the file in `{key}` {reason}"))
}

fn read(file: &Path) -> Result<String, PemError> {
    let unreadable = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "does not exist",
            io::ErrorKind::PermissionDenied => "must not be read by this user",
            io::ErrorKind::IsADirectory => "is a directory",
            _ => "cannot be read",
        };
        PemError::because(reason, error)
    };
    let kind = fs::metadata(file).map_err(unreadable)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        // Reading it may never end.
        return Err(PemError::new("is a pipe or a device, not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(PemError::new("is larger than the maximum of 16 MiB"));
    }
    match bytes.as_slice() {
        [] => Err(PemError::new("is empty")),
        // The beginning of a DER sequence of more than 127 bytes, as a certificate or PKCS #12 has it.
        [0x30, 0x80..=0x84, ..] => Err(PemError::new("is not PEM but binary (DER or PKCS #12): convert it with `openssl`")),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(PemError::new("is UTF-16, as PowerShell writes it: write it as ASCII")),
        // Text around the blocks may have any encoding.
        bytes => Ok(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// A block between `-----BEGIN LABEL-----` and `-----END LABEL-----`.
struct Block<'a> {
    label: &'a str,
    content: &'a str,
}

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    text.split("-----BEGIN ").skip(1).filter_map(|text| {
        let (label, rest) = text.split_once("-----")?;
        let (content, _) = rest.split_once("-----END ")?;
        Some(Block { label, content })
    })
}

impl Block<'_> {
    fn decode(&self) -> Result<Vec<u8>, PemError> {
        const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let digits: String = self.content.chars().filter(|character| !character.is_whitespace() && *character != '\u{feff}').collect();
        GeneralPurpose::new(&STANDARD, LENIENT)
            .decode(digits)
            .map_err(|error| PemError::because("has a block that is not valid base64", error))
    }
}

/// Says that a file lacks something, and what it has instead.
fn without(text: &str, what: &str) -> String {
    let has = |label: &str| blocks(text).any(|block| block.label.ends_with(label));
    let instead = match what {
        _ if text.contains("-----BEGIN ") && blocks(text).next().is_none() => ": its first block has no end",
        _ if has("PKCS7") => ", but PKCS #7: convert it with `openssl pkcs7 -print_certs`",
        "certificate" if has("PRIVATE KEY") => ", but a private key",
        "certificate" if has("CERTIFICATE REQUEST") => ", but a certificate request: name the signed certificate",
        "private key" if has("CERTIFICATE") => ", but a certificate",
        "private key" if has("PUBLIC KEY") => ", but a public key",
        _ => "",
    };
    format!("has no {what}{instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "MAMCAQE=";

    fn written(text: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("a file");
        file
    }

    /// The lengths of the certificates, or the message.
    fn found(text: impl AsRef<[u8]>) -> Result<Vec<usize>, String> {
        let found = read_certificates(written(text).path()).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|certificate| certificate.len()).collect())
    }

    fn key(text: &str) -> Result<usize, String> {
        let found = read_private_key(written(text).path()).map_err(|error| error.to_string())?;
        Ok(found.secret_der().len())
    }

    #[test]
    fn certificates_are_read_as_openssl_reads_them() {
        let block = |label: &str, content: &str| format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n");
        let plain = block("CERTIFICATE", CERTIFICATE);
        for text in [
            plain.clone(),
            format!("\u{feff}{plain}"),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', "  \n    "),
            format!("subject=CN = localhost\n\n{plain}\ntrailing"),
            plain.replace("MAMC", "MA\nMC"),
            plain.replace('=', ""),
            block("X509 CERTIFICATE", CERTIFICATE),
            format!("{}{plain}", block("EC PARAMETERS", "BggqhkjOPQMBBw==")),
        ] {
            assert_eq!(found(&text), Ok(vec![5]), "{text}");
        }
        assert_eq!(found(format!("{}{plain}", plain.trim_end())), Ok(vec![5, 5]), "joined without a newline");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_fault() {
        for (text, reason) in [
            ("", "is empty"),
            ("hello", "has no certificate"),
            ("-----BEGIN CERTIFICATE-----\nMAMC", "has no certificate: its first block has no end"),
            ("-----BEGIN CERTIFICATE-----\nMA!C\n-----END CERTIFICATE-----", "has a block that is not valid base64"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMAMC\n-----END RSA PRIVATE KEY-----", "has no certificate, but a private key"),
            (
                "-----BEGIN PKCS7-----\nMAMC\n-----END PKCS7-----",
                "has no certificate, but PKCS #7: convert it with `openssl pkcs7 -print_certs`",
            ),
        ] {
            assert_eq!(found(text), Err(reason.to_owned()));
        }
        assert!(found([0x30, 0x82, 1, 2]).is_err_and(|message| message.contains("binary")));
        assert!(found([0xff, 0xfe, b'-', 0]).is_err_and(|message| message.contains("UTF-16")));
        let of_path = |path: &str| read_certificates(Path::new(path)).expect_err("unusable").in_key("tls.ca_file").message().to_owned();
        assert_eq!(of_path("/none"), "the file in `tls.ca_file` does not exist");
        assert_eq!(of_path("/tmp"), "the file in `tls.ca_file` is a directory");
        assert_eq!(of_path("/dev/zero"), "the file in `tls.ca_file` is a pipe or a device, not a regular file");
    }

    #[test]
    fn an_encrypted_key_says_so() {
        let pem = |label: &str, content: &str| format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----");
        assert_eq!(key(&format!("{}{}", pem("EC PARAMETERS", "BggqhkjOPQMBBw=="), pem("EC PRIVATE KEY", CERTIFICATE))), Ok(5));
        for encrypted in [
            pem("ENCRYPTED PRIVATE KEY", CERTIFICATE),
            pem("RSA PRIVATE KEY", &format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{CERTIFICATE}")),
        ] {
            assert!(key(&encrypted).is_err_and(|message| message.contains("has an encrypted private key")), "{encrypted}");
        }
        assert!(key(&pem("OPENSSH PRIVATE KEY", CERTIFICATE)).is_err_and(|message| message.contains("ssh-keygen")));
        assert!(key(&pem("CERTIFICATE", CERTIFICATE)).is_err_and(|message| message.ends_with("has no private key, but a certificate")));
    }
}
