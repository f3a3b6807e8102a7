//! What a rendering depends on besides the report.

use crate::{pollers::PollerOverview, report::View};

/// How much of a report a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Detail {
    /// Names and statuses.
    Status,
    /// Everything but causes, which are the drivers' own words.
    Full,
    /// Everything. Causes are redacted nevertheless.
    Causes,
}

/// What a rendering depends on besides the report.
pub(crate) struct RenderOptions<'a> {
    pub(crate) detail: Detail,
    /// The pollers, for the dialects that show them.
    pub(crate) pollers: Option<&'a PollerOverview>,
    /// Where the status page is read.
    pub(crate) place: PagePlace<'a>,
}

/// Where a page is read, and what it is about.
pub(crate) struct PagePlace<'a> {
    /// The relative URL of the folder that contains `health`: empty, or some `../`.
    pub(crate) root: &'a str,
    /// The view that the page shows.
    pub(crate) view: &'a View,
}
