//! Dialects: one wire format of a report per file, each a pure function of the report.

mod aspnet;
mod atom;
mod django;
mod feed;
#[cfg(feature = "server")]
pub(crate) mod haproxy_agent;
mod health_json;
pub(crate) mod html;
mod json;
pub(crate) mod metrics;
mod microprofile;
mod nagios;
mod rss;
mod spring;
mod text;

use crate::report::{ComponentReport, FailureReport, Probers, Report, Status, View};
use serde::Serialize;

#[cfg(feature = "cli")]
pub(crate) use text::line;

/// A wire format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// The default: indented JSON.
    Json,
    /// One line a component.
    Text,
    /// The Internet-Draft "Health Check Response Format for HTTP APIs".
    HealthJson,
    /// Metrics.
    OpenMetrics,
    /// A feed of the changes.
    Atom,
    /// The same, in the older form.
    Rss,
    /// django-health-check, version 4.
    Django,
    /// django-health-check, version 3.
    Django3,
    /// Spring Boot's actuator.
    Spring,
    /// `MicroProfile` Health.
    Microprofile,
    /// ASP.NET Core, for Xabaril's user interface.
    Aspnet,
    /// One line of a monitoring plugin.
    Nagios,
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
    /// Every dialect. Of two that have the same media type, who asks by it gets the first.
    pub const ALL: [Self; 13] = [
        Self::Json,
        Self::Text,
        Self::HealthJson,
        Self::OpenMetrics,
        Self::Atom,
        Self::Rss,
        Self::Django,
        Self::Django3,
        Self::Spring,
        Self::Microprofile,
        Self::Aspnet,
        Self::Nagios,
        Self::Html,
    ];

    /// The name, as in `?format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::HealthJson => "health+json",
            Self::OpenMetrics => "openmetrics",
            Self::Atom => "atom",
            Self::Rss => "rss",
            Self::Django => "django",
            Self::Django3 => "django3",
            Self::Spring => "spring",
            Self::Microprofile => "microprofile",
            Self::Aspnet => "aspnet",
            Self::Nagios => "nagios",
            Self::Html => "html",
        }
    }

    /// The media type, for the header and for negotiation.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::Django | Self::Django3 | Self::Microprofile | Self::Aspnet => "application/json",
            Self::Text | Self::Nagios => "text/plain",
            Self::HealthJson => "application/health+json",
            Self::OpenMetrics => metrics::Format::OpenMetrics.media_type(),
            Self::Atom => "application/atom+xml",
            Self::Rss => "application/rss+xml",
            Self::Spring => "application/vnd.spring-boot.actuator.v3+json",
            Self::Html => "text/html",
        }
    }

    /// The header `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text | Self::Nagios => "text/plain; charset=utf-8",
            Self::OpenMetrics => metrics::Format::OpenMetrics.content_type(),
            Self::Atom => "application/atom+xml; charset=utf-8",
            Self::Rss => "application/rss+xml; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            // JSON has one encoding.
            _ => self.media_type(),
        }
    }

    /// Whether it is answered with 200 whatever the verdict: collectors and feed readers would take anything else for a failure of ours.
    #[must_use]
    pub const fn is_for_collectors(self) -> bool {
        matches!(self, Self::OpenMetrics | Self::Atom | Self::Rss)
    }

    /// Whether the format has room for the pollers.
    pub(crate) const fn shows_pollers(self) -> bool {
        matches!(self, Self::Json | Self::Text | Self::Html)
    }

    /// The report in this format.
    #[must_use]
    pub fn render(self, report: &Report, detail: Detail) -> Vec<u8> {
        self.render_with(report, None, detail)
    }

    /// The report and its pollers; only JSON, text and the page have room for the pollers.
    #[must_use]
    pub fn render_with(self, report: &Report, probers: Option<&Probers>, detail: Detail) -> Vec<u8> {
        match self {
            Self::Json => json::render(report, probers, detail),
            Self::Text => text::render(report, probers, detail),
            Self::HealthJson => health_json::render(report, detail),
            Self::OpenMetrics => metrics::render(report, detail),
            Self::Atom => atom::render(report, detail),
            Self::Rss => rss::render(report, detail),
            Self::Django => django::render(report, detail),
            Self::Django3 => django::render_3(report, detail),
            Self::Spring => spring::render(report, detail),
            Self::Microprofile => microprofile::render(report, detail),
            Self::Aspnet => aspnet::render(report, detail),
            Self::Nagios => nagios::render(report, detail),
            Self::Html => page(&html::Place { root: "", view: &View::Whole }, report, probers, detail),
        }
    }
}

/// The status page as it is read at a place.
pub(crate) fn page(place: &html::Place<'_>, report: &Report, probers: Option<&Probers>, detail: Detail) -> Vec<u8> {
    let fragment = html::fragment(report, detail);
    match probers {
        Some(probers) => html::page(place, &html::with_probers(&fragment, probers, report, detail), report, detail),
        None => html::page(place, &fragment, report, detail),
    }
}

/// For formats that have no word for a warning which their readers would not take for a failure.
const fn up_or_down(status: Status) -> &'static str {
    match status {
        Status::Pass | Status::Warn => "UP",
        Status::Fail => "DOWN",
    }
}

/// Two-space indented, with a newline at the end.
fn pretty(document: &impl Serialize, status: Status) -> Vec<u8> {
    // Maps with text keys and plain values always serialise; should they ever not, a short answer is better than none.
    let mut json = serde_json::to_vec_pretty(document).unwrap_or_else(|_| format!("{{\n  \"status\": \"{status}\"\n}}").into_bytes());
    json.push(b'\n');
    json
}

/// What there is to say of a component, if anything.
fn described(component: &ComponentReport, detail: Detail) -> Option<String> {
    let failure = component.failure.as_ref().map(|failure| failed(failure, detail));
    let held = component.held_left.map(|left| format!("held, {:.0} s left", left.as_secs_f64()));
    let words: Vec<_> = [failure, component.warning.clone(), held].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// Our sentence, and the driver's for who may read it.
fn failed(failure: &FailureReport, detail: Detail) -> String {
    match failure.cause.as_ref().filter(|_| detail == Detail::Causes) {
        Some(cause) => format!("{} ({cause})", failure.message),
        None => failure.message.to_string(),
    }
}

#[cfg(test)]
mod tests;
