//! The JSON of ASP.NET Core that Xabaril's user interface reads: <https://github.com/Xabaril/AspNetCore.Diagnostics.HealthChecks>.

use super::{
    Detail, RenderOptions,
    words::{description, pretty},
};
use crate::{
    component::CheckName,
    report::{ComponentReport, Report, Status},
};
use allswell_checks::contract::Values;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let full = detail > Detail::Status;
    // Components are probed at the same time, so the longest probe is the duration of all.
    let longest = report.components.values().filter_map(|component| component.duration).max().unwrap_or_default();
    let document = AspnetReport {
        status: word(report.status),
        // Required: without it, the reader rejects the document.
        total_duration: span(if full { longest } else { Duration::ZERO }),
        entries: report.components.iter().map(|(name, component)| (name, AspnetEntry::new(component, detail))).collect(),
    };
    pretty(&document, report.status)
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "Healthy",
        Status::Warn => "Degraded",
        Status::Fail => "Unhealthy",
    }
}

/// A `TimeSpan` of .NET in its constant format, whose unit is 100 ns.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let days = if seconds >= 86_400 { format!("{}.", seconds / 86_400) } else { String::new() };
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}{hours:02}:{minutes:02}:{:02}.{:07}", seconds % 60, duration.subsec_nanos() / 100)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AspnetReport<'a> {
    status: &'a str,
    total_duration: String,
    entries: BTreeMap<&'a CheckName, AspnetEntry<'a>>,
}

#[derive(Serialize)]
struct AspnetEntry<'a> {
    data: &'a Values,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    duration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<&'a str>,
    status: &'a str,
    tags: Vec<&'a str>,
}

/// The observed values for clients that see only statuses.
static NO_VALUES: Values = Values::new();

impl<'a> AspnetEntry<'a> {
    fn new(component: &'a ComponentReport, detail: Detail) -> Self {
        let status = word(component.status);
        if detail == Detail::Status {
            return Self { data: &NO_VALUES, description: None, duration: span(Duration::ZERO), exception: None, status, tags: Vec::new() };
        }
        let tags = [Some(component.kind), component.critical.then_some("critical"), component.muted.then_some("muted")];
        let cause = component.failure.as_ref().and_then(|failure| failure.cause.as_deref());
        Self {
            data: &component.values,
            description: description(component, Detail::Full),
            duration: span(component.duration.unwrap_or_default()),
            exception: cause.filter(|_| detail == Detail::Causes),
            status,
            tags: tags.into_iter().flatten().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_as_dotnet_does() {
        for (duration, expected) in [
            (Duration::ZERO, "00:00:00.0000000"),
            (Duration::from_nanos(12_345_678), "00:00:00.0123456"),
            (Duration::from_secs(3 * 86_400 + 4 * 3600 + 5 * 60 + 6), "3.04:05:06.0000000"),
        ] {
            assert_eq!(span(duration), expected);
        }
    }
}
