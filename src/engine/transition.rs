//! A status change of a component: an item in the history and a line in the log.

use super::pulse::Pulse;
use crate::{
    component::{CheckName, Component},
    report::{Change, ComponentReport, Status},
};
use allswell_checks::contract::milliseconds;
use jiff::Timestamp;
use std::time::Duration;

/// A status change of a component.
pub(crate) struct Transition {
    /// The status before; `None` if there was no result.
    pub(crate) from: Option<Status>,
    /// The component's report after the change.
    pub(crate) report: ComponentReport,
    /// How long the status before lasted.
    pub(crate) lasted: Option<Duration>,
}

impl Transition {
    /// Adds the change to the history, wakes waiting requests, and logs it.
    pub(super) fn announce(&self, component: &Component, pulse: &Pulse) {
        // In this order: a woken client finds the change in the history, and no client waits for the log.
        pulse.history.add(self.change(&component.name));
        pulse.bump();
        self.log(component);
    }

    /// The change for the history, which numbers it.
    fn change(&self, component: &CheckName) -> Change {
        let Self { from, report, lasted } = self;
        Change {
            number: 0,
            component: component.clone(),
            from: *from,
            to: report.status,
            at: report.since.unwrap_or_else(Timestamp::now),
            lasted: *lasted,
            failure: report.failure.clone(),
            warning: report.warning.clone(),
        }
    }

    /// Logs the change in one line.
    pub(super) fn log(&self, component: &Component) {
        let Self { from, report, lasted } = self;
        let (component, kind, critical) = (component.name.as_str(), component.kind, component.policy.critical);
        let (from, to) = (from.map_or("pending", Status::as_str), report.status.as_str());
        let lasted_ms = lasted.map(milliseconds);
        let duration_ms = report.duration.map(milliseconds);
        let failure = report.failure.as_ref();
        let (class, cause) = (failure.map(|failure| failure.class.as_str()), failure.and_then(|failure| failure.cause.as_deref()));
        let message = failure.map(|failure| &*failure.message).or(report.warning.as_deref()).unwrap_or_default();
        match (report.status, critical) {
            (Status::Fail, true) => {
                tracing::error!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} fails: {message}");
            }
            (Status::Fail, false) => {
                tracing::warn!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} fails: {message}");
            }
            (Status::Warn, _) => {
                tracing::warn!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} warns: {message}");
            }
            (Status::Pass, _) => tracing::info!(component, kind, from, to, duration_ms, lasted_ms, "{component} passes"),
        }
    }
}
