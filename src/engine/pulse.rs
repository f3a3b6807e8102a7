//! The engine's pulse: that something changed and what, that it still moves, and which secrets must not be shown.

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

/// What samplers, readers and the supervisor share.
pub(crate) struct Pulse {
    /// Goes up with every result and every change: what was made of an older version may tell older numbers.
    version: AtomicU64,
    /// Goes up with every change of a status, of the configuration or of a drain: what was made before is out of date.
    changes: AtomicU64,
    /// Wakes those who wait for a change.
    changed: watch::Sender<()>,
    /// When the engine moved last.
    beat: ArcSwap<Instant>,
    redactor: ArcSwap<Redactor>,
    /// What became what, lately.
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

/// How far the engine had come when something was made. Read it before what it is to stand for: a change in between then makes the result out of
/// date, and not the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) version: u64,
    pub(crate) changes: u64,
}

impl Pulse {
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { version: self.version.load(Ordering::Acquire), changes: self.changes.load(Ordering::Acquire) }
    }

    /// A result came, of which no more is known than its numbers.
    pub(crate) fn tick(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.changed.send_replace(());
    }

    /// Something changed.
    pub(crate) fn bump(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.tick();
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The engine moves.
    pub(crate) fn beat(&self) {
        self.beat.store(Arc::new(now()));
        self.changed.send_replace(());
    }

    /// Notes the verdict on the whole.
    pub(crate) fn note(&self, verdict: Status) {
        if self.standing.note(verdict, Timestamp::now()) {
            self.bump();
        }
    }

    /// How long ago the engine moved last.
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
