//! Texts that several dialects share.

use super::Detail;
use crate::report::{ComponentReport, FailureReport, Status};
use jiff::Timestamp;
use serde::Serialize;

/// The status for formats whose readers would take any third value for a failure.
pub(super) const fn up_or_down(status: Status) -> &'static str {
    match status {
        Status::Pass | Status::Warn => "UP",
        Status::Fail => "DOWN",
    }
}

/// Indented JSON with a newline at its end.
pub(super) fn pretty(document: &impl Serialize, status: Status) -> Vec<u8> {
    // Maps with text keys and plain values always serialise; if one ever does not, a short response is better than none.
    let mut json = serde_json::to_vec_pretty(document).unwrap_or_else(|_| format!("{{\n  \"status\": \"{status}\"\n}}").into_bytes());
    json.push(b'\n');
    json
}

/// The failure, the warning and the hold of a component, if it has any.
pub(super) fn description(component: &ComponentReport, detail: Detail) -> Option<String> {
    let failure = component.failure.as_ref().map(|failure| failure_text(failure, detail));
    let held = component.held_left.map(|left| format!("held, {:.0} s left", left.as_secs_f64()));
    let texts: Vec<_> = [failure, component.warning.clone(), held].into_iter().flatten().collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The message of a failure, and its cause for clients that may see it.
pub(super) fn failure_text(failure: &FailureReport, detail: Detail) -> String {
    match failure.cause.as_ref().filter(|_| detail == Detail::Causes) {
        Some(cause) => format!("{} ({cause})", failure.message),
        None => failure.message.to_string(),
    }
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn time(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}
