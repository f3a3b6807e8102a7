//! The engine's pulse: change counters, signs of life, the history, and the redactor. Shared by samplers, supervisor and readers.

use super::{history::History, moment::now, standing::Standing};
use crate::report::Status;
use allswell_checks::contract::Redactor;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// State shared by samplers, readers and the supervisor.
pub(crate) struct Pulse {
    /// Incremented with every result and every change. A report of an older version may show older values.
    version: AtomicU64,
    /// Incremented with every change of a status, of the configuration or of draining. A report from before is outdated.
    changes: AtomicU64,
    /// Wakes requests that wait for a change.
    changed: watch::Sender<()>,
    /// When the engine last showed a sign of life.
    beat: ArcSwap<Instant>,
    redactor: ArcSwap<Redactor>,
    pub(crate) history: History,
    pub(crate) standing: Standing,
}

impl Default for Pulse {
    fn default() -> Self {
        let beat = ArcSwap::from_pointee(now());
        Self {
            version: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            changed: watch::channel(()).0,
            beat,
            redactor: ArcSwap::default(),
            history: History::default(),
            standing: Standing::default(),
        }
    }
}

/// The change counters at one moment. Read the stamp before the state it describes: a change in between then makes the result look outdated;
/// the other way round, an outdated result would look current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) version: u64,
    pub(crate) changes: u64,
}

impl Pulse {
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { version: self.version.load(Ordering::Acquire), changes: self.changes.load(Ordering::Acquire) }
    }

    /// Records a result that changed observed values only.
    pub(crate) fn tick(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.changed.send_replace(());
    }

    /// Records a change of a status, of the configuration or of draining.
    pub(crate) fn bump(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.tick();
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Records a sign of life.
    pub(crate) fn beat(&self) {
        self.beat.store(Arc::new(now()));
        self.changed.send_replace(());
    }

    /// Records the verdict on the whole.
    pub(crate) fn record_verdict(&self, verdict: Status) {
        if self.standing.record(verdict, Timestamp::now()) {
            self.bump();
        }
    }

    /// The time since the last sign of life.
    pub(crate) fn since_beat(&self) -> Duration {
        now().saturating_duration_since(**self.beat.load())
    }

    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        self.redactor.load_full()
    }

    pub(crate) fn set_redactor(&self, redactor: Redactor) {
        self.redactor.store(Arc::new(redactor));
    }
}
