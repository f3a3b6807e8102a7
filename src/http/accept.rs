//! The header `Accept`: which of the offered media types a client prefers (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header::ACCEPT};
use std::cmp::Reverse;

/// The media ranges that a client accepts, in its order.
pub(super) struct Accepted<'a>(Vec<MediaRange<'a>>);

struct MediaRange<'a> {
    main_type: &'a str,
    subtype: &'a str,
    /// From 0 (not acceptable) to 1.
    quality: f32,
}

/// How much a client prefers a media type; a greater value is better.
#[derive(PartialEq, PartialOrd)]
struct Preference {
    quality: f32,
    specificity: u8,
    /// The RFC leaves open which of equally good types to choose. Clients list the one first that they would rather have.
    position: Reverse<usize>,
}

impl<'a> Accepted<'a> {
    /// Reads all lines of the header. What cannot be parsed is ignored.
    pub(super) fn from_headers(headers: &'a HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).into_iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
        Self(lines.flat_map(|line| line.split(',')).filter_map(MediaRange::parse).collect())
    }

    /// The best of the offered media types, each with a value; of equally good ones the first.
    pub(super) fn best<'b, T>(&self, offered: impl IntoIterator<Item = (T, &'b str)>) -> Option<T> {
        let mut best: Option<(Preference, T)> = None;
        for (offer, media_type) in offered {
            if let Some(preference) = self.preference(media_type)
                && best.as_ref().is_none_or(|(highest, _)| preference > *highest)
            {
                best = Some((preference, offer));
            }
        }
        best.map(|(_, offer)| offer)
    }

    /// Whether the client accepts this media type and no other.
    pub(super) fn is_only(&self, media_type: &str) -> bool {
        let mut acceptable = self.0.iter().filter(|range| range.quality > 0.0).peekable();
        acceptable.peek().is_some() && acceptable.all(|range| range.names(media_type))
    }

    /// The most specific of the matching ranges decides about a media type.
    fn preference(&self, media_type: &str) -> Option<Preference> {
        let matching = self.0.iter().enumerate().filter(|(_, range)| range.matches(media_type));
        let (position, range) = matching.max_by(|(one_position, one), (other_position, other)| {
            let by_quality = || one.quality.total_cmp(&other.quality);
            one.specificity().cmp(&other.specificity()).then_with(by_quality).then(other_position.cmp(one_position))
        })?;
        (range.quality > 0.0).then(|| Preference { quality: range.quality, specificity: range.specificity(), position: Reverse(position) })
    }
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parameters = text.split(';').map(str::trim);
        let media = parameters.next()?;
        // Java's `HttpURLConnection` sends `*` as well as `*/*`.
        let (main_type, subtype) = media.split_once('/').or((media == "*").then_some(("*", "*")))?;
        let (main_type, subtype) = match subtype {
            // Clients that read XHTML read HTML.
            _ if subtype.eq_ignore_ascii_case("xhtml+xml") => ("text", "html"),
            // The actuator of Spring Boot 2.0 and 2.1: the status is the same in version 3.
            "vnd.spring-boot.actuator.v2+json" => (main_type, "vnd.spring-boot.actuator.v3+json"),
            _ => (main_type, subtype),
        };
        let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |quality| quality.trim().parse::<f32>().unwrap_or(0.0).min(1.0));
        Some(Self { main_type, subtype, quality })
    }

    fn specificity(&self) -> u8 {
        u8::from(self.main_type != "*") + u8::from(self.subtype != "*")
    }

    fn matches(&self, media_type: &str) -> bool {
        let matches = |range: &str, own: &str| range == "*" || range.eq_ignore_ascii_case(own);
        media_type.split_once('/').is_some_and(|(main_type, subtype)| matches(self.main_type, main_type) && matches(self.subtype, subtype))
    }

    /// Whether it is exactly this media type.
    fn names(&self, media_type: &str) -> bool {
        self.specificity() == 2 && self.matches(media_type)
    }
}
