//! The common parts of rogue servers: certificates, sockets, and the transports to them.

use super::{
    case::{Transport, Trust},
    identity::{Authority, Flaw, Identity},
    peer::{Encryption, Peer, Rogue},
};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::{
    cell::Cell,
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

pub(super) const USER: &str = "wally";
pub(super) const PASSWORD: &str = "Zw7-rogue-k9Q";

pub(super) struct Lab {
    folder: TempDir,
    authority: Authority,
    proper: Identity,
    stranger: Identity,
    /// The key of a Google service account.
    key: KeyPair,
    sockets: Cell<usize>,
}

impl Lab {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new(folder.path());
        let (proper, stranger) = (authority.issue(Flaw::None), authority.issue(Flaw::SelfSigned));
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        fs::write(folder.path().join("file"), PASSWORD).expect("a file");
        Self { folder, authority, proper, stranger, key, sockets: Cell::new(0) }
    }

    /// A path for a socket in a new folder.
    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.sockets.set(self.sockets.get() + 1);
        self.folder.path().join(self.sockets.get().to_string()).join(name)
    }

    /// A rogue server behind a transport. Its script gets the path of a file with the password.
    pub(super) fn rogue(
        &self,
        transport: &Transport,
        socket: &Path,
        script: impl Fn(&mut Peer, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Rogue {
        let file = self.folder.path().join("file").display().to_string();
        let script = move |peer: &mut Peer| script(peer, &file);
        if transport.is_local() { Rogue::local(socket.to_owned(), script) } else { Rogue::new(transport.encryption.clone(), script) }
    }

    /// The same transport to a server with a proper certificate.
    pub(super) fn properly(&self, transport: &Transport) -> Transport {
        let encryption = match transport.encryption {
            Encryption::None => Encryption::None,
            Encryption::Immediate(_) => Encryption::Immediate(self.proper.server.clone()),
            Encryption::OnRequest(_) => Encryption::OnRequest(self.proper.server.clone()),
        };
        Transport { encryption, ..transport.clone() }
    }

    /// The transports to a server whose port either speaks TLS or does not.
    pub(super) fn transports(&self) -> Vec<Transport> {
        let by = |identity: &Identity| Encryption::Immediate(identity.server.clone());
        let (ca_file, pin) = (self.ca_file(), self.pin());
        vec![
            Transport::new("plain TCP", Trust::Plain, Encryption::None, ""),
            Transport::new("tls.verify = none", Trust::Unverified, by(&self.stranger), "tls.verify = \"none\"\n"),
            Transport::new("tls.ca_file", Trust::Verified, by(&self.proper), &ca_file),
            Transport::new("tls.verify = ca", Trust::Verified, by(&self.proper), &format!("{ca_file}tls.verify = \"ca\"\n")),
            Transport::new("tls.pinned_sha256", Trust::Verified, by(&self.stranger), &pin),
            Transport::new("the system's authorities", Trust::Failed, by(&self.stranger), ""),
            Transport::new("tls.ca_file", Trust::Failed, by(&self.stranger), &ca_file),
            Transport::new("Unix socket", Trust::Local, Encryption::None, ""),
        ]
    }

    /// The transports to a server whose protocol starts in plaintext and can switch to TLS. `modes` are the values of `parameter` in the URL.
    pub(super) fn sql_transports(&self, parameter: &str, modes: [&str; 5]) -> Vec<Transport> {
        let by = |identity: &Identity| Encryption::OnRequest(identity.server.clone());
        let [disable, prefer, require, verify_ca, verify_full] = modes.map(|mode| format!("{parameter}={mode}"));
        let (ca_file, pin) = (self.ca_file(), self.pin());
        let allow = "allow_cleartext_password = true\n";
        let with = |transport: Transport, mode: &str| Transport { mode: Some(mode.to_owned()), ..transport };
        let (plain, unverified) = (
            || Transport::new("plain TCP", Trust::Plain, Encryption::None, ""),
            || Transport::new("self-signed", Trust::Unverified, by(&self.stranger), ""),
        );
        let mut transports = vec![
            with(plain(), &disable),
            plain(),
            with(plain(), &prefer),
            unverified(),
            with(unverified(), &prefer),
            with(unverified(), &require),
            Transport::new("tls.verify = none", Trust::Unverified, by(&self.stranger), "tls.verify = \"none\"\n"),
            Transport::new("tls.ca_file", Trust::Verified, by(&self.proper), &ca_file),
            with(Transport::new("tls.ca_file", Trust::Verified, by(&self.proper), &ca_file), &verify_ca),
            with(Transport::new("tls.ca_file", Trust::Verified, by(&self.proper), &ca_file), &verify_full),
            Transport::new("tls.pinned_sha256", Trust::Verified, by(&self.stranger), &pin),
            Transport::new("tls.ca_file", Trust::Failed, by(&self.stranger), &ca_file),
            with(Transport::new("the system's authorities", Trust::Failed, by(&self.stranger), ""), &verify_ca),
            with(Transport::new("the system's authorities", Trust::Failed, by(&self.stranger), ""), &verify_full),
            with(Transport::new("TLS not offered", Trust::Failed, Encryption::None, ""), &require),
            with(Transport::new("TLS not offered", Trust::Failed, Encryption::None, ""), &verify_full),
            Transport::new("Unix socket", Trust::Local, Encryption::None, ""),
        ];
        for transport in [plain(), with(unverified(), &require), Transport::new("tls.ca_file", Trust::Failed, by(&self.stranger), &ca_file)]
        {
            transports.push(Transport { keys: format!("{}{allow}", transport.keys), allowed: true, ..transport });
        }
        transports
    }

    fn ca_file(&self) -> String {
        format!("tls.ca_file = \"{}\"\n", self.authority.file.display())
    }

    fn pin(&self) -> String {
        format!("tls.pinned_sha256 = [\"{}\", \"{}\"]\n", self.stranger.fingerprint(), self.proper.fingerprint())
    }

    /// The key file of a Google service account.
    pub(super) fn service_account(&self) -> String {
        let key = self.key.serialize_pem();
        serde_json::json!({
            "type": "service_account", "private_key": key, "private_key_id": "1", "client_email": "a@b.iam.gserviceaccount.com",
        })
        .to_string()
    }

    /// A line from the middle of its private key.
    pub(super) fn private_key(&self) -> String {
        self.key.serialize_pem().lines().nth(5).expect("a long key").trim().to_owned()
    }
}
