//! The line that `HAProxy`'s agent check reads: <https://docs.haproxy.org/2.6/configuration.html#5.2-agent-check>.

use super::Detail;
use crate::report::{Report, Status};

/// The line for a report. `ready` ends a drain. The space before `#` is necessary: without it, `HAProxy` ignores the line.
pub(crate) fn line(report: &Report, detail: Detail) -> String {
    if report.draining {
        return "drain\n".to_owned();
    }
    match report.status {
        Status::Pass => "up ready 100%\n".to_owned(),
        Status::Warn => "up ready 50%\n".to_owned(),
        Status::Fail => {
            let failing = report.components.iter().filter(|(_, component)| component.status == Status::Fail && component.critical);
            let reasons = failing.map(|(name, component)| match component.failure.as_ref().filter(|_| detail > Detail::Status) {
                Some(failure) => format!("{name}: {}", failure.class),
                None => name.to_string(),
            });
            // The first failing component is enough here; the report has the others.
            format!("down # {}\n", reasons.take(1).collect::<String>())
        }
    }
}
