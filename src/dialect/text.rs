//! Plain text: the verdict, then one line for each component in columns, failing ones first.

use super::{Detail, RenderOptions};
use crate::{
    pollers::{PollerOverview, PollerReport},
    report::{ComponentReport, Report, Status},
};
use std::fmt::Write as _;

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let mut text = String::new();
    if detail > Detail::Status {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {}", report.status, report.summary);
    } else {
        let _ = writeln!(text, "{}", report.status);
    }
    let width = report.components.keys().map(|name| name.as_str().len()).max().unwrap_or_default();
    let mut components: Vec<_> = report.components.iter().collect();
    components.sort_by_key(|(_, component)| std::cmp::Reverse(component.status));
    for (name, component) in components {
        let line = if detail > Detail::Status { line(component, detail) } else { String::new() };
        let _ = writeln!(text, "{}", format!("{:<4}  {name:<width$}  {line}", component.status).trim_end());
    }
    for line in options.pollers.into_iter().flat_map(poller_lines) {
        let _ = writeln!(text, "{line}");
    }
    text.into_bytes()
}

/// An empty line, the notices, and a line for each poller.
fn poller_lines(pollers: &PollerOverview) -> Vec<String> {
    let notices = pollers.notices.iter().map(|notice| format!("note  {notice}"));
    let seen = pollers.seen.iter().map(|poller| {
        let address = poller.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let every = poller.interval.map_or_else(|| "once".to_owned(), |interval| format!("every {:.1} s", interval.as_secs_f64()));
        let PollerReport { client, path, last_code, consecutive, agent, .. } = poller;
        format!("poll  {client:<11}  {address}  {path}  {every}  {last_code}, {consecutive} in a row  {agent}")
    });
    [String::new()].into_iter().chain(notices).chain(seen).collect()
}

/// Duration and message of one component, on one line: messages have no control characters.
pub(crate) fn line(component: &ComponentReport, detail: Detail) -> String {
    let took = component.duration.map_or_else(String::new, |duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3));
    let mut line = format!("{took:>10}");
    if let Some(failure) = &component.failure {
        let _ = write!(line, "  {}: {}", failure.class, failure.message);
        if let Some(cause) = failure.cause.as_ref().filter(|_| detail == Detail::Causes) {
            let _ = write!(line, " ({cause})");
        }
    }
    if let Some(warning) = &component.warning {
        let _ = write!(line, "  {warning}");
    }
    if let Some(left) = component.held_left {
        let _ = write!(line, "  held, {:.0} s left", left.as_secs_f64());
    }
    if component.status == Status::Fail && !component.critical {
        line.push_str("  (not critical)");
    }
    line
}
