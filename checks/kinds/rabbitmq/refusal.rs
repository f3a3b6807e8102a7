//! Remembers that the broker has refused an optional question: each refusal is an error in the broker's log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a question is not repeated. After that, the user may have got the right.
const PAUSE: Duration = Duration::from_secs(600);

/// When the broker refused the question.
#[derive(Debug, Default)]
pub(super) struct Refusal(Mutex<Option<Instant>>);

impl Refusal {
    pub(super) fn record(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn is_recent(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|refused| refused.elapsed() < PAUSE)
    }
}
