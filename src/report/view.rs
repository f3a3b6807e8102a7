//! What a report can be about.

use super::Grace;
use crate::component::CheckName;

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum View {
    /// All components.
    Whole,
    /// Only the process and its probe engine.
    Live,
    /// The group `ready`.
    Ready,
    /// Whether every critical component has passed once.
    Startup,
    /// A configured group.
    Group(CheckName),
    /// One component, judged by itself.
    Component(CheckName),
}

impl View {
    /// Whether it fails while draining.
    #[must_use]
    pub const fn drains(&self) -> bool {
        matches!(self, Self::Whole | Self::Ready | Self::Group(_))
    }

    /// Whether a response waits for a component without a result. In its grace period a component does not count, so a response does not wait
    /// for it, unless it is requested by its name and has no previous status to report.
    pub(crate) fn waits_in(&self, grace: Option<Grace>) -> bool {
        grace.is_none_or(|grace| matches!(self, Self::Component(_)) && grace.previous.is_none())
    }
}
