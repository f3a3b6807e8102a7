//! Judges the health report of another system.

use crate::contract::prelude::*;
use serde_json::{Map, Value};
use std::{cmp::Reverse, collections::BTreeMap};

/// The status of a component, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UpstreamStatus {
    Pass,
    Warn,
    Fail,
}

/// A health report.
#[derive(Debug, PartialEq)]
pub(super) struct Upstream {
    /// `None` if the dialect has no overall status: then the status code decides.
    pub(super) verdict: Option<UpstreamStatus>,
    pub(super) components: BTreeMap<String, UpstreamStatus>,
}

impl UpstreamStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// A status in any dialect, whatever its case and punctuation. An unknown one, such as an app's own, is a warning: it is not `UP`, and
    /// the status code says whether it is bad.
    pub(super) fn parse(word: &str) -> Self {
        let letters: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        match letters.to_ascii_lowercase().as_str() {
            "pass" | "ok" | "up" | "healthy" | "working" => Self::Pass,
            "fail" | "error" | "down" | "unhealthy" | "outofservice" => Self::Fail,
            _ => Self::Warn,
        }
    }

    pub(super) fn of_member(member: &Value) -> Option<Self> {
        member.get("status")?.as_str().map(Self::parse)
    }
}

impl Upstream {
    /// Maximum number of names in a message.
    const MAX_NAMES_IN_MESSAGE: usize = 5;
    /// Maximum number of components that are observed, the worst first.
    pub(super) const MAX_OBSERVED: usize = 100;

    /// Judges the report; returns the warning, if there is one. `expected` is whether the status code is expected. If it is not, a passing
    /// report changes nothing.
    pub(super) fn judge(&self, expected: bool) -> Result<Option<String>, Failure> {
        let worst = self.components.values().copied().max().unwrap_or(UpstreamStatus::Pass);
        // A failing component that did not change the status code does not count in that system.
        let verdict = self.verdict.unwrap_or(if expected { worst.min(UpstreamStatus::Warn) } else { worst });
        match verdict {
            UpstreamStatus::Pass => Ok(None),
            UpstreamStatus::Warn if expected => Ok(Some(self.sentence("warns", UpstreamStatus::Warn))),
            _ => Err(Failure::unhealthy(self.sentence("fails", worst))),
        }
    }

    /// Names the components with at least this status.
    fn sentence(&self, verb: &str, least: UpstreamStatus) -> String {
        let bad = |status: UpstreamStatus| status != UpstreamStatus::Pass && status >= least;
        let names: Vec<&str> = self.components.iter().filter(|(_, status)| bad(**status)).map(|(name, _)| &**name).collect();
        match names.len() {
            0 => format!("the report {verb} without naming a component"),
            1..=Self::MAX_NAMES_IN_MESSAGE => format!("the report {verb}: {}", names.join(", ")),
            many => format!(
                "the report {verb}: {} and {} more",
                names[..Self::MAX_NAMES_IN_MESSAGE].join(", "),
                many - Self::MAX_NAMES_IN_MESSAGE
            ),
        }
    }

    /// The statuses of the components in our words.
    pub(super) fn observed(&self) -> Map<String, Value> {
        let mut all: Vec<_> = self.components.iter().collect();
        all.sort_by_key(|(_, status)| Reverse(**status));
        all.into_iter().take(Self::MAX_OBSERVED).map(|(name, status)| (name.clone(), status.as_str().into())).collect()
    }
}
