//! Whether a connection is encrypted, and how the client may log in: `sslmode`, what other libraries write instead of it, `require_auth` and
//! `channel_binding`.

use super::parameters::{Origin, Parameter, Parameters};
use crate::{
    contract::prelude::*,
    sql::server::encryption::{Encryption, UrlFiles, UrlMode},
    wire::tls::Verify,
};
use sqlx_core::net::tls::CertificateInput;
use sqlx_postgres::{PgLogin, PgLoginMethod};

/// What to write in a URL for full verification.
pub(super) const VERIFY_FULL: &str = "sslmode=verify-full";

/// What the parameters say about TLS.
pub(super) struct UrlTls {
    pub(super) mode: UrlMode,
    /// Whether TLS is tried if the server insists on it: `sslmode=allow`.
    pub(super) may_encrypt: bool,
    roots: Option<CertificateInput>,
    certificate: Option<CertificateInput>,
    key: Option<CertificateInput>,
}

impl UrlTls {
    pub(super) fn files(&self) -> UrlFiles<'_> {
        UrlFiles { roots: self.roots.as_ref(), certificate: self.certificate.as_ref(), key: self.key.as_ref() }
    }
}

/// Reads what the parameters say about TLS.
///
/// # Errors
///
/// A value that does not exist, or a file of which another is missing.
pub(super) fn url_tls(parameters: &Parameters) -> Result<UrlTls, InvalidConfig> {
    let (encryption, verify, written) = mode(parameters)?;
    let is_mode = |word: &str| mode_parameter(parameters).is_some_and(|found| found.value.eq_ignore_ascii_case(word));
    let may_encrypt = is_mode("allow") && encryption == Encryption::Never;
    let mode = UrlMode { encryption, verify, is_written: written, is_implied_by_roots: false, remedy: VERIFY_FULL };
    let file = |name: &str| parameters.value(name).map(|path| CertificateInput::from(path.to_owned()));
    // To Prisma, `sslcert` is the certificate of the authority.
    let is_prisma = parameters.get("sslaccept").is_some();
    let sends_certificate = !is_prisma && parameters.value("sslcertmode") != Some("disable");
    // These modes verify nothing, whatever the roots.
    let ignores_roots = is_mode("no-verify") || parameters.value("sslaccept") == Some("accept_invalid_certs");
    let roots = file("sslrootcert").or_else(|| file("sslcert").filter(|_| is_prisma)).filter(|_| !ignores_roots);
    let (certificate, key) = if sends_certificate { (file("sslcert"), file("sslkey")) } else { (None, None) };
    match (parameters.get("sslcert").filter(|_| certificate.is_some()), parameters.get("sslkey").filter(|_| key.is_some())) {
        (Some(certificate), None) => {
            Err(certificate
                .invalid("is a client certificate and requires `sslkey`; the certificate of an authority belongs in `sslrootcert`"))
        }
        (None, Some(key)) => Err(key.invalid("requires `sslcert`")),
        _ => Ok(UrlTls { mode, may_encrypt, roots, certificate, key }),
    }
}

/// The parameter that names the mode: one of the URL, or else `sslmode` of a service or the environment.
fn mode_parameter(parameters: &Parameters) -> Option<&Parameter> {
    let of_url = |name: &str| parameters.get(name).filter(|found| found.origin == Origin::Url);
    of_url("sslmode").or_else(|| of_url("ssl")).or_else(|| parameters.get("sslmode"))
}

/// The mode, and whether the URL or a service contains it.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS>
fn mode(parameters: &Parameters) -> Result<(Encryption, Verify, bool), InvalidConfig> {
    let is_written = |parameter: &Parameter| !matches!(parameter.origin, Origin::Variable(_));
    let (encryption, verify, written) = match (mode_parameter(parameters), parameters.get("requiressl")) {
        (Some(found), _) => {
            let (encryption, verify) = word(&found.name, &found.value).ok_or_else(|| {
                found.invalid("has an unknown value: write `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`")
            })?;
            (encryption, verify, is_written(found))
        }
        (None, Some(found)) if found.value == "1" => (Encryption::Always, Verify::None, is_written(found)),
        _ => (Encryption::IfOffered, Verify::None, false),
    };
    match parameters.get("sslaccept") {
        Some(accept) if accept.value == "strict" && encryption != Encryption::Never => Ok((Encryption::Always, Verify::Full, true)),
        Some(accept) if !["strict", "accept_invalid_certs"].contains(&&*accept.value) => {
            Err(accept.invalid("has an unknown value: write `strict` or `accept_invalid_certs`"))
        }
        // The JDBC driver's class that verifies nothing.
        _ if verify == Verify::Full && parameters.value("sslfactory").is_some_and(|class| class.ends_with("NonValidatingFactory")) => {
            Ok((Encryption::Always, Verify::None, true))
        }
        _ => Ok((encryption, verify, written)),
    }
}

/// A mode, of libpq or of another library. `ssl=true` means a verified connection to node-postgres and to the JDBC driver; asyncpg has the
/// modes of libpq there. `no-verify` is a mode of node-postgres.
fn word(name: &str, value: &str) -> Option<(Encryption, Verify)> {
    Some(match (name, &*value.to_ascii_lowercase()) {
        ("ssl", "true" | "1" | "on" | "yes") | (_, "verify-full") => (Encryption::Always, Verify::Full),
        ("ssl", "false" | "0" | "off" | "no") | (_, "disable" | "allow") => (Encryption::Never, Verify::None),
        (_, "prefer") => (Encryption::IfOffered, Verify::None),
        (_, "require" | "no-verify") => (Encryption::Always, Verify::None),
        (_, "verify-ca") => (Encryption::Always, Verify::Ca),
        _ => return None,
    })
}

/// The login methods that the parameters permit.
///
/// # Errors
///
/// A value that does not exist.
pub(super) fn login(parameters: &Parameters) -> Result<PgLogin, InvalidConfig> {
    let requires_channel_binding = match parameters.get("channel_binding") {
        Some(found) if found.value == "require" => true,
        Some(found) if !["disable", "prefer"].contains(&&*found.value) => {
            return Err(found.invalid("has an unknown value: write `require`, `prefer` or `disable`"));
        }
        _ => false,
    };
    let methods = match parameters.get("require_auth") {
        None => None,
        Some(found) => Some(methods(&found.value).ok_or_else(|| {
            found.invalid("has an unknown value: write `scram-sha-256`, `md5`, `password` or `none`, or several of them with commas")
        })?),
    };
    Ok(PgLogin { methods, requires_channel_binding, ..PgLogin::default() })
}

/// Either a list of permitted methods, or one of forbidden methods, each after `!`.
fn methods(value: &str) -> Option<Vec<PgLoginMethod>> {
    const METHODS: &[(&str, PgLoginMethod)] = &[
        ("none", PgLoginMethod::None),
        ("password", PgLoginMethod::Cleartext),
        ("md5", PgLoginMethod::Md5),
        ("scram-sha-256", PgLoginMethod::ScramSha256),
    ];
    // Methods that the driver does not support are never used.
    let is_known = |name: &str| METHODS.iter().any(|(known, _)| *known == name) || ["gss", "sspi", "oauth"].contains(&name);
    let names: Vec<&str> = value.split(',').map(str::trim).collect();
    let forbidden: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix('!')).collect();
    let is_exclusion = !forbidden.is_empty();
    let listed = if is_exclusion { &forbidden } else { &names };
    if listed.len() != names.len() || !listed.iter().all(|name| is_known(name)) {
        return None;
    }
    let permitted = METHODS.iter().filter(|(name, _)| listed.contains(name) != is_exclusion);
    Some(permitted.map(|(_, method)| *method).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of_url(&::url::Url::parse(&format!("postgres://db/orders?{query}")).expect("a URL"))
    }

    #[test]
    fn the_mode_has_the_meaning_of_the_library_that_writes_it() {
        use Encryption::{Always, IfOffered, Never};
        for (query, expected) in [
            ("", (IfOffered, Verify::None, false)),
            ("sslmode=disable", (Never, Verify::None, true)),
            ("sslmode=allow", (Never, Verify::None, true)),
            ("sslmode=verify-ca", (Always, Verify::Ca, true)),
            ("ssl-mode=REQUIRE", (Always, Verify::None, true)),
            ("sslmode=no-verify", (Always, Verify::None, true)),
            ("ssl=true", (Always, Verify::Full, true)),
            ("ssl", (Always, Verify::Full, true)),
            ("ssl=false", (Never, Verify::None, true)),
            ("ssl=require", (Always, Verify::None, true)),
            ("ssl=true&sslmode=require", (Always, Verify::None, true)),
            ("ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory", (Always, Verify::None, true)),
            ("sslmode=require&sslaccept=strict", (Always, Verify::Full, true)),
            ("sslmode=require&sslaccept=accept_invalid_certs", (Always, Verify::None, true)),
            ("requiressl=1", (Always, Verify::None, true)),
        ] {
            assert_eq!(mode(&parameters(query)).map_err(|error| error.message), Ok(expected), "{query}");
        }
        for wrong in ["sslmode=verify_full", "ssl=maybe", "sslaccept=some", "sslcert=/cert.pem", "sslkey=/key.pem"] {
            assert!(url_tls(&parameters(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_mode_that_counts_permits_tls() {
        let may_encrypt = |query: &str| url_tls(&parameters(query)).is_ok_and(|tls| tls.may_encrypt);
        for allowing in ["sslmode=allow", "sslmode=ALLOW", "ssl=allow"] {
            assert!(may_encrypt(allowing), "{allowing}");
        }
        for other in ["sslmode=disable", "ssl=false", "sslmode=disable&ssl=allow", "sslmode=prefer", ""] {
            assert!(!may_encrypt(other), "{other}");
        }
    }

    #[test]
    fn prisma_names_the_certificate_of_the_authority_otherwise() {
        let tls =
            url_tls(&parameters("sslmode=require&sslaccept=strict&sslcert=/ca.pem")).map_err(|error| error.message).expect("settings");
        let files = tls.files();
        assert!(files.roots.is_some() && files.certificate.is_none());
    }

    #[test]
    fn a_mode_that_verifies_nothing_ignores_the_roots() {
        let has_roots = |query: &str| url_tls(&parameters(query)).is_ok_and(|tls| tls.files().roots.is_some());
        assert!(has_roots("sslmode=require&sslrootcert=/ca.pem"));
        assert!(!has_roots("sslmode=no-verify&sslrootcert=/ca.pem"));
        assert!(!has_roots("sslmode=require&sslaccept=accept_invalid_certs&sslcert=/ca.pem"));
    }

    #[test]
    fn login_methods_are_permitted_or_forbidden() {
        use PgLoginMethod::{Cleartext, Md5, None as Nothing, ScramSha256};
        assert_eq!(methods("scram-sha-256"), Some(vec![ScramSha256]));
        assert_eq!(methods("md5, scram-sha-256,gss"), Some(vec![Md5, ScramSha256]));
        assert_eq!(methods("!password,!none"), Some(vec![Md5, ScramSha256]));
        assert_eq!(methods("!gss"), Some(vec![Nothing, Cleartext, Md5, ScramSha256]));
        assert_eq!(methods("scram"), None);
        assert_eq!(methods("md5,!password"), None);
    }
}
