//! The explanation of a cause, and what it is made from.

use crate::doctor::{
    result::ClientResult,
    software::{Remedy, Software, settings},
    target::Target,
};

/// What an explanation may refer to.
pub(in crate::doctor) struct Context<'a> {
    pub(in crate::doctor) target: &'a Target,
    /// The results with this cause, at least one, all of the same path.
    pub(in crate::doctor) affected: &'a [&'a ClientResult],
    /// The results of all clients.
    pub(in crate::doctor) all: &'a [ClientResult],
}

impl Context<'_> {
    pub(super) fn first(&self) -> &ClientResult {
        self.affected[0]
    }

    /// The path that was polled.
    pub(super) fn path(&self) -> &str {
        self.first().path()
    }

    /// The settings to change for the path that was polled; `usual` is the software to assume if no response identifies it.
    pub(super) fn settings(&self, remedy: Remedy, usual: &[Software]) -> Vec<String> {
        settings(self.software(), remedy, self.path(), usual)
    }

    /// The software that responded, if a response identifies it.
    pub(super) fn software(&self) -> Option<Software> {
        self.affected.iter().find_map(|result| result.outcome.software)
    }
}

/// A finding without the clients that it affects.
pub(in crate::doctor) struct Explanation {
    pub(in crate::doctor) code: &'static str,
    pub(in crate::doctor) title: String,
    pub(in crate::doctor) evidence: String,
    pub(in crate::doctor) fix: Vec<String>,
}

/// An explanation from any kind of text.
pub(super) fn explanation<F: Into<String>>(
    code: &'static str,
    title: impl Into<String>,
    evidence: impl Into<String>,
    fix: impl IntoIterator<Item = F>,
) -> Explanation {
    Explanation { code, title: title.into(), evidence: evidence.into(), fix: fix.into_iter().map(Into::into).collect() }
}

/// The fix that works whatever the app does.
pub(super) const USE_ALLSWELL_PORT: &str =
    "Or point the health check at allswell's own port, which accepts any Host header and never redirects.";
