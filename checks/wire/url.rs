//! Parses the URL of a backend.

#[cfg(any(feature = "amqp", feature = "resp", feature = "sql-server"))]
use crate::contract::ConfigWarning;
use crate::contract::{InvalidConfig, Secret, unwrapped};
use url::{ParseError, Url};

/// Parses the URL in a key. `schemes` are pairs of a scheme as users write it and as the driver knows it. A `+driver` after the scheme, as
/// in `postgresql+asyncpg://`, names a library of the application and is removed, like a prefix such as `jdbc:`.
///
/// # Errors
///
/// What is wrong with the URL; never the URL itself.
pub(crate) fn parse(key: &'static str, url: &Secret, schemes: &[(&str, &str)]) -> Result<Url, InvalidConfig> {
    let invalid = |message: String| Err(InvalidConfig::new(key, message));
    let wanted = schemes.first().map_or("", |(_, known)| known);
    let text = url.expose().trim();
    if text.starts_with(['"', '\'']) {
        return invalid("the URL begins with a quotation mark: remove the quotes, which are part of the value here".to_owned());
    }
    let Some((scheme, rest)) = unwrapped(text).split_once("://") else {
        return invalid(format!("not a URL: write `{wanted}://…`"));
    };
    if is_list(rest) {
        return invalid("this is a list of URLs: configure a check for each".to_owned());
    }
    let written = scheme.split('+').next().unwrap_or(scheme).to_ascii_lowercase();
    let Some((_, known)) = schemes.iter().find(|(alias, _)| *alias == written) else {
        // The text is not quoted: without a valid scheme it may be anything, even a password.
        return invalid(format!("the scheme before `://` does not belong to this kind: write `{wanted}://…`"));
    };
    // Otherwise the beginning of the password would be looked up as the name of a host.
    if is_password_in_port(rest, known.starts_with("http")) {
        return invalid(CUT_PASSWORD.to_owned());
    }
    Url::parse(&format!("{known}://{rest}")).or_else(|error| invalid(explain(rest, error)))
}

/// What to do about a password that ends the authority of a URL.
pub(crate) const CUT_PASSWORD: &str =
    "a password that contains `/`, `?` or `#` belongs in the key `password`, or percent-encoded in the URL";

/// Whether a URL is valid only because the user name and the beginning of the password are taken for a host and a port:
/// `app:12#34@db/orders`. The addresses of web pages may have an `@` in the path.
fn is_password_in_port(rest: &str, is_web: bool) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let tail = &rest[authority.len()..];
    if tail.split_once('#').is_some_and(|(_, fragment)| fragment.contains('@')) {
        return true;
    }
    let Some((cut, host)) = tail.split_once('@') else { return false };
    let may_be_login = !is_web && authority.contains(':') && !authority.contains(['@', ']']);
    let is_host = host.contains(['/', ':']) && !cut.contains('=');
    may_be_login && is_host && (tail.starts_with('?') || !cut.contains('?'))
}

/// Whether another URL follows, after a separator: brokers of kombu and servers of memcached are written so.
fn is_list(rest: &str) -> bool {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    rest.match_indices("://").any(|(at, _)| {
        let before = rest[..at].trim_end_matches(is_of_scheme);
        before.len() < at && before.ends_with([';', ',', ' ', '|'])
    })
}

/// What is wrong with a URL, by the text after its scheme.
fn explain(rest: &str, error: ParseError) -> String {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (login, hosts) = authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
    // A password with `/`, `?` or `#` ends the authority, and its beginning is taken for a port.
    let is_password_cut = rest.len() > authority.len() && login.is_none() && rest[authority.len()..].contains('@');
    match error {
        _ if is_password_cut => CUT_PASSWORD.to_owned(),
        ParseError::EmptyHost => "the URL has no host".to_owned(),
        _ if hosts.contains(',') => "the URL has several hosts: configure a check for each".to_owned(),
        ParseError::InvalidPort => "the port of the URL is not a number from 1 to 65535".to_owned(),
        error => format!("not a URL: {error}"),
    }
}

/// Warns about parameters of the URL in `key` that are not in `known`: one of them may be a security setting, or misspelled.
#[cfg(any(feature = "amqp", feature = "resp", feature = "sql-server"))]
pub(crate) fn without_effect(key: &'static str, url: &Url, known: &[&str]) -> Vec<ConfigWarning> {
    let unknown = url.query_pairs().filter(|(name, _)| !known.contains(&&**name));
    let warning = |name: &str| {
        let mut warning = ConfigWarning::parameter_without_effect(key, name);
        if let Some(similar) = known.iter().find(|known| is_slip(name, known)) {
            warning.message.to_mut().push_str(&format!("; did you mean `{similar}`?"));
        }
        warning
    };
    unknown.map(|(name, _)| warning(&name)).collect()
}

/// Whether a word becomes the other one by changing, adding or removing one letter, or by other cases.
#[cfg(any(feature = "amqp", feature = "resp", feature = "sql-server"))]
fn is_slip(word: &str, other: &str) -> bool {
    let (word, other) = (word.to_ascii_lowercase(), other.to_ascii_lowercase());
    let start = word.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str, skip: usize| text.bytes().skip(start + skip).collect::<Vec<_>>();
    [(0, 0), (1, 0), (0, 1), (1, 1)].iter().any(|&(skipped, missed)| rest(&word, skipped) == rest(&other, missed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: &[(&str, &str)] = &[("postgres", "postgres"), ("postgis", "postgres")];

    #[test]
    fn aliases_and_drivers_become_the_known_scheme() {
        let url = parse("url", &Secret::new("postgis+psycopg://app:pw@db:5432/orders"), SCHEMES).expect("a URL");
        assert_eq!(url.as_str(), "postgres://app:pw@db:5432/orders");
        let url = parse("url", &Secret::new("jdbc:postgres://db/orders?next=http://x"), SCHEMES).expect("a URL");
        assert_eq!(url.as_str(), "postgres://db/orders?next=http://x");
    }

    #[test]
    fn errors_do_not_quote_the_url() {
        for wrong in ["hunter2", "hunter2://db", "app:hunter2@db/x?next=http://y", "mysql://app:hunter2@db", "postgres://app:hunter2/@db:x"]
        {
            let error = parse("url", &Secret::new(wrong), SCHEMES).expect_err("it is wrong");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn each_fault_of_a_url_has_its_own_hint() {
        let message = |url: &str| parse("url", &Secret::new(url), SCHEMES).expect_err(url).message;
        for (url, hint) in [
            ("postgres://app:pw@a:1,b:2/orders", "the URL has several hosts: configure a check for each"),
            ("postgres://app:pw@/orders", "the URL has no host"),
            ("postgres://app:pw@db:x/orders", "the port of the URL is not a number from 1 to 65535"),
            (
                "postgres://app:p/w@db/orders",
                "a password that contains `/`, `?` or `#` belongs in the key `password`, or percent-encoded in the URL",
            ),
            ("postgres://a/orders;postgres://b/orders", "this is a list of URLs: configure a check for each"),
            ("\"postgres://db\"", "the URL begins with a quotation mark: remove the quotes, which are part of the value here"),
        ] {
            assert_eq!(message(url), hint, "{url}");
        }
    }

    #[test]
    fn the_beginning_of_a_password_is_never_a_host() {
        let parsed =
            |url: &str| parse("url", &Secret::new(url), &[("postgres", "postgres"), ("https", "https")]).map_err(|error| error.message);
        for cut in [
            "postgres://app:12#34@db/orders",
            "postgres://app:b@66@c#2@db/orders",
            "postgres://app:12/34@db/orders",
            "postgres://app:12?34@db:5432/orders",
            "postgres://:12/34@db:5432",
            "https://app:12#34@web/health",
        ] {
            assert_eq!(parsed(cut).expect_err(cut), CUT_PASSWORD, "{cut}");
        }
        for whole in [
            "postgres://db:5432/orders?user=app@tenant&host=/x",
            "postgres://db:5432?user=app@db:1",
            "postgres://db:5432/tenant@prod",
            "postgres://[::1]:5432/a@b/c",
            "postgres://app:a@b@db:5432/orders",
            "https://web:8443/@app/health",
        ] {
            assert!(parsed(whole).is_ok(), "{whole}");
        }
    }

    #[cfg(feature = "sql-server")]
    #[test]
    fn a_parameter_without_effect_is_named_with_the_one_that_was_probably_meant() {
        let url = Url::parse("postgres://db/orders?sslmod=verify-full&pool_size=5&sslmode=require").expect("a URL");
        let warnings = without_effect("url", &url, &["sslmode"]).into_iter().map(|warning| warning.message).collect::<Vec<_>>();
        assert_eq!(
            warnings,
            [
                "the parameter `sslmod` of the URL has no effect here; did you mean `sslmode`?",
                "the parameter `pool_size` of the URL has no effect here"
            ]
        );
    }
}
