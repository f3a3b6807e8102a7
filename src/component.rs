//! A component: a check with a name and a policy.

use allswell_checks::contract::{Check, Secret, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc, time::Duration};

/// The name of a component or group: `[a-z][a-z0-9_]*` without `__`, at most 64 characters. Such a name can be a TOML key, a part of an
/// environment variable's name and a path segment of a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName(String);

impl CheckName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error for a text that is not a valid name.
#[derive(Debug, thiserror::Error)]
#[error("invalid name: use at most 64 lower-case letters, digits and single underscores, and begin with a letter")]
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

impl Serialize for CheckName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// When a component is probed, and what its results count for.
///
/// The fields are the keys of `[defaults]` and of every check in a configuration, and their comments are the reference of these keys. In code,
/// start from the defaults:
///
/// ```
/// use allswell::component::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::default().with_interval(Duration::from_secs(5)).with_critical(false);
/// assert_eq!(policy.timeout, Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(description = "When a check is probed, and what its results count for.")]
#[non_exhaustive]
pub struct Policy {
    /// Time from the start of one probe to the start of the next.
    #[serde(with = "span")]
    #[schemars(with = "TimeSpan")]
    pub interval: Duration,
    /// A probe that takes longer is cancelled and counts as a failure.
    #[serde(with = "span")]
    #[schemars(with = "TimeSpan")]
    pub timeout: Duration,
    /// Random variation of each interval, as a share of it, so that many instances do not probe at the same moment: 0 to 0.5.
    pub jitter: f64,
    /// Whether a failure of this component makes the report `fail`; otherwise it makes it `warn`.
    pub critical: bool,
    /// Consecutive failures before the component fails.
    pub fall: u32,
    /// Consecutive passes before a failed component passes again.
    pub rise: u32,
    /// After the component starts to fail, it keeps its last good verdict, shown as `warn`, for at most this long.
    #[serde(with = "span")]
    #[schemars(with = "TimeSpan")]
    pub hold: Duration,
    /// Whether the component is probed at all; otherwise it is listed as muted.
    pub enabled: bool,
}

/// Durations as configurations write them: `"500ms"`.
mod span {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, TimeSpan};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        TimeSpan::deserialize(deserializer).map(|span| span.0)
    }

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        TimeSpan(*duration).serialize(serializer)
    }
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
    /// The same policy with another [`interval`](Self::interval).
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The same policy with another [`timeout`](Self::timeout).
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same policy with another [`jitter`](Self::jitter).
    #[must_use]
    pub const fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same policy, [`critical`](Self::critical) or not.
    #[must_use]
    pub const fn with_critical(mut self, critical: bool) -> Self {
        self.critical = critical;
        self
    }

    /// The same policy with another [`fall`](Self::fall).
    #[must_use]
    pub const fn with_fall(mut self, fall: u32) -> Self {
        self.fall = fall;
        self
    }

    /// The same policy with another [`rise`](Self::rise).
    #[must_use]
    pub const fn with_rise(mut self, rise: u32) -> Self {
        self.rise = rise;
        self
    }

    /// The same policy with another [`hold`](Self::hold).
    #[must_use]
    pub const fn with_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// The same policy, [`enabled`](Self::enabled) or not.
    #[must_use]
    pub const fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Worst-case time from the moment a backend breaks to the moment its component fails: `fall` of the longest intervals and the timeout, or
    /// the longest interval, the timeout and `hold`, whichever is longer.
    #[must_use]
    pub fn worst_detection(&self) -> Duration {
        let interval = self.longest_interval();
        let fallen = interval.saturating_mul(self.fall).saturating_add(self.timeout);
        let held = interval.saturating_add(self.timeout).saturating_add(self.hold);
        fallen.max(held)
    }

    /// The interval plus the most jitter.
    pub(crate) fn longest_interval(&self) -> Duration {
        self.interval.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0))
    }

    /// The age from which a result counts as stale: two intervals plus the timeout, at least 2 s.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        self.interval.saturating_mul(2).saturating_add(self.timeout).clamp(Duration::from_secs(2), TimeSpan::MAX)
    }
}

/// A check with a name and a policy.
#[derive(Clone)]
pub struct Component {
    /// The name in reports, URLs and logs.
    pub name: CheckName,
    /// The kind of the check; `custom` for a check of the application's own.
    pub kind: &'static str,
    /// When the check probes, and what its results count for.
    pub policy: Policy,
    /// The check that probes the backend.
    pub check: Arc<dyn Check>,
    /// The check's own keys and values, secrets included. A reload compares them to find out whether the check changed; `None` counts as changed.
    pub(crate) identity: Option<Secret>,
}

impl Component {
    /// A component that every reload replaces; the configuration adds the keys by which a reload recognises it.
    #[must_use]
    pub fn new(name: CheckName, kind: &'static str, policy: Policy, check: Arc<dyn Check>) -> Self {
        Self { name, kind, policy, check, identity: None }
    }

    /// Whether `other` has the same name, kind and keys of the check; the policies may differ.
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
    fn the_worst_detection_time_counts_jitter_fall_and_hold() {
        let policy = Policy::default();
        assert_eq!(policy.worst_detection(), Duration::from_secs(13));
        assert_eq!(Policy { fall: 3, ..policy.clone() }.worst_detection(), Duration::from_secs(35));
        assert_eq!(Policy { fall: 3, hold: Duration::from_secs(60), ..policy }.worst_detection(), Duration::from_secs(73));
    }

    #[test]
    fn names_are_valid_in_files_variables_and_urls() {
        for name in ["a", "orders_db", "s3", "x1_y2"] {
            assert_eq!(name.parse::<CheckName>().map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        for wrong in ["", "1a", "_a", "Orders", "a-b", "a__b", "ä", "a b", &"a".repeat(65)] {
            assert!(wrong.parse::<CheckName>().is_err(), "{wrong}");
        }
    }
}
