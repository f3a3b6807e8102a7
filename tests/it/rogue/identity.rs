//! Server certificates: proper ones, and some that OpenSSL accepts and rustls does not.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SigningKey, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The flaw of a certificate, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// None: issued by the authority of the tests for `localhost`.
    None,
    /// Self-signed.
    SelfSigned,
    /// Self-signed with CA:TRUE, as by `openssl req -x509`.
    Authority,
    /// X.509 version 1, self-signed: without extensions, and so without alternative names.
    Version1,
    /// Issued by the tests' authority, until the year 2001.
    Expired,
    /// Issued by the tests' authority, for `elsewhere.example`.
    OtherName,
}

impl Flaw {
    pub(super) const ALL: [Self; 6] = [Self::None, Self::SelfSigned, Self::Authority, Self::Version1, Self::Expired, Self::OtherName];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "proper",
            Self::SelfSigned => "self-signed",
            Self::Authority => "CA as its own server certificate",
            Self::Version1 => "X.509 v1",
            Self::Expired => "expired",
            Self::OtherName => "another name",
        }
    }
}

/// The authority of the tests, and its key.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// Its certificate.
    pub(super) file: PathBuf,
}

/// A server's certificate and key.
pub(super) struct Identity {
    pub(super) server: Arc<ServerConfig>,
    /// The certificate alone, as PEM.
    pub(super) file: PathBuf,
    pub(super) der: CertificateDer<'static>,
}

impl Authority {
    /// Creates an authority with its file in a folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self::until(2099, IsCa::Ca(BasicConstraints::Unconstrained), folder)
    }

    /// Creates an authority that may or may not sign, and expires in a year.
    pub(super) fn until(year: i32, is_ca: IsCa, folder: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = is_ca;
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(year, 1, 1);
        parameters.distinguished_name.push(DnType::CommonName, "the tests' authority");
        let file = folder.join("authority.pem");
        fs::write(&file, parameters.self_signed(&key).expect("an authority").pem()).expect("a file");
        Self { issuer: Issuer::new(parameters, key), folder: folder.to_owned(), file }
    }

    /// Issues a server certificate with a flaw.
    pub(super) fn issue(&self, flaw: Flaw) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let name = if flaw == Flaw::OtherName { "elsewhere.example" } else { "localhost" };
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(if flaw == Flaw::Expired { 2001 } else { 2099 }, 1, 1);
        if flaw == Flaw::Authority {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let der = match flaw {
            Flaw::Version1 => version_1(&key, name),
            Flaw::SelfSigned | Flaw::Authority => parameters.self_signed(&key).expect("a certificate").der().clone(),
            Flaw::None | Flaw::Expired | Flaw::OtherName => parameters.signed_by(&key, &self.issuer).expect("a certificate").der().clone(),
        };
        let file = self.folder.join(format!("{flaw:?}.pem"));
        fs::write(&file, pem(&der)).expect("a file");
        Identity { server: server(&der, &key), file, der }
    }
}

impl Identity {
    /// The SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub(super) fn fingerprint(&self) -> String {
        let digest = rcgen_digest(&self.der);
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

fn rcgen_digest(bytes: &[u8]) -> Vec<u8> {
    rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .expect("a suite of TLS 1.3")
        .common
        .hash_provider
        .hash(bytes)
        .as_ref()
        .to_vec()
}

fn server(certificate: &CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // The usual constructor compares key and certificate, but does not support version 1.
    let certified = CertifiedKey::new(vec![certificate.clone()], any_supported_type(&key).expect("a key"));
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver))
}

fn pem(der: &[u8]) -> String {
    let base64 = crate::secrets::base64_of(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A certificate without a version number, which means 1, and without extensions: RFC 5280, section 4.1.
fn version_1(key: &KeyPair, common_name: &str) -> CertificateDer<'static> {
    // ecdsa-with-SHA256, and the attribute commonName.
    let algorithm = der(0x30, &der(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
    let attribute = [der(0x06, &[0x55, 0x04, 0x03]), der(0x0c, common_name.as_bytes())].concat();
    let name = der(0x30, &der(0x31, &der(0x30, &attribute)));
    let validity = der(0x30, &[der(0x17, b"000101000000Z"), der(0x17, b"491231235959Z")].concat());
    let public = rcgen::PublicKeyData::subject_public_key_info(key);
    let signed = der(0x30, &[der(0x02, &[7]), algorithm.clone(), name.clone(), validity, name, public].concat());
    let signature = [vec![0], key.sign(&signed).expect("a signature")].concat();
    CertificateDer::from(der(0x30, &[signed, algorithm, der(0x03, &signature)].concat()))
}

/// A DER value with its tag and length.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("a short value");
    let [high, low] = length.to_be_bytes();
    let header = match length {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, value.to_vec()].concat()
}
