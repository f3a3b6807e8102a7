//! A change of what a component is judged to be: into the history, and one line in the log.

use super::pulse::Pulse;
use crate::{
    component::Component,
    report::{ComponentReport, Status},
};
use allswell_checks::contract::milliseconds;
use std::time::Duration;

/// A change of what a component is judged to be.
pub(crate) struct Transition {
    /// `None`: it had no result.
    pub(crate) from: Option<Status>,
    /// What it is now.
    pub(crate) report: ComponentReport,
    /// How long it was what it was before.
    pub(crate) lasted: Option<Duration>,
}

impl Transition {
    /// Keeps it in the history, wakes everybody who waits, and logs it.
    pub(super) fn announce(&self, component: &Component, pulse: &Pulse) {
        // A client that is woken finds the change in the history, and none waits for the log.
        pulse.history.keep(&component.name, self);
        pulse.bump();
        self.log(component);
    }

    /// One line.
    pub(super) fn log(&self, component: &Component) {
        let Self { from, report, lasted } = self;
        let (component, kind, critical) = (component.name.as_str(), component.kind, component.policy.critical);
        let (from, to) = (from.map_or("pending", Status::as_str), report.status.as_str());
        // How long the state before held.
        let lasted_ms = lasted.map(milliseconds);
        let duration_ms = report.duration.map(milliseconds);
        let failure = report.failure.as_ref();
        let (class, cause) = (failure.map(|failure| failure.class.as_str()), failure.and_then(|failure| failure.cause.as_deref()));
        let words = failure.map(|failure| &*failure.message).or(report.warning.as_deref()).unwrap_or_default();
        match (report.status, critical) {
            (Status::Fail, true) => {
                tracing::error!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} fails: {words}");
            }
            (Status::Fail, false) => {
                tracing::warn!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} fails: {words}");
            }
            (Status::Warn, _) => {
                tracing::warn!(component, kind, from, to, class, cause, duration_ms, lasted_ms, "{component} warns: {words}");
            }
            (Status::Pass, _) => tracing::info!(component, kind, from, to, duration_ms, lasted_ms, "{component} passes"),
        }
    }
}
