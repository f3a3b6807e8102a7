//! Whether a connection to a database is encrypted, and what the server must prove: from the mode in its URL and the keys of `tls`.

use crate::{
    contract::{ConfigWarning, InvalidConfig},
    wire::tls::{TlsKeys, Verify, is_loopback, login_warning},
};
use sqlx_core::net::tls::CertificateInput;
use std::path::PathBuf;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Never,
    /// If the server offers it.
    IfOffered,
    Always,
}

/// The TLS mode of a URL, as the database's own client reads it.
pub(crate) struct UrlMode {
    pub(crate) encryption: Encryption,
    pub(crate) verify: Verify,
    /// Whether the URL contains the mode; otherwise it is the default of the client.
    pub(crate) is_written: bool,
    /// Whether a file of roots in the URL implies a mode.
    pub(crate) is_implied_by_roots: bool,
    /// What to write in the URL for full verification: `sslmode=verify-full`.
    pub(crate) remedy: &'static str,
}

/// The files that a URL names.
pub(crate) struct UrlFiles<'a> {
    pub(crate) roots: Option<&'a CertificateInput>,
    pub(crate) certificate: Option<&'a CertificateInput>,
    pub(crate) key: Option<&'a CertificateInput>,
}

/// Combines the URL and the keys of `tls`.
///
/// # Errors
///
/// The key that contradicts the URL.
pub(crate) fn merge(mode: &UrlMode, files: &UrlFiles<'_>, mut keys: TlsKeys) -> Result<(Encryption, TlsKeys), InvalidConfig> {
    let is_never = mode.encryption == Encryption::Never;
    let (has_roots, has_system) = match files.roots {
        // In libpq, `system` means the trusted roots of this host, and requires the mode `verify-full`.
        Some(CertificateInput::File(path)) if path.as_os_str() == "system" => (false, true),
        roots => (roots.is_some(), false),
    };
    keys.validate(!(is_never && mode.is_written), mode.remedy)?;
    let encryption = match keys.verify {
        Some(verify) if mode.is_written && (mode.encryption, mode.verify) != (Encryption::Always, verify) => {
            let message =
                format!("contradicts the mode in `url`: remove the mode there, or write `{}` there and remove this key", mode.remedy);
            return Err(InvalidConfig::new("tls.verify", message));
        }
        Some(_) => Encryption::Always,
        None if !keys.pinned_sha256.is_empty() => Encryption::Always,
        None if keys.ca_file.is_some() && !mode.is_written && mode.verify == Verify::None => {
            keys.verify = Some(Verify::Full);
            Encryption::Always
        }
        None if has_system => {
            keys.verify = Some(Verify::Full);
            Encryption::Always
        }
        // As in the clients, once they have a root certificate.
        None if (keys.ca_file.is_some() || has_roots) && mode.encryption == Encryption::Always && mode.verify == Verify::None => {
            keys.verify = Some(Verify::Ca);
            Encryption::Always
        }
        None if has_roots && !mode.is_written && mode.is_implied_by_roots => {
            keys.verify = Some(Verify::Ca);
            Encryption::Always
        }
        None => {
            keys.verify = Some(mode.verify);
            mode.encryption
        }
    };
    if has_roots && keys.ca_file.is_none() && keys.pinned_sha256.is_empty() && keys.is_verified() {
        keys.ca_file = file(files.roots)?;
    }
    keys.client_certificate_file = keys.client_certificate_file.or(file(files.certificate)?);
    keys.client_key_file = keys.client_key_file.or(file(files.key)?);
    Ok((encryption, keys))
}

fn file(given: Option<&CertificateInput>) -> Result<Option<PathBuf>, InvalidConfig> {
    match given {
        None => Ok(None),
        Some(CertificateInput::File(path)) => Ok(Some(path.clone())),
        Some(CertificateInput::Inline(_)) => Err(InvalidConfig::new("url", "contains a certificate: name its file under `tls`")),
    }
}

/// The warning about a login to a server whose certificate is not verified. `host` is `None` for a Unix socket; `remedy` is what to write
/// in the URL.
pub(crate) fn warning(
    host: Option<&str>,
    has_password: bool,
    (encryption, keys): (Encryption, &TlsKeys),
    is_key_written: bool,
    remedy: &str,
) -> Option<ConfigWarning> {
    if encryption == Encryption::Always && is_key_written {
        // The cleartext password needs `allow_cleartext_password` as well, so this alone sends no credentials.
        return login_warning("url", host, false, Some(keys), remedy);
    }
    let is_proved = encryption == Encryption::Always && keys.proves_identity();
    let is_networked = host.is_some_and(|host| !is_loopback(host));
    if !has_password || !is_networked || is_proved {
        return None;
    }
    let accepted = if encryption == Encryption::Always && keys.is_verified() {
        "a certificate of any public authority is accepted"
    } else {
        "the server's certificate is not verified"
    };
    Some(ConfigWarning::new("url", format!("{accepted} before the login: write `{remedy}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(
        encryption: Encryption,
        verify: Verify,
        is_written: bool,
        keys: TlsKeys,
    ) -> Result<(Encryption, Option<Verify>), &'static str> {
        let mode = UrlMode { encryption, verify, is_written, is_implied_by_roots: false, remedy: "sslmode=verify-full" };
        let files = UrlFiles { roots: None, certificate: None, key: None };
        merge(&mode, &files, keys).map(|(encryption, keys)| (encryption, keys.verify)).map_err(|error| error.key)
    }

    #[test]
    fn roots_in_the_url_have_the_same_effect_as_in_the_databases_own_client() {
        use Encryption::{Always, IfOffered};
        let with = |encryption, is_written, is_implied_by_roots, roots: &str| {
            let mode = UrlMode { encryption, verify: Verify::None, is_written, is_implied_by_roots, remedy: "sslmode=verify-full" };
            let roots = CertificateInput::from(roots.to_owned());
            let files = UrlFiles { roots: Some(&roots), certificate: None, key: None };
            let (encryption, keys) = merge(&mode, &files, TlsKeys::default()).ok()?;
            Some((encryption, keys.verify?, keys.ca_file.map(|file| file.display().to_string())))
        };
        let file = || Some("/ca.pem".to_owned());
        assert_eq!(with(Always, true, false, "/ca.pem"), Some((Always, Verify::Ca, file())));
        assert_eq!(with(IfOffered, false, true, "/ca.pem"), Some((Always, Verify::Ca, file())));
        assert_eq!(with(IfOffered, false, false, "/ca.pem"), Some((IfOffered, Verify::None, None)));
        assert_eq!(with(IfOffered, false, false, "system"), Some((Always, Verify::Full, None)));
        assert_eq!(with(Always, true, false, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"), None);
    }

    #[test]
    fn the_mode_of_the_url_applies_unless_keys_require_more() {
        use Encryption::{Always, IfOffered, Never};
        let none = TlsKeys::default;
        let roots = || TlsKeys { ca_file: Some("/ca.pem".into()), ..none() };
        let verify = |verify| TlsKeys { verify: Some(verify), ..none() };
        for (encryption, mode, is_written, keys, expected) in [
            (IfOffered, Verify::None, false, none(), Ok((IfOffered, Some(Verify::None)))),
            (Always, Verify::None, true, none(), Ok((Always, Some(Verify::None)))),
            (Always, Verify::Full, true, none(), Ok((Always, Some(Verify::Full)))),
            (IfOffered, Verify::None, false, roots(), Ok((Always, Some(Verify::Full)))),
            (IfOffered, Verify::None, true, roots(), Ok((IfOffered, Some(Verify::None)))),
            (Always, Verify::None, true, roots(), Ok((Always, Some(Verify::Ca)))),
            (Never, Verify::None, true, roots(), Err("tls")),
            (IfOffered, Verify::None, false, verify(Verify::None), Ok((Always, Some(Verify::None)))),
            (IfOffered, Verify::None, false, verify(Verify::Ca), Ok((Always, Some(Verify::Ca)))),
            (Always, Verify::Full, true, verify(Verify::Full), Ok((Always, Some(Verify::Full)))),
            (Always, Verify::None, true, verify(Verify::Full), Err("tls.verify")),
            (Always, Verify::Full, true, verify(Verify::None), Err("tls.verify")),
            (IfOffered, Verify::None, true, verify(Verify::None), Err("tls.verify")),
        ] {
            assert_eq!(joined(encryption, mode, is_written, keys.clone()), expected, "{encryption:?} {mode:?} {is_written} {keys:?}");
        }
    }
}
