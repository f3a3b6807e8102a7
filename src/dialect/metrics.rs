//! Metrics: [OpenMetrics](https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md), and the text format of
//! [Prometheus](https://prometheus.io/docs/instrumenting/exposition_formats/) that it was made of.

use super::Detail;
use crate::{
    component::CheckName,
    report::{ComponentReport, Report, Status, Tally},
};
use std::fmt::{self, Write as _};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// Every format; first the one for who does not choose: every collector reads it.
    pub(crate) const ALL: [Self; 2] = [Self::Prometheus, Self::OpenMetrics];

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text",
            Self::Prometheus => "text/plain",
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What a family of metrics is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// Metrics that are written one family after the other.
pub(crate) struct Page {
    text: String,
    format: Format,
    /// What the samples of the family begin with.
    family: &'static str,
    suffix: &'static str,
}

impl Page {
    pub(crate) fn new(format: Format) -> Self {
        Self { text: String::new(), format, family: "", suffix: "" }
    }

    /// Begins a family; its samples follow.
    pub(crate) fn family(&mut self, family: &'static str, sort: Sort, help: &str) {
        self.family = family;
        self.suffix = match sort {
            Sort::Counter => "_total",
            Sort::Info => "_info",
            Sort::Gauge | Sort::Histogram => "",
        };
        // For OpenMetrics a suffix belongs to the sample, for Prometheus to the name; which does not know what an info is.
        let (suffix, word) = match (self.format, sort) {
            (Format::OpenMetrics, Sort::Info) => ("", "info"),
            (Format::Prometheus, Sort::Info) => (self.suffix, "gauge"),
            (Format::OpenMetrics, Sort::Counter) => ("", "counter"),
            (Format::Prometheus, Sort::Counter) => (self.suffix, "counter"),
            (_, Sort::Gauge) => ("", "gauge"),
            (_, Sort::Histogram) => ("", "histogram"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {family}{suffix} {help}\n# TYPE {family}{suffix} {word}");
        if self.format == Format::OpenMetrics && family.ends_with("_seconds") {
            let _ = writeln!(self.text, "# UNIT {family} seconds");
        }
    }

    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.write(self.suffix, labels, value);
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (name, label)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"{}\"", if index == 0 { '{' } else { ',' }, Escaped(label));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, component: &CheckName, tally: &Tally) {
        let component = ("component", component.as_str());
        for (limit, count) in tally.within() {
            // OpenMetrics asks for a point.
            self.write("_bucket", &[component, ("le", &format!("{limit:?}"))], count);
        }
        self.write("_bucket", &[component, ("le", "+Inf")], tally.probes());
        self.write("_sum", &[component], tally.total().as_secs_f64());
        self.write("_count", &[component], tally.probes());
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text.into_bytes()
    }
}

/// The report as OpenMetrics.
pub(super) fn render(report: &Report, detail: Detail) -> Vec<u8> {
    let mut page = Page::new(Format::OpenMetrics);
    write(&mut page, report, detail);
    page.end()
}

/// Writes all that a report knows. Who is muted has no state, so it has no sample: any number would be a claim.
pub(crate) fn write(page: &mut Page, report: &Report, detail: Detail) {
    let full = detail > Detail::Status;
    page.family("allswell_status", Sort::Gauge, "The verdict: 1 pass, 0.5 warn, 0 fail.");
    page.sample(&[], number(report.status));
    let known: Vec<_> = report.components.iter().filter(|(_, component)| !component.muted).collect();
    page.family("allswell_component_status", Sort::Gauge, "How a component is: 1 pass, 0.5 warn, 0 fail.");
    for (name, component) in &known {
        let critical = if component.critical { "true" } else { "false" };
        let labels = [("component", name.as_str()), ("kind", component.kind), ("critical", critical)];
        page.sample(&labels[..if full { 3 } else { 1 }], number(component.status));
    }
    if full {
        measured(page, &known);
        page.family("allswell_build", Sort::Info, "Which allswell this is.");
        page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    }
}

fn measured(page: &mut Page, known: &[(&CheckName, &ComponentReport)]) {
    page.family("allswell_probe_duration_seconds", Sort::Histogram, "How long probes took.");
    for (name, component) in known {
        page.histogram(name, &component.tally);
    }
    page.family("allswell_probes", Sort::Counter, "Probes by what they brought back.");
    for (name, component) in known {
        for outcome in [Status::Pass, Status::Warn, Status::Fail] {
            page.sample(&[("component", name.as_str()), ("outcome", outcome.as_str())], component.tally.of(outcome));
        }
    }
    page.family("allswell_component_last_result_timestamp_seconds", Sort::Gauge, "When the last probe ended.");
    for (name, component) in known {
        if let Some(at) = component.checked_at {
            let milliseconds = at.as_millisecond();
            page.sample(&[("component", name.as_str())], format_args!("{}.{:03}", milliseconds / 1000, milliseconds % 1000));
        }
    }
    page.family("allswell_transitions", Sort::Counter, "How often a component became something else.");
    for (name, component) in known {
        page.sample(&[("component", name.as_str())], component.transitions);
    }
}

const fn number(status: Status) -> &'static str {
    match status {
        Status::Pass => "1",
        Status::Warn => "0.5",
        Status::Fail => "0",
    }
}

/// A label's value as both formats write it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => formatter.write_str("\\\\"),
            '"' => formatter.write_str("\\\""),
            '\n' => formatter.write_str("\\n"),
            c => formatter.write_char(c),
        })
    }
}
