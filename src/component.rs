//! A component: a check with a name and a policy.

use allswell_checks::contract::{Check, Secret, TimeSpan};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc, time::Duration};

/// A component's or group's name: `[a-z][a-z0-9_]*` without `__`, so that it can be a TOML key, a part of an environment variable's name and
/// a segment of a URL alike. At most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName(String);

impl CheckName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be a name.
#[derive(Debug, thiserror::Error)]
#[error("cannot be a name: use lower-case letters, digits and single underscores, beginning with a letter, at most 64")]
pub struct InvalidName;

impl FromStr for CheckName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let valid = text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !text.contains("__")
            && text.len() <= 64;
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }
}

impl Borrow<str> for CheckName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl serde::Serialize for CheckName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// When and how a component is probed, and what its results count for.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Between the beginnings of two probes.
    pub interval: Duration,
    /// A probe is dropped after this time.
    pub timeout: Duration,
    /// How much each interval varies, as a share of it, so that many instances do not probe in step: 0 to 0.5.
    pub jitter: f64,
    /// Whether its failure fails the report; if not, it only warns.
    pub critical: bool,
    /// Consecutive failures before the component fails.
    pub fall: u32,
    /// Consecutive passes before a failed component passes again.
    pub rise: u32,
    /// How long the last good verdict is kept, as a warning, after the component starts to fail.
    pub hold: Duration,
    /// Whether it is probed at all; if not, it is listed as muted.
    pub enabled: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            jitter: 0.1,
            critical: true,
            fall: 1,
            rise: 1,
            hold: Duration::ZERO,
            enabled: true,
        }
    }
}

impl Policy {
    /// How long a backend may be broken at worst until the component fails: the intervals until the last of `fall` failures at their longest,
    /// its time limit, and what is held beyond that.
    #[must_use]
    pub fn worst_detection(&self) -> Duration {
        let interval = self.longest_interval();
        let fallen = interval.saturating_mul(self.fall).saturating_add(self.timeout);
        let held = interval.saturating_add(self.timeout).saturating_add(self.hold);
        fallen.max(held)
    }

    /// The interval at its longest.
    pub(crate) fn longest_interval(&self) -> Duration {
        self.interval.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0))
    }

    /// The age from which a result is not believed any more: two intervals and the timeout, at least 2 s.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        self.interval.saturating_mul(2).saturating_add(self.timeout).clamp(Duration::from_secs(2), TimeSpan::LONGEST)
    }
}

/// A check with a name and a policy.
#[derive(Clone)]
pub struct Component {
    /// Its name in reports, URLs and logs.
    pub name: CheckName,
    /// The kind of its check; `custom` for a check without one.
    pub kind: &'static str,
    /// When it is probed and what its results count for.
    pub policy: Policy,
    /// Who looks.
    pub check: Arc<dyn Check>,
    /// All that the check was made of, secrets included: by it a reload knows whether the check changed. `None`: it always has.
    pub(crate) identity: Option<Secret>,
}

impl Component {
    /// A check with a name and a policy.
    #[must_use]
    pub fn new(name: CheckName, kind: &'static str, policy: Policy, check: Arc<dyn Check>) -> Self {
        Self { name, kind, policy, check, identity: None }
    }

    /// Whether another one has the same check under the same name, whatever its policy is.
    pub(crate) fn has_same_check(&self, other: &Self) -> bool {
        let identities = (self.identity.as_ref().map(Secret::expose), other.identity.as_ref().map(Secret::expose));
        let same = matches!(identities, (Some(own), Some(others)) if own == others);
        same && self.name == other.name && self.kind == other.kind
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Component")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_time_to_detection_counts_jitter_fall_and_hold() {
        let policy = Policy::default();
        assert_eq!(policy.worst_detection(), Duration::from_secs(13));
        assert_eq!(Policy { fall: 3, ..policy.clone() }.worst_detection(), Duration::from_secs(35));
        assert_eq!(Policy { fall: 3, hold: Duration::from_secs(60), ..policy }.worst_detection(), Duration::from_secs(73));
    }

    #[test]
    fn names_fit_files_environment_and_urls() {
        for name in ["a", "orders_db", "s3", "x1_y2"] {
            assert_eq!(name.parse::<CheckName>().map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        for wrong in ["", "1a", "_a", "Orders", "a-b", "a__b", "ä", "a b", &"a".repeat(65)] {
            assert!(wrong.parse::<CheckName>().is_err(), "{wrong}");
        }
    }
}
