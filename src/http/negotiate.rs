//! The dialect of a response: `?format=` decides, then `Accept`, and without both it is JSON.

use super::accept::Accepted;
use crate::dialect::Dialect;
use axum::http::{HeaderMap, header::UPGRADE_INSECURE_REQUESTS};

/// The options in the query of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct QueryOptions {
    pub(super) format: Option<Dialect>,
    pub(super) fresh: bool,
    pub(super) probers: bool,
}

/// Reads the options of a query. Unknown ones are ignored, since the paths of load balancers carry all kinds of them.
pub(super) fn query_options(query: Option<&str>) -> QueryOptions {
    let mut options = QueryOptions::default();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            // An unknown format must not fail a poll.
            "format" => options.format = Some(by_name(&value).unwrap_or(Dialect::Json)),
            "fresh" => options.fresh = value != "0" && value != "false",
            "probers" => options.probers = value != "0" && value != "false",
            _ => {}
        }
    }
    options
}

fn by_name(name: &str) -> Option<Dialect> {
    // In a query, `+` stands for a space: `health+json` arrives as `health json`.
    let name = name.trim().replace(' ', "+").to_ascii_lowercase();
    Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
}

/// The best dialect that `Accept` names, or JSON if it names none that we have or cannot be parsed.
///
/// Monitors and HTTP libraries list `text/html` because they copied the header of a browser, and then look for JSON in the response. So below the
/// root the status page is only for browsers and for clients that accept nothing else. The response depends on headers that `Vary` does not
/// list: `no-store` keeps it out of every cache.
pub(super) fn by_accept(headers: &HeaderMap, at_root: bool) -> Dialect {
    let accepted = Accepted::from_headers(headers);
    let gets_page = at_root || is_browser(headers) || accepted.is_only(Dialect::Html.media_type());
    let offered = Dialect::ALL.into_iter().filter(|dialect| gets_page || *dialect != Dialect::Html);
    accepted.best(offered.map(|dialect| (dialect, dialect.media_type()))).unwrap_or(Dialect::Json)
}

/// Whether a browser sends the request because a person navigates. Browsers send the first header to HTTPS and to loopback only, and those older
/// than 2023 only the second.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate") || headers.contains_key(UPGRADE_INSECURE_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue, header::ACCEPT};
    use proptest::prelude::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let line =
            |(name, value): &(&'static str, &[u8])| (HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a value"));
        lines.iter().map(line).collect()
    }

    fn at_root(accept: &str) -> Dialect {
        by_accept(&headers(&[("accept", accept.as_bytes())]), true)
    }

    fn below_root(accept: &str) -> Dialect {
        by_accept(&headers(&[("accept", accept.as_bytes())]), false)
    }

    #[test]
    fn accept_is_evaluated_as_the_rfc_says() {
        for (accept, expected) in [
            ("*/*", Dialect::Json),
            ("text/plain", Dialect::Text),
            ("TEXT/*", Dialect::Text),
            ("text/plain;q=0.5, application/json;q=0.4", Dialect::Text),
            ("text/plain; q=0.5, */*", Dialect::Json),
            ("text/plain;q=0", Dialect::Json),
            ("application/json;q=0, */*", Dialect::Text),
            ("*/*, text/plain", Dialect::Text),
            ("image/png", Dialect::Json),
            ("application/*", Dialect::Json),
            ("application/json", Dialect::Json),
            ("application/health+json, application/json;q=0.9, */*;q=0.5", Dialect::HealthJson),
            ("application/vnd.spring-boot.actuator.v3+json, application/json;q=0.9", Dialect::Spring),
            ("application/atom+xml, application/rss+xml;q=0.9, */*;q=0.1", Dialect::Atom),
            ("application/rss+xml", Dialect::Rss),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1",
                Dialect::OpenMetrics,
            ),
            ("application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;q=0.1,text/plain;q=0.5", Dialect::OpenMetrics),
            ("application/json, text/html;q=0.9", Dialect::Json),
            ("text/plain;q=7, application/json", Dialect::Text),
            ("text/plain;q=nan, application/json;q=1", Dialect::Text),
            ("", Dialect::Json),
            (";;;,,,q=", Dialect::Json),
        ] {
            assert_eq!((at_root(accept), below_root(accept)), (expected, expected), "{accept}");
        }
        assert_eq!(by_accept(&HeaderMap::new(), true), Dialect::Json);
        assert_eq!(by_accept(&headers(&[("accept", b"\xff\xfe")]), true), Dialect::Json);
        let lines = headers(&[("accept", b"image/png"), ("accept", b"text/plain")]);
        assert_eq!(by_accept(&lines, false), Dialect::Text, "several header lines count as one");
    }

    #[test]
    fn of_equally_good_types_the_client_names_the_better_one_first() {
        for (accept, expected) in [
            ("application/json, text/plain", Dialect::Json),
            ("text/plain, application/json", Dialect::Text),
            ("application/json, text/plain, */*", Dialect::Json),
            ("application/rss+xml, application/atom+xml", Dialect::Rss),
            ("text/*, application/*", Dialect::Text),
            // Spring Boot Admin, since 2.3 and before.
            (
                "application/vnd.spring-boot.actuator.v3+json, application/vnd.spring-boot.actuator.v2+json, \
                 application/vnd.spring-boot.actuator.v1+json, application/json",
                Dialect::Spring,
            ),
            ("application/vnd.spring-boot.actuator.v2+json,application/vnd.spring-boot.actuator.v1+json,application/json", Dialect::Spring),
            ("application/json, application/vnd.spring-boot.actuator.v3+json", Dialect::Json),
        ] {
            assert_eq!(below_root(accept), expected, "{accept}");
        }
    }

    #[test]
    fn the_page_is_for_browsers_and_for_clients_that_accept_nothing_else() {
        const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
        for (accept, expected) in [
            (CHROME, (Dialect::Json, Dialect::Html)),
            ("text/html, */*", (Dialect::Json, Dialect::Html)),
            // Java's HttpURLConnection before version 26.
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", (Dialect::Json, Dialect::Html)),
            ("text/html, *; q=.2", (Dialect::Json, Dialect::Html)),
            // w3m and Lynx.
            ("text/html, text/*;q=0.5, image/*", (Dialect::Text, Dialect::Html)),
            ("text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01", (Dialect::Text, Dialect::Html)),
            ("text/html, application/xhtml+xml, */*;q=0", (Dialect::Html, Dialect::Html)),
            ("application/xhtml+xml", (Dialect::Html, Dialect::Html)),
            ("TEXT/HTML; charset=utf-8", (Dialect::Html, Dialect::Html)),
            ("text/html;q=0", (Dialect::Json, Dialect::Json)),
            ("application/atom+xml, application/rss+xml, text/html;q=0.7, */*;q=0.1", (Dialect::Atom, Dialect::Atom)),
            ("text/html, application/rss+xml;q=0.9", (Dialect::Rss, Dialect::Html)),
        ] {
            assert_eq!((below_root(accept), at_root(accept)), expected, "{accept}");
        }
        for marker in [("sec-fetch-mode", &b"navigate"[..]), ("upgrade-insecure-requests", b"1")] {
            for (accept, expected) in [(CHROME, Dialect::Html), ("text/html, */*", Dialect::Html), ("*/*", Dialect::Json)] {
                assert_eq!(by_accept(&headers(&[("accept", accept.as_bytes()), marker]), false), expected, "{marker:?} {accept}");
            }
        }
        let fetched = headers(&[("accept", CHROME.as_bytes()), ("sec-fetch-mode", b"cors")]);
        assert_eq!(by_accept(&fetched, false), Dialect::Json, "a script of a page");
    }

    #[test]
    fn unknown_query_options_are_ignored() {
        assert_eq!(query_options(Some("format=text&x=1")), QueryOptions { format: Some(Dialect::Text), ..QueryOptions::default() });
        assert_eq!(query_options(Some("fresh")), QueryOptions { fresh: true, ..QueryOptions::default() });
        assert_eq!(query_options(Some("fresh=0&format=no+such")), QueryOptions { format: Some(Dialect::Json), ..QueryOptions::default() });
        assert_eq!(query_options(Some("probers&fresh=false")), QueryOptions { probers: true, ..QueryOptions::default() });
        assert_eq!(query_options(Some("format=health+json")).format, Some(Dialect::HealthJson), "a plus that was not encoded");
        assert_eq!(query_options(Some("format=health%2Bjson")).format, Some(Dialect::HealthJson));
        for dialect in Dialect::ALL {
            assert_eq!(query_options(Some(&format!("format={}", dialect.name()))).format, Some(dialect));
        }
        assert_eq!(query_options(Some("%ff%&&=&formal")), QueryOptions::default());
    }

    proptest! {
        #[test]
        fn no_header_and_no_query_panics(accept in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,200}") {
            if let Ok(accept) = HeaderValue::from_bytes(&accept) {
                by_accept(&HeaderMap::from_iter([(ACCEPT, accept)]), false);
            }
            query_options(Some(&query));
        }
    }
}
