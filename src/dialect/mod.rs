//! Dialects: one wire format of a report per file, each a pure function of the report.

#[cfg(feature = "cli")]
pub(crate) mod haproxy_agent;
pub(crate) mod html;
mod json;
mod text;

use crate::report::{Report, View};

#[cfg(feature = "cli")]
pub(crate) use text::line;

/// A wire format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The default: indented JSON.
    Json,
    /// One line a component.
    Text,
    /// The status page.
    Html,
}

/// How much of a report is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Names and statuses.
    Status,
    /// All but the drivers' words.
    Full,
    /// The drivers' words too, redacted.
    Causes,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 3] = [Self::Json, Self::Text, Self::Html];

    /// The name, as in `?format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Html => "html",
        }
    }

    /// The media type, for the header and for negotiation.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain",
            Self::Html => "text/html",
        }
    }

    /// The header `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// The report in this format; made at most once per report.
    #[must_use]
    pub fn render(self, report: &Report, detail: Detail) -> bytes::Bytes {
        if self == Self::Html {
            return page(&html::Place { root: "", view: &View::Whole }, report, detail);
        }
        self.rendered(report, detail)
    }

    /// What is kept of it beside the report: of a page the fragment, of all others the whole.
    fn rendered(self, report: &Report, detail: Detail) -> bytes::Bytes {
        let slot = self as usize * 3 + detail as usize;
        report.rendered(slot, |report| match self {
            Self::Json => json::render(report, detail),
            Self::Text => text::render(report, detail),
            Self::Html => html::fragment(report, detail),
        })
    }
}

/// The status page as it is read at a place.
pub(crate) fn page(place: &html::Place<'_>, report: &Report, detail: Detail) -> bytes::Bytes {
    html::page(place, &fragment(report, detail), report, detail).into()
}

/// What changes of the status page; made at most once per report.
pub(crate) fn fragment(report: &Report, detail: Detail) -> bytes::Bytes {
    Dialect::Html.rendered(report, detail)
}
