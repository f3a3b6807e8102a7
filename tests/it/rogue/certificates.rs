//! Which keys make a check trust which certificates, for every kind with TLS, and the messages of failures.

use super::{
    identity::{Authority, Flaw, Identity},
    peer::{Encryption, Peer, Rogue},
};
use crate::probing;
use allswell::{Aggregator, engine::Builder, kinds::Registry};
use rcgen::{BasicConstraints, IsCa};
use std::{collections::BTreeMap, fmt::Write, io};
use tempfile::TempDir;

/// The keys of a configuration about trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// No key: the authorities of the system.
    Nothing,
    /// `ca_file` has the authority of the tests.
    CaFile,
    /// `ca_file` has the certificate of the server.
    Itself,
    /// The authority of the tests, without a check of the name.
    CaFileAnyName,
    /// The certificate of the server, without a check of the name.
    ItselfAnyName,
    /// No verification.
    Unverified,
    /// The fingerprint, as OpenSSL prints it.
    Pinned,
    /// The fingerprint without colons and in lower case, as the second of two.
    PinnedPlainly,
    /// The fingerprint of another certificate.
    PinnedToAnother,
}

impl Keys {
    const ALL: [Self; 9] = [
        Self::Nothing,
        Self::CaFile,
        Self::Itself,
        Self::CaFileAnyName,
        Self::ItselfAnyName,
        Self::Unverified,
        Self::Pinned,
        Self::PinnedPlainly,
        Self::PinnedToAnother,
    ];

    fn text(self, authority: &Authority, identity: &Identity) -> String {
        let ca_file = format!("tls.ca_file = \"{}\"\n", authority.file.display());
        let itself = format!("tls.ca_file = \"{}\"\n", identity.file.display());
        let any_name = "tls.verify = \"ca\"\n";
        let zeros = "00".repeat(32);
        match self {
            Self::Nothing => String::new(),
            Self::CaFile => ca_file,
            Self::Itself => itself,
            Self::CaFileAnyName => ca_file + any_name,
            Self::ItselfAnyName => itself + any_name,
            Self::Unverified => "tls.verify = \"none\"\n".to_owned(),
            Self::Pinned => format!("tls.pinned_sha256 = [\"{}\"]\n", identity.fingerprint()),
            Self::PinnedPlainly => {
                let pin = identity.fingerprint().replace(':', "").to_ascii_lowercase();
                format!("tls.pinned_sha256 = [\"{zeros}\", \"{pin}\"]\n")
            }
            Self::PinnedToAnother => format!("tls.pinned_sha256 = [\"{zeros}\"]\n"),
        }
    }

    /// Whether the keys trust a server whose certificate has this flaw.
    fn trust(self, flaw: Flaw) -> bool {
        match self {
            Self::Nothing | Self::PinnedToAnother => false,
            Self::CaFile => flaw == Flaw::None,
            Self::CaFileAnyName => matches!(flaw, Flaw::None | Flaw::OtherName),
            Self::Itself => !matches!(flaw, Flaw::Expired | Flaw::OtherName),
            Self::ItselfAnyName => flaw != Flaw::Expired,
            Self::Unverified | Self::Pinned | Self::PinnedPlainly => true,
        }
    }

    /// Words, one of which must be in the message of the failure.
    const fn complaint(self, flaw: Flaw) -> &'static [&'static str] {
        match (self, flaw) {
            (Self::PinnedToAnother, _) => &["tls.pinned_sha256"],
            (_, Flaw::Authority) => &["self-signed", "CA"],
            (_, Flaw::Version1) => &["v1", "version 1"],
            // Both are wrong; the message may name either.
            (Self::Nothing, Flaw::Expired) => &["expired", "issuer", "not trusted"],
            (_, Flaw::Expired) => &["expired"],
            (Self::Nothing, Flaw::OtherName) | (_, Flaw::None | Flaw::SelfSigned) => &["self-signed", "issuer", "not trusted"],
            (_, Flaw::OtherName) => &["another name"],
        }
    }
}

/// Kinds with TLS, by their schemas.
fn kinds() -> Vec<&'static str> {
    Registry::builtin().kinds().filter(|kind| kind.schema["properties"]["tls"].is_object()).map(|kind| kind.name).collect()
}

/// A check without a password. SQL drivers do not verify certificates by default.
fn table(kind: &str, port: u16, keys: Keys) -> String {
    let mode = |mode: &str| if keys == Keys::Nothing { format!("?{mode}") } else { String::new() };
    let bucket = |more: &str| format!("bucket = \"media\"\nendpoint = \"https://localhost:{port}\"\nanonymous = true\n{more}");
    let own = match kind {
        "mysql" => format!("url = \"mysql://app@localhost:{port}/orders{}\"\n", mode("ssl-mode=VERIFY_IDENTITY")),
        "postgres" => format!("url = \"postgres://app@localhost:{port}/orders{}\"\n", mode("sslmode=verify-full")),
        "redis" => format!("url = \"rediss://localhost:{port}/0\"\n"),
        "rabbitmq" => format!("url = \"amqps://localhost:{port}/\"\n"),
        "celery" => format!("broker = \"rediss://localhost:{port}/0\"\n"),
        "http" => format!("url = \"https://localhost:{port}/\"\n"),
        "s3" | "gcs" => bucket(""),
        "azure_blob" => bucket("account = \"orders\"\n"),
        other => panic!("no server with TLS for the kind {other}"),
    };
    format!("kind = \"{kind}\"\n{own}")
}

/// Offers TLS as the protocol requires, and sends nothing afterwards.
fn speak(peer: &mut Peer, protocol: &str) -> io::Result<()> {
    match protocol {
        "postgres" => {
            peer.read(8)?;
            peer.write(b"S")?;
            peer.encrypt()
        }
        "mysql" => {
            let greeting = super::mysql::greeting("mysql_native_password", true);
            let length = u8::try_from(greeting.len()).expect("a short greeting");
            peer.write(&[&[length, 0, 0, 0], &*greeting].concat())?;
            peer.read(4 + 32)?;
            peer.encrypt()
        }
        _ => Ok(()),
    }?;
    peer.read_some().map(drop)
}

fn rogue(kind: &'static str, identity: &Identity) -> Rogue {
    let server = identity.server.clone();
    let sql = matches!(kind, "mysql" | "postgres");
    Rogue::new(if sql { Encryption::OnRequest(server) } else { Encryption::Immediate(server) }, move |peer| speak(peer, kind))
}

/// The name of a check, and class, message and cause of its failure.
type Failures = BTreeMap<String, (String, String, String)>;

/// Probes some checks at the same time.
fn failures(configuration: &str) -> Result<Failures, String> {
    let components = probing::loaded_from(configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut engine = components.into_iter().fold(Aggregator::builder(), Builder::component).build();
    let report = runtime.block_on(engine.probe_all(|_, _| {}));
    let failed = report.components.iter().filter_map(|(name, component)| {
        let failure = component.failure.as_ref()?;
        Some((name.to_string(), (failure.class.to_string(), failure.message.to_string(), format!("{:?}", failure.cause))))
    });
    Ok(failed.collect())
}

#[test]
fn each_certificate_is_trusted_only_with_the_keys_that_allow_it() {
    let folder = TempDir::new().expect("a folder");
    let authority = Authority::new(folder.path());
    let identities = Flaw::ALL.map(|flaw| (flaw, authority.issue(flaw)));
    let mut wrong = String::new();
    for kind in kinds() {
        let rogues = identities.each_ref().map(|(flaw, identity)| (flaw, identity, rogue(kind, identity)));
        for keys in Keys::ALL {
            let check = |(flaw, identity, rogue): &(&Flaw, &Identity, Rogue)| {
                let name = format!("{flaw:?}").to_ascii_lowercase();
                format!("[checks.{name}]\ntimeout = \"10s\"\n{}{}", table(kind, rogue.port, keys), keys.text(&authority, identity))
            };
            let failures = match failures(&rogues.iter().map(check).collect::<String>()) {
                Ok(failures) => failures,
                Err(refused) => {
                    let _ =
                        writeln!(wrong, "{kind}, {keys:?}: the configuration is refused: {}", refused.lines().next().unwrap_or_default());
                    continue;
                }
            };
            for (flaw, ..) in &rogues {
                let (class, message, cause) = &failures[&format!("{flaw:?}").to_ascii_lowercase()];
                let (is_trusted, complaint) = (keys.trust(**flaw), keys.complaint(**flaw));
                let is_right = if is_trusted {
                    class != "tls" && class != "internal"
                } else {
                    // For a certificate that OpenSSL accepts, the message names the key that allows it.
                    let names_the_key = !matches!(flaw, Flaw::Authority | Flaw::Version1) || message.contains("tls.");
                    class == "tls" && complaint.iter().any(|word| message.contains(word)) && names_the_key
                };
                if !is_right {
                    let _ = writeln!(
                        wrong,
                        "{kind}, {}, {keys:?}: trusted: {is_trusted}, or else {complaint:?}; found {class}: {message} ({cause})",
                        flaw.name()
                    );
                }
            }
        }
        for (.., rogue) in rogues {
            rogue.finish();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_certificate_that_is_no_authority_cannot_sign_another() {
    let folder = TempDir::new().expect("a folder");
    for (is_ca, year, word) in [
        (IsCa::NoCa, 2099, "issuer"),
        (IsCa::ExplicitNoCa, 2099, "issuer"),
        (IsCa::Ca(BasicConstraints::Unconstrained), 2001, "has expired"),
    ] {
        let authority = Authority::until(year, is_ca, folder.path());
        let identity = authority.issue(Flaw::None);
        for kind in ["http", "mysql", "postgres"] {
            for keys in [Keys::CaFile, Keys::CaFileAnyName] {
                let server = rogue(kind, &identity);
                let check = format!("[checks.{kind}]\n{}{}", table(kind, server.port, keys), keys.text(&authority, &identity));
                let failed = failures(&check).expect("a configuration").remove(kind);
                let (class, message, _) = failed.unwrap_or_else(|| panic!("{kind} believes it"));
                assert!(class == "tls" && message.contains(word), "{kind}: {class}: {message}");
                server.finish();
            }
        }
    }
}

#[test]
fn a_pin_together_with_verify_and_an_invalid_fingerprint_are_refused() {
    let pin = "00".repeat(32);
    for kind in kinds() {
        for (keys, word) in [
            (format!("tls.pinned_sha256 = [\"{pin}\"]\ntls.verify = \"ca\"\n"), "verify"),
            (format!("tls.pinned_sha256 = [\"{pin}\"]\ntls.verify = \"none\"\n"), "verify"),
            ("tls.pinned_sha256 = [\"00:11\"]\n".to_owned(), "pinned_sha256"),
            ("tls.verify = \"perhaps\"\n".to_owned(), "verify"),
        ] {
            let refused = probing::loaded(&format!("{}{keys}", table(kind, 1, Keys::CaFile))).err();
            let refused = refused.unwrap_or_else(|| panic!("{kind} takes {keys}"));
            assert!(refused.contains(word) && !refused.contains("no such key"), "{kind}, {keys}: {refused}");
        }
    }
}

#[test]
fn an_unverified_certificate_is_observed() {
    let folder = TempDir::new().expect("a folder");
    let identity = Authority::new(folder.path()).issue(Flaw::SelfSigned);
    let answer = |peer: &mut Peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    };
    let server = Rogue::new(Encryption::Immediate(identity.server.clone()), answer);
    let url = format!("kind = \"http\"\nurl = \"https://localhost:{}/\"\n", server.port);
    for (keys, expected) in [
        ("tls.verify = \"none\"\n".to_owned(), "none"),
        (format!("tls.pinned_sha256 = [\"{}\"]\n", identity.fingerprint()), ""),
        (format!("tls.ca_file = \"{}\"\n", identity.file.display()), ""),
    ] {
        let observed = probing::Probed::new(&format!("{url}{keys}")).observed("tls_verify");
        assert_eq!(observed.as_str().unwrap_or_default(), expected, "{keys}");
    }
    server.finish();
}

#[test]
fn an_unsupported_tls_version_is_named() {
    // <https://www.rfc-editor.org/rfc/rfc5246#section-7.2>: fatal alerts, as OpenSSL sends them where only static RSA, or only TLS 1.1, is left.
    for (alert, words) in [(40, ["static RSA", "CBC"]), (70, ["TLS 1.1", "TLS 1.2"])] {
        let server = Rogue::new(Encryption::None, move |peer| {
            peer.read_some()?;
            peer.write(&[21, 3, 3, 0, 2, 2, alert])
        });
        let table = format!("[checks.alert]\nkind = \"http\"\nurl = \"https://localhost:{}/\"\n", server.port);
        let (class, message, _) = failures(&table).expect("a configuration").remove("alert").expect("a failure");
        assert!(class == "tls" && words.iter().all(|word| message.contains(word)), "{class}: {message}");
        server.finish();
    }
}
