//! Metrics in two text formats: [OpenMetrics](https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md) and its
//! predecessor, that of [Prometheus](https://prometheus.io/docs/instrumenting/exposition_formats/).
//!
//! The dialect `openmetrics` shows a report; `/metrics` shows the polls as well.

use super::{Detail, RenderOptions};
use crate::{
    component::CheckName,
    pollers::{PollerReport, Polls},
    report::{ComponentReport, Report, Status, Tally},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MetricsFormat {
    OpenMetrics,
    Prometheus,
}

impl MetricsFormat {
    /// Both formats. The first is the default, since every collector reads it.
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

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricType {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// Metrics, written one family after the other.
struct MetricsText {
    text: String,
    format: MetricsFormat,
    /// The current family; its samples begin with its name.
    family: &'static str,
    /// The suffix of its samples.
    suffix: &'static str,
}

impl MetricsText {
    fn new(format: MetricsFormat) -> Self {
        Self { text: String::new(), format, family: "", suffix: "" }
    }

    /// Begins a family; its samples follow.
    fn family(&mut self, family: &'static str, kind: MetricType, help: &str) {
        self.family = family;
        self.suffix = match kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            MetricType::Gauge | MetricType::Histogram => "",
        };
        // In OpenMetrics the suffix is not part of the family's name, in the Prometheus format it is. Only OpenMetrics has the type info.
        let (suffix, word) = match (self.format, kind) {
            (MetricsFormat::OpenMetrics, MetricType::Info) => ("", "info"),
            (MetricsFormat::Prometheus, MetricType::Info) => (self.suffix, "gauge"),
            (MetricsFormat::OpenMetrics, MetricType::Counter) => ("", "counter"),
            (MetricsFormat::Prometheus, MetricType::Counter) => (self.suffix, "counter"),
            (_, MetricType::Gauge) => ("", "gauge"),
            (_, MetricType::Histogram) => ("", "histogram"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {family}{suffix} {help}\n# TYPE {family}{suffix} {word}");
        if self.format == MetricsFormat::OpenMetrics && family.ends_with("_seconds") {
            let _ = writeln!(self.text, "# UNIT {family} seconds");
        }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.write(self.suffix, labels, value);
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (name, label)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"{}\"", if index == 0 { '{' } else { ',' }, LabelEscaped(label));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, component: &CheckName, tally: &Tally) {
        let component = ("component", component.as_str());
        for (limit, count) in tally.within() {
            // OpenMetrics requires a decimal point, which this format always has.
            self.write("_bucket", &[component, ("le", &format!("{limit:?}"))], count);
        }
        self.write("_bucket", &[component, ("le", "+Inf")], tally.probes());
        self.write("_sum", &[component], tally.total().as_secs_f64());
        self.write("_count", &[component], tally.probes());
    }

    fn end(mut self) -> Vec<u8> {
        if self.format == MetricsFormat::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text.into_bytes()
    }
}

/// The report as OpenMetrics.
pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let mut text = MetricsText::new(MetricsFormat::OpenMetrics);
    write_report(&mut text, report, options.detail);
    text.end()
}

/// The report and the polls, for `/metrics`.
pub(crate) fn metrics_text(format: MetricsFormat, report: &Report, polls: &Polls, detail: Detail) -> Vec<u8> {
    let mut text = MetricsText::new(format);
    write_report(&mut text, report, detail);
    if detail > Detail::Status {
        write_polls(&mut text, polls);
    }
    text.end()
}

/// Writes the metrics of a report. A muted component has no status, so it has no samples: any number would be wrong.
fn write_report(text: &mut MetricsText, report: &Report, detail: Detail) {
    let full = detail > Detail::Status;
    text.family("allswell_status", MetricType::Gauge, "The verdict: 1 pass, 0.5 warn, 0 fail.");
    text.sample(&[], number(report.status));
    let known: Vec<_> = report.components.iter().filter(|(_, component)| !component.muted).collect();
    text.family("allswell_component_status", MetricType::Gauge, "Status of the component: 1 pass, 0.5 warn, 0 fail.");
    for (name, component) in &known {
        let critical = if component.critical { "true" } else { "false" };
        let labels = [("component", name.as_str()), ("kind", component.kind), ("critical", critical)];
        text.sample(&labels[..if full { 3 } else { 1 }], number(component.status));
    }
    if full {
        write_probes(text, &known);
        text.family("allswell_build", MetricType::Info, "Version of allswell.");
        text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    }
}

fn write_probes(text: &mut MetricsText, known: &[(&CheckName, &ComponentReport)]) {
    text.family("allswell_probe_duration_seconds", MetricType::Histogram, "Duration of probes.");
    for (name, component) in known {
        text.histogram(name, &component.tally);
    }
    text.family("allswell_probes", MetricType::Counter, "Number of probes by outcome.");
    for (name, component) in known {
        for outcome in [Status::Pass, Status::Warn, Status::Fail] {
            text.sample(&[("component", name.as_str()), ("outcome", outcome.as_str())], component.tally.count_of(outcome));
        }
    }
    text.family("allswell_component_last_result_timestamp_seconds", MetricType::Gauge, "Time at which the last probe ended.");
    for (name, component) in known {
        if let Some(at) = component.checked_at {
            let milliseconds = at.as_millisecond();
            text.sample(&[("component", name.as_str())], format_args!("{}.{:03}", milliseconds / 1000, milliseconds % 1000));
        }
    }
    text.family("allswell_transitions", MetricType::Counter, "Number of status changes of the component.");
    for (name, component) in known {
        text.sample(&[("component", name.as_str())], component.transitions);
    }
}

/// Writes the metrics of the polls. Pollers are labelled by client and not by address: there are few clients, but any number of addresses.
fn write_polls(text: &mut MetricsText, polls: &Polls) {
    text.family("allswell_polls", MetricType::Counter, "Number of responses by path and status code.");
    for ((path, code), count) in polls.counts.all() {
        text.sample(&[("path", path), ("code", &code.to_string())], count);
    }
    text.family("allswell_prober_polls", MetricType::Counter, "Number of polls by client and status code.");
    for ((client, code), count) in polls.ledger.counts() {
        text.sample(&[("client", client), ("code", &code.to_string())], count);
    }
    let mut clients: BTreeMap<&str, Vec<PollerReport>> = BTreeMap::new();
    for poller in polls.ledger.report().seen {
        clients.entry(poller.client).or_default().push(poller);
    }
    text.family("allswell_prober_last_poll_timestamp_seconds", MetricType::Gauge, "Time of the client's last poll.");
    for (client, pollers) in &clients {
        if let Some(at) = pollers.iter().map(|poller| poller.last_polled_at.as_millisecond()).max() {
            text.sample(&[("client", client)], format_args!("{}.{:03}", at / 1000, at % 1000));
        }
    }
    text.family(
        "allswell_prober_interval_seconds",
        MetricType::Gauge,
        "Time between two polls from one source: the longest of the client's sources.",
    );
    for (client, pollers) in &clients {
        if let Some(interval) = pollers.iter().filter_map(|poller| poller.interval).max() {
            text.sample(&[("client", client)], interval.as_secs_f64());
        }
    }
    text.family(
        "allswell_prober_healthy",
        MetricType::Gauge,
        "Whether all of the client's sources consider this target healthy, with their default thresholds: 1 yes, 0 no.",
    );
    for (client, pollers) in &clients {
        let mut health = pollers.iter().filter_map(|poller| poller.health).peekable();
        if health.peek().is_some() {
            text.sample(&[("client", client)], u8::from(health.all(|health| health.healthy)));
        }
    }
}

const fn number(status: Status) -> &'static str {
    match status {
        Status::Pass => "1",
        Status::Warn => "0.5",
        Status::Fail => "0",
    }
}

/// The value of a label, escaped for both formats.
struct LabelEscaped<'a>(&'a str);

impl fmt::Display for LabelEscaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => formatter.write_str("\\\\"),
            '"' => formatter.write_str("\\\""),
            '\n' => formatter.write_str("\\n"),
            c => formatter.write_char(c),
        })
    }
}
