//! A change of a component's status: what feeds tell.

use super::{FailureReport, Status};
use crate::component::CheckName;
use jiff::Timestamp;
use std::time::Duration;

/// A component became something else.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Counts the engine's changes from 1.
    pub number: u64,
    /// Which component.
    pub component: CheckName,
    /// What it was; `None`: it had no result yet.
    pub from: Option<Status>,
    /// What it is from then on.
    pub to: Status,
    /// Since when.
    pub at: Timestamp,
    /// How long it was what it was.
    pub lasted: Option<Duration>,
    /// Why it fails or failed last.
    pub failure: Option<FailureReport>,
    /// What somebody should look at.
    pub warning: Option<String>,
}
