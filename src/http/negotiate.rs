//! The dialect of a response: `?format=` decides, then `Accept`, and without both it is JSON.

use crate::dialect::Dialect;

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
pub(super) fn by_accept<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Dialect {
    best(lines, &Dialect::ALL.map(|dialect| (dialect, dialect.media_type()))).unwrap_or(Dialect::Json)
}

/// The best offer by `Accept` (RFC 9110, section 12.5.1); of equally good ones the first.
pub(super) fn best<'a, T: Copy>(lines: impl Iterator<Item = &'a [u8]>, offered: &[(T, &str)]) -> Option<T> {
    let mut ranges = Vec::new();
    for text in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
        for range in text.split(',') {
            let mut parameters = range.split(';').map(str::trim);
            let Some((main_type, subtype)) = parameters.next().and_then(|media| media.split_once('/')) else { continue };
            // Clients that read XHTML read HTML.
            let is_xhtml = subtype.eq_ignore_ascii_case("xhtml+xml");
            let (main_type, subtype) = if is_xhtml { ("text", "html") } else { (main_type, subtype) };
            let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
            let quality: f32 = quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
            ranges.push((main_type, subtype, quality));
        }
    }
    let mut best = (0.0, 0, None);
    for (offer, media_type) in offered {
        let (own_type, own_subtype) = media_type.split_once('/').unwrap_or_default();
        let matching = ranges.iter().filter_map(|(main_type, subtype, quality)| {
            let matches = |range: &str, own: &str| range == "*" || range.eq_ignore_ascii_case(own);
            let specificity = u8::from(*main_type != "*") + u8::from(*subtype != "*");
            (matches(main_type, own_type) && matches(subtype, own_subtype)).then_some((specificity, *quality))
        });
        // The most specific range decides about a media type. Among equal qualities the more specific range wins, then the earlier offer.
        if let Some((specificity, quality)) = matching.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)))
            && (quality, specificity) > (best.0, best.1)
            && quality > 0.0
        {
            best = (quality, specificity, Some(*offer));
        }
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", Dialect::Html),
            ("application/*", Dialect::Json),
            ("application/json", Dialect::Json),
            ("application/health+json, application/json;q=0.9, */*;q=0.5", Dialect::HealthJson),
            ("application/vnd.spring-boot.actuator.v3+json, application/json;q=0.9", Dialect::Spring),
            ("application/vnd.spring-boot.actuator.v2+json, application/json;q=0.9", Dialect::Json),
            ("application/atom+xml, application/rss+xml;q=0.9, */*;q=0.1", Dialect::Atom),
            ("application/rss+xml", Dialect::Rss),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1",
                Dialect::OpenMetrics,
            ),
            ("application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;q=0.1,text/plain;q=0.5", Dialect::OpenMetrics),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Dialect::Html),
            ("application/xhtml+xml, */*;q=0.1", Dialect::Html),
            ("application/json, text/html;q=0.9", Dialect::Json),
            ("", Dialect::Json),
            (";;;,,,q=", Dialect::Json),
        ] {
            assert_eq!(by_accept([accept.as_bytes()].into_iter()), expected, "{accept}");
        }
        assert_eq!(by_accept([].into_iter()), Dialect::Json);
        assert_eq!(by_accept([&b"\xff\xfe"[..]].into_iter()), Dialect::Json);
        assert_eq!(by_accept([&b"image/png"[..], b"text/plain"].into_iter()), Dialect::Text, "several header lines count as one");
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
            by_accept([&accept[..]].into_iter());
            query_options(Some(&query));
        }
    }
}
