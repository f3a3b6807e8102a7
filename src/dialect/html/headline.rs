//! The headline of the page: the verdict in two words.

use crate::{
    dialect::Detail,
    report::{ComponentReport, Report, Status},
};
use allswell_checks::contract::FailureClass;

/// Whether a component fails only because it has no result yet.
pub(super) fn is_pending(component: &ComponentReport) -> bool {
    component.failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Pending)
}

/// The verdict in two words, and its CSS class. A drain and a start are deliberate, so they are not alarming.
pub(super) fn headline(report: &Report) -> (&'static str, &'static str) {
    let mut failing = report.components.values().filter(|component| component.status == Status::Fail).peekable();
    let is_starting = failing.peek().is_some() && failing.all(is_pending);
    match report.status {
        _ if report.draining => ("Draining", "calm"),
        Status::Fail if is_starting => ("Starting", "calm"),
        Status::Pass => ("All is well", "pass"),
        Status::Warn => ("Mostly well", "warn"),
        Status::Fail => ("Not well", "fail"),
    }
}

/// The title of the page.
pub(super) fn title(report: &Report, detail: Detail) -> String {
    match report.service.name.as_ref().filter(|_| detail > Detail::Status) {
        Some(name) => format!("{} · {name}", headline(report).0),
        None => headline(report).0.to_owned(),
    }
}
