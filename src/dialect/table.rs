//! The table of dialects: everything that is known about each wire format besides how it is rendered.

use super::{
    Detail, PagePlace, RenderOptions, aspnet, atom, django, health_json, html, json, metrics, microprofile, nagios, rss, spring, text,
};
use crate::report::{Report, View};
use Audience::{Collectors, Verdict, VerdictAndPollers};

/// A wire format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dialect {
    /// The default: indented JSON.
    Json,
    /// Plain text, one line for each component.
    Text,
    /// `application/health+json`: the Internet-Draft "Health Check Response Format for HTTP APIs".
    HealthJson,
    /// Metrics in the format OpenMetrics.
    OpenMetrics,
    /// An Atom feed of the changes.
    Atom,
    /// An RSS feed of the changes.
    Rss,
    /// The JSON of django-health-check, version 4.
    Django,
    /// The JSON of django-health-check, version 3.
    Django3,
    /// The JSON of Spring Boot's actuator.
    Spring,
    /// The JSON of `MicroProfile` Health.
    Microprofile,
    /// The JSON of ASP.NET Core, for Xabaril's user interface.
    Aspnet,
    /// One line, as a monitoring plugin prints it.
    Nagios,
    /// The status page.
    Html,
}

/// A row of the table.
struct DialectRow {
    dialect: Dialect,
    /// The name, as in `?format=`.
    name: &'static str,
    /// The media type that `Accept` names.
    media_type: &'static str,
    /// The header `Content-Type`.
    content_type: &'static str,
    audience: Audience,
    render: fn(&Report, &RenderOptions<'_>) -> Vec<u8>,
}

/// Which clients read a dialect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Clients that poll for the verdict, which is in the status code as well.
    Verdict,
    /// The same; and the format has room for the pollers.
    VerdictAndPollers,
    /// Collectors and feed readers, which would discard any response but a 200.
    Collectors,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const TEXT_UTF8: &str = "text/plain; charset=utf-8";
const OPENMETRICS: metrics::MetricsFormat = metrics::MetricsFormat::OpenMetrics;

/// Every dialect, in the order of the variants. Of several with the same media type, `Accept` chooses the first.
const DIALECTS: &[DialectRow] = &[
    row(Dialect::Json, "json", JSON, JSON, VerdictAndPollers, json::render),
    row(Dialect::Text, "text", TEXT, TEXT_UTF8, VerdictAndPollers, text::render),
    row(Dialect::HealthJson, "health+json", "application/health+json", "application/health+json", Verdict, health_json::render),
    row(Dialect::OpenMetrics, "openmetrics", OPENMETRICS.media_type(), OPENMETRICS.content_type(), Collectors, metrics::render),
    row(Dialect::Atom, "atom", "application/atom+xml", "application/atom+xml; charset=utf-8", Collectors, atom::render),
    row(Dialect::Rss, "rss", "application/rss+xml", "application/rss+xml; charset=utf-8", Collectors, rss::render),
    row(Dialect::Django, "django", JSON, JSON, Verdict, django::render),
    row(Dialect::Django3, "django3", JSON, JSON, Verdict, django::render_3),
    row(Dialect::Spring, "spring", spring::MEDIA_TYPE, spring::MEDIA_TYPE, Verdict, spring::render),
    row(Dialect::Microprofile, "microprofile", JSON, JSON, Verdict, microprofile::render),
    row(Dialect::Aspnet, "aspnet", JSON, JSON, Verdict, aspnet::render),
    row(Dialect::Nagios, "nagios", TEXT, TEXT_UTF8, Verdict, nagios::render),
    row(Dialect::Html, "html", "text/html", "text/html; charset=utf-8", VerdictAndPollers, html::render),
];

const fn row(
    dialect: Dialect,
    name: &'static str,
    media_type: &'static str,
    content_type: &'static str,
    audience: Audience,
    render: fn(&Report, &RenderOptions<'_>) -> Vec<u8>,
) -> DialectRow {
    DialectRow { dialect, name, media_type, content_type, audience, render }
}

/// Does not compile unless each variant's row is at the variant's place.
const _: () = {
    let mut index = 0;
    while index < DIALECTS.len() {
        assert!(DIALECTS[index].dialect as usize == index);
        index += 1;
    }
};

impl Dialect {
    /// Every dialect. Of several with the same media type, `Accept` chooses the first.
    pub const ALL: [Self; DIALECTS.len()] = {
        let mut all = [Self::Json; DIALECTS.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = DIALECTS[index].dialect;
            index += 1;
        }
        all
    };

    const fn row(self) -> &'static DialectRow {
        &DIALECTS[self as usize]
    }

    /// The name, as in `?format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The media type that `Accept` names.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        self.row().media_type
    }

    /// The header `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        self.row().content_type
    }

    /// Whether the status code is 200 whatever the verdict: collectors and feed readers would take any other for a failed request.
    #[must_use]
    pub const fn is_for_collectors(self) -> bool {
        matches!(self.row().audience, Collectors)
    }

    /// Whether the format has room for the pollers.
    pub(crate) const fn shows_pollers(self) -> bool {
        matches!(self.row().audience, VerdictAndPollers)
    }

    /// The report in this format, as UTF-8 text.
    #[must_use]
    pub fn render(self, report: &Report, detail: Detail) -> Vec<u8> {
        self.render_with(report, &RenderOptions { detail, pollers: None, place: PagePlace { root: "", view: &View::Whole } })
    }

    /// The same, with the pollers and for a page below the root.
    pub(crate) fn render_with(self, report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
        (self.row().render)(report, options)
    }
}
