//! The JSON of django-health-check: a sentence for each name. <https://codingjoe.dev/django-health-check/>
//!
//! It has no word for the whole, for which its readers look at the status code; nor for what is muted, which is left out.

use super::{Detail, described};
use crate::report::{ComponentReport, Report, Status};
use allswell_checks::contract::FailureClass;
use std::collections::BTreeMap;

/// As version 4 says it.
pub(super) fn render(report: &Report, detail: Detail) -> Vec<u8> {
    said(report, |component| match word(component) {
        None => "OK".to_owned(),
        Some(word) => format!("{word}: {}", sentence(component, detail)),
    })
}

/// As version 3 says it.
pub(super) fn render_3(report: &Report, detail: Detail) -> Vec<u8> {
    said(report, |component| match word(component) {
        None => "working".to_owned(),
        Some(word) => format!("{}: {}", word.to_ascii_lowercase(), sentence(component, detail)),
    })
}

fn said(report: &Report, say: impl Fn(&ComponentReport) -> String) -> Vec<u8> {
    let said: BTreeMap<_, _> =
        report.components.iter().filter(|(_, component)| !component.muted).map(|(name, component)| (name, say(component))).collect();
    super::pretty(&said, report.status)
}

/// The words of its exceptions.
fn word(component: &ComponentReport) -> Option<&'static str> {
    match (component.status, component.failure.as_ref().map(|failure| failure.class)) {
        (Status::Pass, _) => None,
        (Status::Warn, _) => Some("Warning"),
        (Status::Fail, Some(FailureClass::Protocol)) => Some("Unexpected Result"),
        (Status::Fail, Some(FailureClass::Panicked | FailureClass::Internal)) => Some("Unknown Error"),
        (Status::Fail, _) => Some("Unavailable"),
    }
}

/// On one line: in the original, each line is an error of its own.
fn sentence(component: &ComponentReport, detail: Detail) -> String {
    let words = described(component, detail).filter(|_| detail > Detail::Status);
    words.unwrap_or_else(|| component.status.to_string())
}
