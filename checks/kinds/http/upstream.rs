//! What a report of another health check means for us.

use crate::contract::prelude::*;
use serde_json::{Map, Value};
use std::{cmp::Reverse, collections::BTreeMap};

/// How something is, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UpstreamStatus {
    Pass,
    Warn,
    Fail,
}

/// What a report says.
#[derive(Debug, PartialEq)]
pub(super) struct Upstream {
    /// None where the dialect has no word for it: the answer's status code is the verdict then.
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

    /// A word of any dialect, whatever its case and punctuation. One that nobody knows, such as a status of an app's own, is a warning: it
    /// is not `UP`, and whether it is bad is for the answer's status code to say.
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
    /// How many names a sentence has.
    const MAX_NAMES_IN_MESSAGE: usize = 5;
    /// How many components are observed, the worst first.
    pub(super) const MAX_OBSERVED: usize = 100;

    /// Judges the report of an answer whose status code is expected or not: a warning, if there is one. Of a status code that is not
    /// expected a report that passes says nothing.
    pub(super) fn judge(&self, expected: bool) -> Result<Option<String>, Failure> {
        let worst = self.components.values().copied().max().unwrap_or(UpstreamStatus::Pass);
        // A component that fails and yet did not turn the status code does not count over there.
        let verdict = self.verdict.unwrap_or(if expected { worst.min(UpstreamStatus::Warn) } else { worst });
        match verdict {
            UpstreamStatus::Pass => Ok(None),
            UpstreamStatus::Warn if expected => Ok(Some(self.sentence("warns", UpstreamStatus::Warn))),
            _ => Err(Failure::unhealthy(self.sentence("fails", worst))),
        }
    }

    /// Names the components that are at least so bad.
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

    /// The components' statuses in our words.
    pub(super) fn observed(&self) -> Map<String, Value> {
        let mut all: Vec<_> = self.components.iter().collect();
        all.sort_by_key(|(_, status)| Reverse(**status));
        all.into_iter().take(Self::MAX_OBSERVED).map(|(name, status)| (name.clone(), status.as_str().into())).collect()
    }
}
