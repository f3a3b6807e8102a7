//! The line by which `HAProxy`'s agent-check learns how a server is: <https://docs.haproxy.org/2.6/configuration.html#5.2-agent-check>.

use super::Detail;
use crate::report::{Report, Status};

/// One line. `ready` ends a drain; without the blank before `#`, `HAProxy` would take the whole for one unknown word.
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
            // The first is enough to know where to look; the report has the rest.
            format!("down # {}\n", reasons.take(1).collect::<String>())
        }
    }
}
