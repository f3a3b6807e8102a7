//! The keys under `tls`: which servers a check trusts, and its client certificate.

use crate::contract::{ConfigWarning, InvalidConfig, from_text};
use rustls::pki_types::ServerName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::{borrow::Cow, fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// TLS settings of a check. The files are PEM, and read again for each connection, so that they can be replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct TlsKeys {
    /// Certificates to trust instead of the system's: CA certificates, and certificates of servers, each trusted for itself only.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and its intermediates, if the server requires one.
    pub client_certificate_file: Option<PathBuf>,
    /// Private key of the client certificate.
    pub client_key_file: Option<PathBuf>,
    /// Name that the server's certificate must have, if it is not the host.
    pub server_name: Option<String>,
    /// What the server's certificate must prove: `full` (default), `ca` or `none`.
    pub verify: Option<Verify>,
    /// SHA-256 fingerprints of the only server certificates to trust, whatever their issuer, name and dates: 64 hexadecimal digits, with or
    /// without colons.
    pub pinned_sha256: Vec<Fingerprint>,
}

/// What the server's certificate must prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Verify {
    /// A trusted authority signed it, and it is for this host.
    #[default]
    Full,
    /// A trusted authority signed it, for any host. Without `ca_file` that is any public authority, which proves little.
    Ca,
    /// Nothing: every certificate is accepted. Reports say so.
    None,
}

impl TlsKeys {
    /// Whether no key is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the server's certificate is verified at all.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        !self.pinned_sha256.is_empty() || self.verify != Some(Verify::None)
    }

    /// Whether verification proves the identity of the server. A certificate of any public authority for any host does not.
    #[must_use]
    pub fn proves_identity(&self) -> bool {
        self.is_verified() && (self.verify != Some(Verify::Ca) || self.ca_file.is_some())
    }

    /// Rejects combinations of keys that make no sense.
    ///
    /// # Errors
    ///
    /// The key that is wrong. `encrypted` says whether there is TLS at all; `instead` is what to write in the URL to get it.
    pub fn validate(&self, encrypted: bool, instead: &str) -> Result<(), InvalidConfig> {
        if !encrypted && !self.is_empty() {
            return Err(InvalidConfig::new("tls", format!("applies only with TLS: write `{instead}`")));
        }
        match (&self.client_certificate_file, &self.client_key_file) {
            (Some(_), None) => return Err(InvalidConfig::new("tls.client_key_file", "is required with `client_certificate_file`")),
            (None, Some(_)) => return Err(InvalidConfig::new("tls.client_certificate_file", "is required with `client_key_file`")),
            _ => {}
        }
        if !self.pinned_sha256.is_empty() {
            let conflicting = [("tls.verify", self.verify.is_some()), ("tls.ca_file", self.ca_file.is_some())];
            if let Some((key, _)) = conflicting.into_iter().find(|(_, is_given)| *is_given) {
                return Err(InvalidConfig::new(key, "has no effect with `pinned_sha256`, which needs no other proof: remove one of them"));
            }
        }
        if self.verify == Some(Verify::None) && self.ca_file.is_some() {
            return Err(InvalidConfig::new("tls.ca_file", "has no effect with `verify = \"none\"`: remove one of them"));
        }
        match self.server_name.clone().map(ServerName::try_from) {
            Some(Err(_)) => Err(InvalidConfig::new("tls.server_name", "is not a host name: write `db.internal`")),
            _ => Ok(()),
        }
    }
}

/// The warning about a login to a server whose identity is not proved. `host` is `None` for a Unix socket, `tls` is `None` without TLS, and
/// `instead` is what to write in `key` to get TLS.
#[must_use]
pub fn login_warning(
    key: &'static str,
    host: Option<&str>,
    has_credentials: bool,
    tls: Option<&TlsKeys>,
    instead: &str,
) -> Option<ConfigWarning> {
    match tls {
        Some(tls) if tls.proves_identity() => None,
        Some(tls) if tls.is_verified() => Some(ConfigWarning::new("tls.verify", CA_WITHOUT_FILE)),
        Some(_) if has_credentials => Some(ConfigWarning::new(
            "tls.verify",
            "\"none\" sends the credentials to any server that answers: name the server's certificate in `tls.ca_file`",
        )),
        Some(_) => {
            Some(ConfigWarning::new("tls.verify", "\"none\" accepts every certificate: name the server's certificate in `tls.ca_file`"))
        }
        None if has_credentials && host.is_some_and(|host| !is_loopback(host)) => {
            Some(ConfigWarning::new(key, format!("the credentials are sent unencrypted: write `{instead}`")))
        }
        None => None,
    }
}

/// What is wrong with `verify = "ca"` without `ca_file`.
const CA_WITHOUT_FILE: &str = "\"ca\" alone accepts a certificate of any public authority: name yours in `tls.ca_file`, or remove this key";

/// Whether a host is this machine, by its name or address.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    // RFC 6761, section 6.3.
    let is_name = host == "localhost" || host.ends_with(".localhost");
    is_name || host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// The SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of this certificate.
    pub(super) fn of_certificate(certificate: &[u8]) -> Self {
        let mut pin = [0; 32];
        pin.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate).as_ref());
        Self(pin)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "is not a SHA-256 fingerprint: write 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them";
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut pin = [0; 32];
        if digits.len() != 2 * pin.len() || !digits.is_ascii() {
            return Err(wrong.to_owned());
        }
        for (byte, pair) in pin.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = pair.iter().try_fold(0, |value, digit| Some(value * 16 + u8::try_from(char::from(*digit).to_digit(16)?).ok()?));
            *byte = pair.ok_or(wrong)?;
        }
        Ok(Self(pin))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| write!(formatter, "{}{byte:02X}", if at == 0 { "" } else { ":" }))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl JsonSchema for Fingerprint {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Fingerprint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "fingerprint", "examples": ["9F:86:D0:81:88:4C:7D:65:9A:2F:EA:A0:C5:5A:D0:15:A3:BF:4F:1B:2B:0B:82:2C:D1:5D:6C:15:B0:F0:0A:08"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "9F:86:D0:81:88:4C:7D:65:9A:2F:EA:A0:C5:5A:D0:15:A3:BF:4F:1B:2B:0B:82:2C:D1:5D:6C:15:B0:F0:0A:08";

    #[test]
    fn a_fingerprint_is_read_as_openssl_prints_it() {
        let pin = Fingerprint::of_certificate(b"test");
        assert_eq!(pin.to_string(), DIGITS);
        assert_eq!(DIGITS.parse(), Ok(pin));
        assert_eq!(DIGITS.replace(':', "").to_lowercase().parse(), Ok(pin));
        for wrong in ["", "9F:86", &DIGITS.replace('F', "G"), &format!("{DIGITS}00"), &"ä".repeat(32)] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn contradicting_keys_are_rejected() {
        let pinned = TlsKeys { pinned_sha256: vec![Fingerprint::of_certificate(b"test")], ..TlsKeys::default() };
        let key_of = |keys: TlsKeys| keys.validate(true, "rediss://").err().map(|error| error.key);
        assert_eq!(key_of(pinned.clone()), None);
        assert_eq!(key_of(TlsKeys { verify: Some(Verify::Ca), ..pinned.clone() }), Some("tls.verify"));
        assert_eq!(key_of(TlsKeys { ca_file: Some("/ca.pem".into()), ..pinned }), Some("tls.ca_file"));
        assert_eq!(
            key_of(TlsKeys { ca_file: Some("/ca.pem".into()), verify: Some(Verify::None), ..TlsKeys::default() }),
            Some("tls.ca_file")
        );
        assert_eq!(key_of(TlsKeys { server_name: Some("not a name".into()), ..TlsKeys::default() }), Some("tls.server_name"));
    }

    #[test]
    fn a_password_to_an_unproved_server_is_a_warning_except_on_loopback() {
        let plain = |host| login_warning("url", host, true, None, "rediss://").map(|warning| warning.key);
        assert_eq!(plain(Some("cache.internal")), Some("url"));
        assert_eq!(plain(Some("10.0.0.7")), Some("url"));
        for local in [None, Some("localhost"), Some("web.Localhost."), Some("127.0.0.1"), Some("[::1]"), Some("[::ffff:127.0.0.1]")] {
            assert_eq!(plain(local), None, "{local:?}");
        }
        let tls = |verify| TlsKeys { verify, ..TlsKeys::default() };
        assert!(login_warning("url", Some("cache.internal"), true, Some(&tls(None)), "").is_none());
        let authority = TlsKeys { ca_file: Some("/ca.pem".into()), ..tls(Some(Verify::Ca)) };
        assert!(login_warning("url", Some("cache.internal"), true, Some(&authority), "").is_none());
        assert_eq!(
            login_warning("url", Some("cache.internal"), true, Some(&tls(Some(Verify::Ca))), "").map(|warning| warning.key),
            Some("tls.verify")
        );
        assert_eq!(
            login_warning("url", Some("127.0.0.1"), false, Some(&tls(Some(Verify::None))), "").map(|warning| warning.key),
            Some("tls.verify")
        );
    }
}
