//! One component's result, and how it is judged.

use super::{Status, Tally};
use crate::component::CheckName;
use allswell_checks::contract::{FailureClass, Values};
use jiff::Timestamp;
use std::{borrow::Cow, num::NonZeroU32, sync::Arc, time::Duration};

/// A component's name and report.
pub(crate) type NamedComponent<'a> = (&'a CheckName, &'a ComponentReport);

/// Why a component fails, or failed last.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FailureReport {
    /// The class.
    pub class: FailureClass,
    /// Our own sentence, which contains no secrets and may be published.
    pub message: Cow<'static, str>,
    /// The driver's words, redacted, for clients with the token.
    pub cause: Option<String>,
}

/// The last failure, of a probe or by age, however long ago it was.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PastFailure {
    /// The failure.
    pub failure: FailureReport,
    /// When it happened.
    pub at: Timestamp,
}

/// One minute of a component's last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Minute {
    /// The worst status in that minute; `None` if there was no result.
    pub worst: Option<Status>,
    /// The class of the last failure in that minute.
    pub class: Option<FailureClass>,
    /// The duration of the slowest probe, in microseconds: small, because each component has sixty minutes.
    slowest: Option<NonZeroU32>,
}

impl Minute {
    /// A minute with this worst status, class of the last failure, and duration of the slowest probe.
    #[must_use]
    pub fn new(worst: Option<Status>, class: Option<FailureClass>, slowest: Option<Duration>) -> Self {
        let micros = |took: Duration| u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        Self { worst, class, slowest: slowest.map(|took| NonZeroU32::new(micros(took)).unwrap_or(NonZeroU32::MIN)) }
    }

    /// The duration of the slowest probe: at least a microsecond, and at most 71 minutes.
    #[must_use]
    pub fn slowest(self) -> Option<Duration> {
        self.slowest.map(|micros| Duration::from_micros(u64::from(micros.get())))
    }
}

/// The grace period of a check that is new after a reload. It lasts until the first result, and at most for the check's timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grace {
    /// The status of the check that had this name before the reload, which counts meanwhile. `None`: the name is new, and does not count yet.
    pub previous: Option<Status>,
}

/// One component's result, and how it is judged.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ComponentReport {
    /// The status, as judged by rise, fall, hold and age.
    pub status: Status,
    /// The kind of the check; `custom` for a check without one.
    pub kind: &'static str,
    /// Whether its failure fails the report.
    pub critical: bool,
    /// Whether it is switched off: then it is never probed and counts for nothing.
    pub muted: bool,
    /// What an operator should look at.
    pub warning: Option<String>,
    /// Why the last probe failed, or why it is judged as failing.
    pub failure: Option<FailureReport>,
    /// The duration of the last probe.
    pub duration: Option<Duration>,
    /// When the last probe ended.
    pub checked_at: Option<Timestamp>,
    /// Since when it has had its status.
    pub since: Option<Timestamp>,
    /// The number of results in a row with the current raw outcome.
    pub consecutive: u64,
    /// How much longer the previous good status is held.
    pub held_left: Option<Duration>,
    /// The values that the last probe observed.
    pub values: Arc<Values>,
    /// Whether it has passed at least once.
    pub passed_once: bool,
    /// The grace period after a reload, while it has no result: its own status does not count yet.
    pub grace: Option<Grace>,
    /// The counts of its probes.
    pub tally: Arc<Tally>,
    /// The number of changes of its status.
    pub transitions: u64,
    /// The last failure, of a probe or by age. The component may have passed since.
    pub last_failure: Option<Arc<PastFailure>>,
    /// The last sixty minutes, the oldest first; empty if they are not recorded.
    pub last_hour: Arc<[Minute]>,
}

impl ComponentReport {
    /// Whether its result is missing or stale, so that a response should wait for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| matches!(failure.class, FailureClass::Pending | FailureClass::Stale))
    }
}
