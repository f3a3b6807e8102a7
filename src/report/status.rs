//! The three statuses.

use serde::Serialize;
use std::fmt;

/// The status of a component, a group or the whole, by the words of draft-inadarei-api-health-check-06. Ordered from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    #[default]
    Pass,
    /// It works, and an operator should look at it.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// The status in lower case, as in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// Whether it works: pass or warn.
    #[must_use]
    pub fn is_good(self) -> bool {
        self != Self::Fail
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
