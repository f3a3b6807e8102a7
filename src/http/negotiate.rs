//! Which dialect an asker gets: by `?format=`, else by `Accept`, else JSON.

use crate::dialect::Dialect;

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) format: Option<Dialect>,
    pub(super) fresh: bool,
    pub(super) probers: bool,
}

/// Reads a query; what is not understood in it is ignored, since load balancers' paths carry all sorts of things.
pub(super) fn wishes(query: Option<&str>) -> Wishes {
    let mut wishes = Wishes::default();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            // What is not known is answered as if nothing better were known.
            "format" => wishes.format = Some(by_name(&value).unwrap_or(Dialect::Json)),
            "fresh" => wishes.fresh = value != "0" && value != "false",
            "probers" => wishes.probers = value != "0" && value != "false",
            _ => {}
        }
    }
    wishes
}

fn by_name(name: &str) -> Option<Dialect> {
    // A plus in a query is a blank.
    let name = name.trim().replace(' ', "+").to_ascii_lowercase();
    Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
}

/// The best of what `Accept` names; JSON where it names nothing that we have, or makes no sense.
pub(super) fn by_accept<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Dialect {
    best(lines, &Dialect::ALL.map(|dialect| (dialect, dialect.media_type()))).unwrap_or(Dialect::Json)
}

/// The best that is offered of what `Accept` names (RFC 9110, section 12.5.1); of equally good ones the first.
pub(super) fn best<'a, T: Copy>(lines: impl Iterator<Item = &'a [u8]>, offered: &[(T, &str)]) -> Option<T> {
    let mut ranges = Vec::new();
    for text in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
        for range in text.split(',') {
            let mut parameters = range.split(';').map(str::trim);
            let Some((wanted_type, wanted_subtype)) = parameters.next().and_then(|media| media.split_once('/')) else { continue };
            // Who reads the one reads the other.
            let xhtml = wanted_subtype.eq_ignore_ascii_case("xhtml+xml");
            let (wanted_type, wanted_subtype) = if xhtml { ("text", "html") } else { (wanted_type, wanted_subtype) };
            let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
            let quality: f32 = quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
            ranges.push((wanted_type, wanted_subtype, quality));
        }
    }
    let mut best = (0.0, 0, None);
    for (one, media_type) in offered {
        let (own_type, own_subtype) = media_type.split_once('/').unwrap_or_default();
        let matching = ranges.iter().filter_map(|(wanted_type, wanted_subtype, quality)| {
            let fits = |wanted: &str, own: &str| wanted == "*" || wanted.eq_ignore_ascii_case(own);
            let specificity = u8::from(*wanted_type != "*") + u8::from(*wanted_subtype != "*");
            (fits(wanted_type, own_type) && fits(wanted_subtype, own_subtype)).then_some((specificity, *quality))
        });
        // The most specific range speaks for a media type. Of equally good ones the one that was named more exactly wins, then ours.
        if let Some((specificity, quality)) = matching.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)))
            && (quality, specificity) > (best.0, best.1)
            && quality > 0.0
        {
            best = (quality, specificity, Some(*one));
        }
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accept_is_read_as_the_rfc_says() {
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
        assert_eq!(by_accept([&b"image/png"[..], b"text/plain"].into_iter()), Dialect::Text, "several lines are one");
    }

    #[test]
    fn the_query_is_read_and_the_rest_ignored() {
        assert_eq!(wishes(Some("format=text&x=1")), Wishes { format: Some(Dialect::Text), ..Wishes::default() });
        assert_eq!(wishes(Some("fresh")), Wishes { fresh: true, ..Wishes::default() });
        assert_eq!(wishes(Some("fresh=0&format=no+such")), Wishes { format: Some(Dialect::Json), ..Wishes::default() });
        assert_eq!(wishes(Some("probers&fresh=false")), Wishes { probers: true, ..Wishes::default() });
        assert_eq!(wishes(Some("format=health+json")).format, Some(Dialect::HealthJson), "as it arrives from who does not encode");
        assert_eq!(wishes(Some("format=health%2Bjson")).format, Some(Dialect::HealthJson));
        for dialect in Dialect::ALL {
            assert_eq!(wishes(Some(&format!("format={}", dialect.name()))).format, Some(dialect));
        }
        assert_eq!(wishes(Some("%ff%&&=&formal")), Wishes::default());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(accept in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,200}") {
            by_accept([&accept[..]].into_iter());
            wishes(Some(&query));
        }
    }
}
