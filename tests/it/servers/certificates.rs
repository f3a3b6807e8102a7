//! A certificate authority of the tests, and a server certificate for `localhost`.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// PEM files.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Creates files in a folder; the certificate expires at the end of the century.
    pub(crate) fn new(directory: &Path) -> Self {
        Self::until(directory, end_of_century())
    }

    /// The same with a server certificate that expires soon.
    pub(crate) fn for_a_while(directory: &Path, validity: Duration) -> Self {
        Self::until(directory, SystemTime::now() + validity)
    }

    /// The same with a server certificate that expired years ago.
    pub(crate) fn expired(directory: &Path) -> Self {
        Self::until(directory, UNIX_EPOCH + 11_000 * DAY)
    }

    /// The same with an RSA-4096 key.
    pub(crate) fn of_rsa(directory: &Path) -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096).expect("a key");
        Self::with_key(directory, &key, end_of_century())
    }

    fn until(directory: &Path, end: SystemTime) -> Self {
        Self::with_key(directory, &KeyPair::generate().expect("a key"), end)
    }

    fn with_key(directory: &Path, server_key: &KeyPair, end: SystemTime) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "the tests' authority");
        let authority = parameters.self_signed(&key).expect("an authority").pem();
        let issuer = Issuer::new(parameters, key);
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        parameters.distinguished_name.push(DnType::CommonName, "localhost");
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(1970, 1, 1) + end.duration_since(UNIX_EPOCH).expect("a time");
        let certificate = parameters.signed_by(server_key, &issuer).expect("a certificate");
        let file = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let files = Self {
            authority: file("ca.pem", authority),
            certificate: file("cert.pem", certificate.pem()),
            key: file("key.pem", server_key.serialize_pem()),
        };
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("permissions");
        files
    }
}

fn end_of_century() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(4_070_908_800)
}
