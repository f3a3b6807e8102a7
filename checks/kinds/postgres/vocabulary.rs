//! The parameters that the applications' libraries know: those that have an effect here, and why others have none or are refused.

use super::parameters::{Origin, Parameter, Parameters};
use crate::{contract::prelude::*, wire::url};

/// Other names of the same parameter: those of sqlx, of the JDBC driver, and of pg8000.
const SYNONYMS: &[(&str, &str)] = &[
    ("ApplicationName", "application_name"),
    ("currentSchema", "search_path"),
    ("gssEncMode", "gssencmode"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("sslMode", "sslmode"),
    ("targetServerType", "target_session_attrs"),
];

/// The name under which a parameter is looked up.
pub(super) fn name(written: &str) -> &str {
    SYNONYMS.iter().find(|(synonym, _)| *synonym == written).map_or(written, |(_, name)| *name)
}

/// Parameters that have an effect, or ask for what is the case anyway.
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
const UNDERSTOOD: &[&str] = &[
    "channel_binding",
    "client_encoding",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "lock_timeout",
    "options",
    "passfile",
    "password",
    "pgbouncer",
    "port",
    "require_auth",
    "requiressl",
    "schema",
    "search_path",
    "service",
    "servicefile",
    "ssl",
    "ssl_min_protocol_version",
    "sslaccept",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslfactory",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "sslsni",
    "statement-cache-capacity",
    "statement_timeout",
    "target_session_attrs",
    "unix_sock",
    "uselibpqcompat",
    "user",
];

/// Why a parameter has no effect, where that needs to be said.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("application_name", "the check is called `allswell`, so that its sessions can be distinguished"),
    ("connect_timeout", "the check has `timeout`"),
    ("connectTimeout", "the check has `timeout`"),
    ("connection_limit", "the check has one connection"),
    ("fallback_application_name", "the check is called `allswell`, so that its sessions can be distinguished"),
    ("load_balance_hosts", "the servers are tried in their order"),
    ("loadBalanceHosts", "the servers are tried in their order"),
    ("loginTimeout", "the check has `timeout`"),
    ("pool_timeout", "the check has `timeout`"),
    ("socketTimeout", "the check has `timeout`"),
    ("socket_timeout", "the check has `timeout`"),
    ("ssl_max_protocol_version", "TLS 1.2 and TLS 1.3 are offered"),
    ("sslnegotiation", "TLS is requested as by clients of every version"),
];

/// Parameters that demand what the check cannot do, and what to do about it. Ignoring them would make the connection less safe than that of
/// the application, or connect to another server.
const REFUSED: &[(&str, &str)] = &[
    ("requirepeer", "is not supported: the owner of a socket is not verified; remove it"),
    ("sslcrl", "is not supported: revoked certificates are not recognised; remove it, and trust only valid ones by `tls.pinned_sha256`"),
    ("sslcrldir", "is not supported: revoked certificates are not recognised; remove it, and trust only valid ones by `tls.pinned_sha256`"),
    ("sslidentity", "is a PKCS #12 file, which is not supported: write its parts as PEM files and name them under `tls`"),
    ("sslpassword", "is the password of a key, and encrypted keys are not supported: name an unencrypted one in `tls.client_key_file`"),
];

/// Values that demand what the check cannot do.
const REFUSED_VALUES: &[(&str, &str, &str)] = &[
    ("gssencmode", "require", "demands GSSAPI encryption, which is not supported: use TLS with `sslmode=verify-full`"),
    ("ssl_min_protocol_version", "TLSv1.3", "excludes TLS 1.2, which cannot be excluded here: remove it"),
];

/// Rejects what the check cannot do.
pub(super) fn verify(parameters: &Parameters) -> Result<(), InvalidConfig> {
    for parameter in parameters.iter() {
        if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == parameter.name) {
            return Err(parameter.invalid(why));
        }
        let is_refused = |(name, value, _): &&(&str, &str, &str)| *name == parameter.name && value.eq_ignore_ascii_case(&parameter.value);
        if let Some((.., why)) = REFUSED_VALUES.iter().find(is_refused) {
            return Err(parameter.invalid(why));
        }
    }
    Ok(())
}

/// Warnings about parameters without an effect.
pub(super) fn warnings(url: &::url::Url, parameters: &Parameters) -> Vec<ConfigWarning> {
    let explained = WITHOUT_EFFECT.iter().map(|(name, _)| *name).chain(REFUSED.iter().map(|(name, _)| *name));
    let synonyms = SYNONYMS.iter().map(|(synonym, _)| *synonym);
    let known: Vec<&str> = UNDERSTOOD.iter().copied().chain(explained).chain(synonyms).collect();
    // sqlx writes settings of the session as `options[name]`.
    let mut others = url.clone();
    others.query_pairs_mut().clear().extend_pairs(url.query_pairs().filter(|(name, _)| option_name(name).is_none()));
    let unknown = url::without_effect("url", &others, &known);
    unknown.into_iter().chain(parameters.iter().filter_map(|parameter| warning(parameter, &known))).collect()
}

fn warning(parameter: &Parameter, known: &[&str]) -> Option<ConfigWarning> {
    let warn = |why: &str| Some(ConfigWarning::new("url", format!("{} has no effect here{why}", parameter.shown())));
    if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(name, _)| *name == parameter.name) {
        // The default of libpq is what the check does.
        let is_default =
            matches!((&*parameter.name, &*parameter.value), ("load_balance_hosts", "disable") | ("sslnegotiation", "postgres"));
        return if is_default { None } else { warn(&format!(": {why}")) };
    }
    match (&*parameter.name, &*parameter.value) {
        ("schema", schema) if schema != "public" => warn(": name the schema of each table in `query` and `pending_migrations`"),
        ("sslsni", "0") => warn(": the name of the host is always sent"),
        ("sslcertmode", "require") => warn(": whether the server asks for a client certificate is not verified"),
        (name, _) if parameter.origin == Origin::Service && !known.contains(&name) => {
            Some(ConfigWarning::new("url", "a parameter of the service has no effect here"))
        }
        _ => None,
    }
}

/// The setting of the session that a parameter such as `options[geqo]` sets.
pub(super) fn option_name(parameter: &str) -> Option<&str> {
    parameter.strip_prefix("options[")?.strip_suffix(']')
}

/// Settings of the session that other libraries take as parameters of their own.
const SESSION_SETTINGS: &[&str] = &["lock_timeout", "search_path", "statement_timeout"];

/// The settings of the session, in the form of libpq's `options`.
pub(super) fn session_options(parameters: &Parameters) -> Option<String> {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace(' ', "\\ ");
    let written = parameters.value("options").map(str::to_owned);
    let settings = parameters.iter().rev().filter_map(|parameter| {
        let setting = option_name(&parameter.name).or_else(|| SESSION_SETTINGS.iter().copied().find(|name| *name == parameter.name))?;
        Some(format!("-c {setting}={}", escaped(&parameter.value)))
    });
    let all: Vec<String> = written.into_iter().chain(settings).collect();
    if all.is_empty() { None } else { Some(all.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(query: &str) -> ::url::Url {
        ::url::Url::parse(&format!("postgres://db/orders?{query}")).expect("a URL")
    }

    fn warned(query: &str) -> Vec<String> {
        let url = with(query);
        warnings(&url, &Parameters::of_url(&url)).into_iter().map(|warning| warning.message.into_owned()).collect()
    }

    #[test]
    fn a_parameter_without_effect_is_named_with_the_reason() {
        for understood in [
            "sslmode=require&uselibpqcompat=true",
            "pgbouncer=true&schema=public",
            "options[geqo]=off&search_path=a",
            "ssl-mode=require&targetServerType=primary",
            "load_balance_hosts=disable&sslnegotiation=postgres&sslsni=1&gssencmode=prefer",
        ] {
            assert_eq!(warned(understood), [""; 0], "{understood}");
        }
        for (query, warning) in [
            ("connection_limit=5", "the parameter `connection_limit` of the URL has no effect here: the check has one connection"),
            ("conn_max_age=60", "the parameter `conn_max_age` of the URL has no effect here"),
            ("sslmod=verify-full", "the parameter `sslmod` of the URL has no effect here; did you mean `sslmode`?"),
            (
                "schema=sales",
                "the parameter `schema` of the URL has no effect here: name the schema of each table in `query` and `pending_migrations`",
            ),
            (
                "sslnegotiation=direct",
                "the parameter `sslnegotiation` of the URL has no effect here: TLS is requested as by clients of every version",
            ),
        ] {
            assert_eq!(warned(query), [warning], "{query}");
        }
    }

    #[test]
    fn what_the_check_cannot_do_is_refused() {
        let refused = |query: &str| verify(&Parameters::of_url(&with(query))).err().map(|error| error.message);
        for fine in ["sslcrl=", "gssencmode=prefer", "ssl_min_protocol_version=TLSv1.2", "gssencmode=disable"] {
            assert_eq!(refused(fine), None, "{fine}");
        }
        for (query, start) in [
            ("sslcrl=/crl.pem", "the parameter `sslcrl` of the URL is not supported: revoked certificates"),
            ("gssencmode=require", "the parameter `gssencmode` of the URL demands GSSAPI encryption"),
            ("ssl_min_protocol_version=TLSv1.3", "the parameter `ssl_min_protocol_version` of the URL excludes TLS 1.2"),
            ("sslidentity=client.p12", "the parameter `sslidentity` of the URL is a PKCS #12 file"),
        ] {
            let message = refused(query).expect(query);
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn settings_of_the_session_are_sent_as_options() {
        let options = |query: &str| session_options(&Parameters::of_url(&with(query)));
        assert_eq!(options("sslmode=require"), None);
        assert_eq!(options("options=endpoint%3Dep-1"), Some("endpoint=ep-1".to_owned()));
        assert_eq!(options("options=-c%20geqo%3Doff&search_path=a,%20b"), Some("-c geqo=off -c search_path=a,\\ b".to_owned()));
        assert_eq!(options("options[geqo]=off"), Some("-c geqo=off".to_owned()));
    }
}
