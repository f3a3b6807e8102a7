//! A certificate authority of the tests' own, and a server's certificate for `localhost`.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// PEM files.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// New ones, in a folder.
    pub(crate) fn new(directory: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).expect("an authority").pem();
        let issuer = Issuer::new(parameters, key);
        let key = KeyPair::generate().expect("a key");
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).and_then(|own| own.signed_by(&key, &issuer)).expect("a certificate");
        let file = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let files = Self {
            authority: file("ca.pem", authority),
            certificate: file("cert.pem", certificate.pem()),
            key: file("key.pem", key.serialize_pem()),
        };
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("permissions");
        files
    }
}
