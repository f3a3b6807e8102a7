//! Parses the URL of a backend.

#[cfg(feature = "sql-server")]
use crate::contract::ConfigWarning;
use crate::contract::{InvalidConfig, Secret};
use url::Url;

/// Parses the URL in a key. `schemes` are pairs of a scheme as users write it and as the driver knows it. A `+driver` after the scheme, as
/// in `postgresql+asyncpg://`, names a library of the application and is removed.
///
/// # Errors
///
/// What is wrong with the URL; never the URL itself.
pub(crate) fn parse(key: &'static str, url: &Secret, schemes: &[(&str, &str)]) -> Result<Url, InvalidConfig> {
    let invalid = |message: String| Err(InvalidConfig::new(key, message));
    let wanted = schemes.first().map_or("", |(_, known)| known);
    let Some((scheme, rest)) = url.expose().trim().split_once("://") else {
        return invalid(format!("not a URL: write `{wanted}://…`"));
    };
    let written = scheme.split('+').next().unwrap_or(scheme).to_ascii_lowercase();
    let Some((_, known)) = schemes.iter().find(|(alias, _)| *alias == written) else {
        // The text is not quoted: without a valid scheme it may be anything, even a password.
        return invalid(format!("the scheme before `://` does not belong to this kind: write `{wanted}://…`"));
    };
    match Url::parse(&format!("{known}://{rest}")) {
        Ok(url) => Ok(url),
        Err(error) => invalid(format!("not a URL: {error}; a password that contains `/`, `?`, `#` or `@` belongs in the key `password`")),
    }
}

/// Warns about parameters of a URL that are not in `known`: one of them may be a security setting, or misspelled.
#[cfg(feature = "sql-server")]
pub(crate) fn without_effect(url: &Url, known: &[&str]) -> Vec<ConfigWarning> {
    let is_word = |name: &str| name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let named = |name: &str| if is_word(name) { format!("the parameter `{name}`") } else { "a parameter".to_owned() };
    let unknown = url.query_pairs().filter(|(name, _)| !known.contains(&&**name) && !name.starts_with("options["));
    unknown.map(|(name, _)| ConfigWarning::new("url", format!("{} has no effect here", named(&name)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: &[(&str, &str)] = &[("postgres", "postgres"), ("postgis", "postgres")];

    #[test]
    fn aliases_and_drivers_become_the_known_scheme() {
        let url = parse("url", &Secret::new("postgis+psycopg://app:pw@db:5432/orders"), SCHEMES).expect("a URL");
        assert_eq!(url.as_str(), "postgres://app:pw@db:5432/orders");
    }

    #[test]
    fn errors_do_not_quote_the_url() {
        for wrong in ["hunter2", "hunter2://db", "app:hunter2@db/x?next=http://y", "mysql://app:hunter2@db", "postgres://app:hunter2/@db:x"]
        {
            let error = parse("url", &Secret::new(wrong), SCHEMES).expect_err("it is wrong");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
