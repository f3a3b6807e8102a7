//! One line, as a monitoring plugin prints it: <https://www.monitoring-plugins.org/doc/guidelines.html>.

use super::{Detail, RenderOptions};
use crate::report::{Report, Status};
use std::fmt::Write as _;

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let word = match report.status {
        Status::Pass => "OK",
        Status::Warn => "WARNING",
        Status::Fail => "CRITICAL",
    };
    let mut line = format!("ALLSWELL {word} - ");
    if options.detail == Detail::Status {
        let known = report.components.iter().filter(|(_, component)| !component.muted);
        let states: Vec<_> = known.map(|(name, component)| format!("{name} {}", component.status)).collect();
        line.push_str(&if states.is_empty() { report.status.to_string() } else { states.join(", ") });
    } else {
        // The performance data begin after the first bar.
        line.push_str(&report.summary.replace('|', " "));
        let times: Vec<_> = report
            .components
            .iter()
            .filter_map(|(name, component)| Some(format!("{name}={:.6}s;;;0;", component.duration?.as_secs_f64())))
            .collect();
        if !times.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(line, " | {}", times.join(" "));
        }
    }
    line.push('\n');
    line.into_bytes()
}
