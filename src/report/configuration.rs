//! The configuration in force, and the last reload.

use jiff::Timestamp;

/// The configuration in force, and the last reload.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigReport {
    /// Counts from 1, and increases with every reload that was applied.
    pub revision: u64,
    /// When it was applied.
    pub loaded_at: Timestamp,
    /// The last reload, if there was one.
    pub last_reload: Option<Reload>,
}

/// A reload of the configuration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reload {
    /// When it was requested.
    pub at: Timestamp,
    /// Why it was refused, one problem each; empty if it was applied.
    pub problems: Vec<String>,
    /// The settings whose changes need a restart to take effect.
    pub needs_restart: Vec<String>,
}

impl Reload {
    /// `applied` or `refused`.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        if self.problems.is_empty() { "applied" } else { "refused" }
    }
}
