//! What `allswell get` requests: a path of the own service, or a URL.

use super::error::CommandError;
use allswell_checks::{contract::Secret, wire::address::Address};
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use url::Url;

/// The path that is requested of the own service by default.
const DEFAULT_PATH: &str = "/health";

/// What is requested.
#[derive(Debug)]
pub(super) enum GetTarget {
    /// A path of the own service, with a query.
    Own(String),
    Url(Url),
}

impl GetTarget {
    /// Parses the argument: a path, a URL, or a host with a port or a path, as curl understands it.
    ///
    /// # Errors
    ///
    /// It is something else. The text is not quoted: it may contain a password.
    pub(super) fn parse(argument: Option<&str>) -> Result<Self, CommandError> {
        let Some(text) = argument else { return Ok(Self::Own(DEFAULT_PATH.to_owned())) };
        if text.starts_with('/') {
            // The parser escapes what must not be in a request.
            let url = Url::parse("http://localhost").and_then(|base| base.join(&format!(".{text}")));
            let url = url.map_err(|_| CommandError::Usage("this is not a path: write /readyz".to_owned()))?;
            return Ok(Self::Own(path_and_query(&url)));
        }
        let wrong =
            || CommandError::Usage("this is not an HTTP URL: write http://127.0.0.1:8080/health, or /health of the own service".to_owned());
        if text.split_once(':').is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && !rest.starts_with("//")) {
            return Err(wrong());
        }
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(wrong)?;
        // `readyz` is more probably a path than a host.
        if !text.contains(['.', ':', '/']) && text != "localhost" {
            return Err(CommandError::Usage(
                "this may be a path or a host: write /NAME for the path, or http://NAME for the host".to_owned(),
            ));
        }
        Ok(Self::Url(url))
    }

    /// Adds the query option `format`.
    ///
    /// # Errors
    ///
    /// There is one already.
    pub(super) fn with_format(self, format: &str) -> Result<Self, CommandError> {
        let query = match &self {
            Self::Own(path) => path.split_once('?').map(|(_, query)| query.to_owned()),
            Self::Url(url) => url.query().map(str::to_owned),
        };
        if form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == "format") {
            return Err(CommandError::Usage("the URL has a format already: remove it, or --format".to_owned()));
        }
        let option: String = form_urlencoded::Serializer::new(String::new()).append_pair("format", format).finish();
        Ok(match self {
            Self::Own(path) => Self::Own(format!("{path}{}{option}", if path.contains('?') { '&' } else { '?' })),
            Self::Url(mut url) => {
                let query =
                    url.query().filter(|query| !query.is_empty()).map_or_else(|| option.clone(), |query| format!("{query}&{option}"));
                url.set_query(Some(&query));
                Self::Url(url)
            }
        })
    }

    /// The credentials of the URL, as a value of the header `Authorization`.
    pub(super) fn basic_credentials(&self) -> Option<Secret> {
        let Self::Url(url) = self else { return None };
        let password = url.password().unwrap_or_default();
        if url.username().is_empty() && password.is_empty() {
            return None;
        }
        let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
        pair.push(b':');
        pair.extend(percent_decode_str(password));
        Some(Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair))))
    }
}

/// Path and query of a URL, as a request has them.
pub(super) fn path_and_query(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// The URL without credentials and query, for messages.
pub(super) fn server_and_path(scheme: &str, address: &Address, path: &str) -> String {
    format!("{scheme}://{address}{}", path.split('?').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        GetTarget::parse(Some(text)).ok().map(|target| match target {
            GetTarget::Own(path) => path,
            GetTarget::Url(url) => url.to_string(),
        })
    }

    #[test]
    fn paths_urls_and_hosts_are_understood() {
        for (text, expected) in [
            ("/readyz", "/readyz"),
            ("/health?only=fail", "/health?only=fail"),
            ("/health/a b", "/health/a%20b"),
            ("//health", "//health"),
            ("localhost:8080/readyz", "http://localhost:8080/readyz"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("[::1]:8080/readyz", "http://[::1]:8080/readyz"),
            ("localhost", "http://localhost/"),
            ("app/health", "http://app/health"),
            ("HTTPS://[::1]:8443/?a=b", "https://[::1]:8443/?a=b"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "http:/127.0.0.1/",
            "https:127.0.0.1",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:8080x/",
            "ftp://127.0.0.1/",
            "http://",
            "",
            "not a url",
            "readyz",
            "::1:8080",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert!(matches!(GetTarget::parse(None), Ok(GetTarget::Own(path)) if path == "/health"));
    }

    #[test]
    fn a_format_is_added_to_the_query_once() {
        let with = |text: &str| {
            GetTarget::parse(Some(text)).and_then(|target| target.with_format("health+json")).ok().map(|target| match target {
                GetTarget::Own(path) => path,
                GetTarget::Url(url) => url.to_string(),
            })
        };
        assert_eq!(with("/readyz").as_deref(), Some("/readyz?format=health%2Bjson"));
        assert_eq!(with("/readyz?only=fail").as_deref(), Some("/readyz?only=fail&format=health%2Bjson"));
        assert_eq!(with("http://h/?only=fail").as_deref(), Some("http://h/?only=fail&format=health%2Bjson"));
        assert_eq!((with("/readyz?format=text"), with("http://h/?format=text")), (None, None));
    }

    #[test]
    fn credentials_of_a_url_are_decoded() {
        let credentials = |text| GetTarget::parse(Some(text)).ok().and_then(|target| target.basic_credentials());
        let found = credentials("http://app:p%40ss@h/").expect("credentials");
        assert_eq!(found.expose(), format!("Basic {}", BASE64_STANDARD.encode("app:p@ss")));
        assert!(credentials("http://h/").is_none());
    }

    #[test]
    fn messages_name_the_server_without_the_query() {
        assert_eq!(server_and_path("http", &Address::new("[::1]", 8080), "/health?token=x"), "http://[::1]:8080/health");
    }
}
