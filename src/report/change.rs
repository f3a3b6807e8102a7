//! Changes of components' statuses, which feeds show.

use super::{FailureReport, Status};
use crate::component::CheckName;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// Changes of components' statuses, the oldest first.
pub type Changes = Arc<[Arc<Change>]>;

/// A change of a component's status.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The number of the change: the engine counts all changes from 1.
    pub number: u64,
    /// The component.
    pub component: CheckName,
    /// The status before; `None` if it had no result.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// When it changed.
    pub at: Timestamp,
    /// How long it had the status before.
    pub lasted: Option<Duration>,
    /// Why it fails or failed last.
    pub failure: Option<FailureReport>,
    /// What an operator should look at.
    pub warning: Option<String>,
}
