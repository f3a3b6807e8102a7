//! Which dialect an asker gets: by `?format=`, else by `Accept`, else JSON.

use crate::dialect::Dialect;

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) format: Option<Dialect>,
    pub(super) fresh: bool,
}

/// Reads a query; what is not understood in it is ignored, since load balancers' paths carry all sorts of things.
pub(super) fn wishes(query: Option<&str>) -> Wishes {
    let mut wishes = Wishes::default();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            "format" => wishes.format = by_name(&value).or(wishes.format),
            "fresh" => wishes.fresh = value != "0" && value != "false",
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

/// The best of what `Accept` names (RFC 9110, section 12.5.1); JSON where it names nothing that we have, or makes no sense.
pub(super) fn by_accept(accept: Option<&[u8]>) -> Dialect {
    let text = accept.and_then(|accept| std::str::from_utf8(accept).ok()).unwrap_or("*/*");
    let mut best = (Dialect::Json, 0.0);
    for range in text.split(',') {
        let mut parameters = range.split(';').map(str::trim);
        let media = parameters.next().unwrap_or_default();
        let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        let quality: f32 = quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
        // Of equally good ones the first wins.
        if let Some(dialect) = by_media_range(media).filter(|_| quality > best.1) {
            best = (dialect, quality);
        }
    }
    best.0
}

/// The first dialect, in our order, within a media range.
fn by_media_range(range: &str) -> Option<Dialect> {
    let (wanted_type, wanted_subtype) = range.split_once('/')?;
    Dialect::ALL.into_iter().find(|dialect| {
        let (own_type, own_subtype) = dialect.media_type().split_once('/').unwrap_or_default();
        (wanted_type == "*" || wanted_type.eq_ignore_ascii_case(own_type))
            && (wanted_subtype == "*" || wanted_subtype.eq_ignore_ascii_case(own_subtype))
    })
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
            ("image/png", Dialect::Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Dialect::Json),
            ("", Dialect::Json),
            (";;;,,,q=", Dialect::Json),
        ] {
            assert_eq!(by_accept(Some(accept.as_bytes())), expected, "{accept}");
        }
        assert_eq!(by_accept(None), Dialect::Json);
        assert_eq!(by_accept(Some(b"\xff\xfe")), Dialect::Json);
    }

    #[test]
    fn the_query_is_read_and_the_rest_ignored() {
        assert_eq!(wishes(Some("format=text&x=1")), Wishes { format: Some(Dialect::Text), fresh: false });
        assert_eq!(wishes(Some("fresh")), Wishes { format: None, fresh: true });
        assert_eq!(wishes(Some("fresh=0&format=no+such")), Wishes::default());
        assert_eq!(wishes(Some("%ff%&&=&format")), Wishes::default());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(accept in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,200}") {
            by_accept(Some(&accept));
            wishes(Some(&query));
        }
    }
}
