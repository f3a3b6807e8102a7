//! The JSON of django-health-check: a sentence for each name. <https://codingjoe.dev/django-health-check/>
//!
//! It has no value for the whole, since its readers use the status code, and none for a muted component, which is left out.

use super::{
    Detail, RenderOptions,
    words::{description, pretty},
};
use crate::report::{ComponentReport, Report, Status};
use allswell_checks::contract::FailureClass;
use std::collections::BTreeMap;

/// The format of version 4.
pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    sentences(report, |component| match exception(component) {
        None => "OK".to_owned(),
        Some(exception) => format!("{exception}: {}", message(component, options.detail)),
    })
}

/// The format of version 3.
pub(super) fn render_3(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    sentences(report, |component| match exception(component) {
        None => "working".to_owned(),
        Some(exception) => format!("{}: {}", exception.to_ascii_lowercase(), message(component, options.detail)),
    })
}

fn sentences(report: &Report, sentence: impl Fn(&ComponentReport) -> String) -> Vec<u8> {
    let known = report.components.iter().filter(|(_, component)| !component.muted);
    let sentences: BTreeMap<_, _> = known.map(|(name, component)| (name, sentence(component))).collect();
    pretty(&sentences, report.status)
}

/// The title of the original's exception for such a result; `None` for a pass.
fn exception(component: &ComponentReport) -> Option<&'static str> {
    match (component.status, component.failure.as_ref().map(|failure| failure.class)) {
        (Status::Pass, _) => None,
        (Status::Warn, _) => Some("Warning"),
        (Status::Fail, Some(FailureClass::Protocol)) => Some("Unexpected Result"),
        (Status::Fail, Some(FailureClass::Panicked | FailureClass::Internal)) => Some("Unknown Error"),
        (Status::Fail, _) => Some("Unavailable"),
    }
}

/// The message, on one line: in the original, each line is a separate error.
fn message(component: &ComponentReport, detail: Detail) -> String {
    let text = description(component, detail).filter(|_| detail > Detail::Status);
    text.unwrap_or_else(|| component.status.to_string())
}
