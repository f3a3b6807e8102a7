//! Whether a connection is encrypted and what the server must prove, in the words of each client library's URL parameters.

use crate::{contract::prelude::*, sql::server::encryption::Encryption, wire::tls::Verify};
use serde_json::Value;

/// What the parameters of one URL say about TLS.
#[derive(Default)]
pub(super) struct TlsWords {
    /// The strongest demand for encryption.
    encryption: Option<(Encryption, String)>,
    /// The parameter that turns TLS off.
    off: Option<String>,
    /// The strictest demand for verification.
    at_least: Option<(Verify, String)>,
    /// What a library verifies unless other parameters relax it.
    by_default: Option<Verify>,
    /// The most lenient permission.
    at_most: Option<(Verify, String)>,
}

/// The meaning of all parameters together.
#[derive(Debug, PartialEq)]
pub(super) struct TlsMode {
    pub(super) encryption: Encryption,
    pub(super) verify: Verify,
    /// Whether the URL has a mode; otherwise this is the default of MySQL's own client.
    pub(super) is_written: bool,
    /// The parameter that turns verification off, so that a file of roots has no effect.
    pub(super) unverified_by: Option<String>,
}

/// What one parameter says.
#[derive(Clone, Copy)]
enum TlsWord {
    Off,
    Encrypt(Encryption),
    AtLeast(Verify),
    ByDefault(Verify),
    AtMost(Verify),
}

use TlsWord::{AtLeast, AtMost, ByDefault, Encrypt, Off};
const ALWAYS: TlsWord = Encrypt(Encryption::Always);

impl TlsWords {
    /// Reads one parameter. `key` is its `name` in lower case without `-` and `_`. Returns whether the parameter is about TLS.
    ///
    /// # Errors
    ///
    /// The value has no meaning.
    pub(super) fn read(&mut self, key: &str, name: &str, value: &str) -> Result<bool, InvalidConfig> {
        let Some(words) = words(key, name, value)? else { return Ok(false) };
        for word in words {
            self.add(word, name);
        }
        Ok(true)
    }

    fn add(&mut self, word: TlsWord, name: &str) {
        let name = || name.to_owned();
        match word {
            Off => self.off = Some(name()),
            Encrypt(encryption) => {
                if self.encryption.as_ref().is_none_or(|(known, _)| *known == Encryption::IfOffered) {
                    self.encryption = Some((encryption, name()));
                }
            }
            AtLeast(verify) => {
                if self.at_least.as_ref().is_none_or(|(known, _)| rank(verify) > rank(*known)) {
                    self.at_least = Some((verify, name()));
                }
            }
            ByDefault(verify) => self.by_default = Some(verify),
            AtMost(verify) => {
                if self.at_most.as_ref().is_none_or(|(known, _)| rank(verify) < rank(*known)) {
                    self.at_most = Some((verify, name()));
                }
            }
        }
    }

    /// # Errors
    ///
    /// Two parameters contradict each other.
    pub(super) fn mode(self) -> Result<TlsMode, InvalidConfig> {
        let demand = self.at_least.as_ref().map(|(_, name)| name).or(self.encryption.as_ref().map(|(_, name)| name));
        if let Some(off) = self.off {
            return match demand {
                Some(other) => Err(contradiction(&off, other)),
                None => Ok(TlsMode { encryption: Encryption::Never, verify: Verify::None, is_written: true, unverified_by: None }),
            };
        }
        if let (Some((least, strict)), Some((most, lenient))) = (&self.at_least, &self.at_most)
            && rank(*least) > rank(*most)
        {
            return Err(contradiction(strict, lenient));
        }
        let wanted = self.at_least.map(|(verify, _)| verify).or(self.by_default);
        let most = self.at_most.as_ref().map_or(Verify::Full, |(verify, _)| *verify);
        let verify = wanted.map_or(Verify::None, |verify| if rank(verify) > rank(most) { most } else { verify });
        let written = self.encryption.map(|(encryption, _)| encryption);
        let encryption = match written {
            _ if verify != Verify::None => Encryption::Always,
            written => written.unwrap_or(Encryption::IfOffered),
        };
        let unverified_by = self.at_most.filter(|(verify, _)| *verify == Verify::None).map(|(_, name)| name);
        Ok(TlsMode { encryption, verify, is_written: written.is_some() || wanted.is_some(), unverified_by })
    }
}

const fn rank(verify: Verify) -> u8 {
    match verify {
        Verify::None => 0,
        Verify::Ca => 1,
        Verify::Full => 2,
    }
}

fn contradiction(one: &str, other: &str) -> InvalidConfig {
    InvalidConfig::new("url", format!("the parameters `{one}` and `{other}` contradict each other: remove one"))
}

/// The words of a parameter; `None` if it is not about TLS. The libraries are listed in `docs/urls.md`.
fn words(key: &str, name: &str, value: &str) -> Result<Option<Vec<TlsWord>>, InvalidConfig> {
    let is_on = || is_true(name, value);
    let either = |on: &[TlsWord], off: &[TlsWord]| Ok(Some(if is_on()? { on } else { off }.to_vec()));
    match key {
        "sslmode" => mode(name, value).map(Some),
        "ssl" if value.trim_start().starts_with('{') => node(value).map(Some),
        "ssl" => either(&[ALWAYS], &[Off]),
        "tls" => go(value).map(Some),
        "sslaccept" => prisma(value).map(Some),
        // Connector/J: TLS if the server offers it, unless `requireSSL` or `verifyServerCertificate` demands more.
        "usessl" => either(&[Encrypt(Encryption::IfOffered)], &[Off]),
        // The crates `mysql` and `mysql_async` verify everything unless other parameters relax that; Connector/J does not.
        "requiressl" if name.contains('_') => either(&[ALWAYS, ByDefault(Verify::Full)], &[]),
        "requiressl" => either(&[ALWAYS], &[]),
        "ssldisabled" => either(&[Off], &[]),
        "sslverifycert" | "verifyservercertificate" | "verifyca" | "rejectunauthorized" => {
            either(&[AtLeast(Verify::Ca)], &[AtMost(Verify::None)])
        }
        "sslverifyidentity" | "verifyidentity" | "sslcheckhostname" => either(&[AtLeast(Verify::Full)], &[AtMost(Verify::Ca)]),
        "sslverify" | "sslverifyservercert" => either(&[AtLeast(Verify::Full)], &[AtMost(Verify::None)]),
        "trustservercertificate" => either(&[AtMost(Verify::None)], &[]),
        "disablesslhostnameverification" => either(&[AtMost(Verify::Ca)], &[]),
        _ => Ok(None),
    }
}

fn is_true(name: &str, value: &str) -> Result<bool, InvalidConfig> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(InvalidConfig::new("url", format!("the parameter `{name}` must be `true` or `false`"))),
    }
}

/// The modes of MySQL's clients, of MariaDB's connectors (`trust`, `verify-full`), of .NET (`VerifyCA`, `None`) and of libpq, which some
/// libraries accept, too.
fn mode(name: &str, value: &str) -> Result<Vec<TlsWord>, InvalidConfig> {
    let word: String = value.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(match word.strip_prefix("sslmode").unwrap_or(&word) {
        "disabled" | "disable" | "none" => vec![Off],
        "preferred" | "prefer" => vec![Encrypt(Encryption::IfOffered)],
        "required" | "require" | "trust" => vec![ALWAYS],
        "verifyca" => vec![ALWAYS, AtLeast(Verify::Ca)],
        "verifyidentity" | "verifyfull" => vec![ALWAYS, AtLeast(Verify::Full)],
        _ => {
            let message =
                format!("`{name}` must be `DISABLED`, `PREFERRED`, `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`, in upper or lower case");
            return Err(InvalidConfig::new("url", message));
        }
    })
}

/// `tls` of go-sql-driver: <https://github.com/go-sql-driver/mysql#tls>.
fn go(value: &str) -> Result<Vec<TlsWord>, InvalidConfig> {
    Ok(match value.to_ascii_lowercase().as_str() {
        "true" | "1" => vec![ALWAYS, AtLeast(Verify::Full)],
        "false" | "0" => vec![Off],
        "skip-verify" => vec![ALWAYS, AtMost(Verify::None)],
        "preferred" => vec![Encrypt(Encryption::IfOffered)],
        _ => {
            return Err(InvalidConfig::new(
                "url",
                "`tls` names settings in the application's code: write `tls=true`, and the file of its CA in `tls.ca_file`",
            ));
        }
    })
}

/// `sslaccept` of Prisma: <https://www.prisma.io/docs/orm/overview/databases/mysql>.
fn prisma(value: &str) -> Result<Vec<TlsWord>, InvalidConfig> {
    match value {
        "strict" => Ok(vec![ALWAYS, AtLeast(Verify::Full)]),
        "accept_invalid_certs" => Ok(vec![ALWAYS, AtMost(Verify::None)]),
        _ => Err(InvalidConfig::new("url", "`sslaccept` must be `strict` or `accept_invalid_certs`")),
    }
}

/// `ssl` of mysql2 for Node.js, a JSON object. It verifies the chain by default, and the name only with `verifyIdentity`.
fn node(value: &str) -> Result<Vec<TlsWord>, InvalidConfig> {
    let Ok(Value::Object(members)) = serde_json::from_str(value) else {
        return Err(InvalidConfig::new("url", "`ssl` is not a JSON object: write `ssl={\"rejectUnauthorized\":true}`"));
    };
    if let Some(name) = ["ca", "cert", "key", "pfx"].into_iter().find(|name| members.contains_key(*name)) {
        return Err(InvalidConfig::new("url", format!("`ssl` contains `{name}`: name its file under `tls` instead")));
    }
    let is = |name: &str, default: bool| members.get(name).and_then(Value::as_bool).unwrap_or(default);
    Ok(match (is("rejectUnauthorized", true), is("verifyIdentity", false)) {
        (false, _) => vec![ALWAYS, AtMost(Verify::None)],
        (true, false) => vec![ALWAYS, AtLeast(Verify::Ca)],
        (true, true) => vec![ALWAYS, AtLeast(Verify::Full)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Encryption::{Always, IfOffered, Never};

    fn read(parameters: &[(&str, &str)]) -> Result<TlsMode, InvalidConfig> {
        let mut words = TlsWords::default();
        for (name, value) in parameters {
            let key: String = name.to_ascii_lowercase().chars().filter(|letter| !"-_".contains(*letter)).collect();
            assert!(words.read(&key, name, value)?, "{name}");
        }
        words.mode()
    }

    #[test]
    fn each_library_says_it_in_its_own_words() {
        for (parameters, expected) in [
            (&[][..], (IfOffered, Verify::None)),
            (&[("ssl-mode", "VERIFY_IDENTITY")], (Always, Verify::Full)),
            (&[("ssl_mode", "verify_ca")], (Always, Verify::Ca)),
            (&[("ssl_mode", "SSL_MODE_REQUIRED")], (Always, Verify::None)),
            (&[("sslMode", "verify-full")], (Always, Verify::Full)),
            (&[("sslMode", "trust")], (Always, Verify::None)),
            (&[("SslMode", "VerifyCA")], (Always, Verify::Ca)),
            (&[("sslmode", "require")], (Always, Verify::None)),
            (&[("ssl_mode", "DISABLED")], (Never, Verify::None)),
            (&[("ssl", "true")], (Always, Verify::None)),
            (&[("ssl", "0")], (Never, Verify::None)),
            (&[("ssl", "{}")], (Always, Verify::Ca)),
            (&[("ssl", r#"{"rejectUnauthorized":true}"#)], (Always, Verify::Ca)),
            (&[("ssl", r#"{"rejectUnauthorized":true,"verifyIdentity":true}"#)], (Always, Verify::Full)),
            (&[("ssl", r#"{"rejectUnauthorized":false}"#)], (Always, Verify::None)),
            (&[("tls", "true")], (Always, Verify::Full)),
            (&[("tls", "skip-verify")], (Always, Verify::None)),
            (&[("tls", "preferred")], (IfOffered, Verify::None)),
            (&[("sslaccept", "strict"), ("sslmode", "require")], (Always, Verify::Full)),
            (&[("sslaccept", "accept_invalid_certs")], (Always, Verify::None)),
            (&[("useSSL", "true")], (IfOffered, Verify::None)),
            (&[("useSSL", "true"), ("requireSSL", "true")], (Always, Verify::None)),
            (&[("useSSL", "true"), ("verifyServerCertificate", "true")], (Always, Verify::Ca)),
            (&[("useSSL", "false")], (Never, Verify::None)),
            (&[("require_ssl", "true")], (Always, Verify::Full)),
            (&[("require_ssl", "true"), ("verify_identity", "false")], (Always, Verify::Ca)),
            (&[("require_ssl", "true"), ("verify_ca", "false")], (Always, Verify::None)),
            (&[("ssl_verify_identity", "true")], (Always, Verify::Full)),
            (&[("ssl_verify_cert", "true")], (Always, Verify::Ca)),
            (&[("sslverify", "true")], (Always, Verify::Full)),
            (&[("ssl_check_hostname", "false")], (IfOffered, Verify::None)),
            (&[("ssl_disabled", "true")], (Never, Verify::None)),
        ] {
            let mode = read(parameters).expect("a mode");
            assert_eq!((mode.encryption, mode.verify), expected, "{parameters:?}");
        }
    }

    #[test]
    fn a_permission_is_not_a_mode_but_keeps_roots_from_being_used() {
        let mode = read(&[("ssl_verify_cert", "false")]).expect("a mode");
        assert!(!mode.is_written);
        assert_eq!(mode.unverified_by.as_deref(), Some("ssl_verify_cert"));
    }

    #[test]
    fn what_contradicts_itself_or_has_no_meaning_is_refused() {
        let message = |parameters: &[(&str, &str)]| read(parameters).expect_err("a refusal").message;
        assert_eq!(
            message(&[("ssl", r#"{"rejectUnauthorized":false}"#), ("sslaccept", "strict")]),
            "the parameters `sslaccept` and `ssl` contradict each other: remove one"
        );
        assert_eq!(
            message(&[("useSSL", "false"), ("sslMode", "VERIFY_CA")]),
            "the parameters `useSSL` and `sslMode` contradict each other: remove one"
        );
        assert_eq!(message(&[("ssl", "maybe")]), "the parameter `ssl` must be `true` or `false`");
        assert!(message(&[("ssl", "{'ca': '/ca.pem'}")]).contains("not a JSON object"));
        assert!(message(&[("ssl", r#"{"ca":"PEM"}"#)]).contains("name its file under `tls`"));
        assert!(message(&[("tls", "custom")]).contains("tls.ca_file"));
        assert!(message(&[("ssl-mode", "VERIFY")]).contains("VERIFY_IDENTITY"));
    }
}
