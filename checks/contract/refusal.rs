//! Remembers for a while that a backend refused a question, so that not every probe repeats it: each refusal may be an error in the log of the
//! backend, or the end of a connection.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::{Duration, Instant};

/// How long a refused question is not repeated. After that, the user may have got the right, or the server may have changed.
const REFUSAL_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The last refusal of a question, with what is known about it.
#[derive(Debug)]
pub(crate) struct RecentRefusal<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for RecentRefusal<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> RecentRefusal<T> {
    /// Records that the question was refused now.
    pub(crate) fn record(&self, about: T) {
        *self.lock() = Some((Instant::now(), about));
    }

    /// Forgets the refusal: the question was answered.
    #[cfg(any(feature = "memcached", feature = "redis"))]
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// The refusal, if it was less than [`REFUSAL_PAUSE`] ago.
    pub(crate) fn recent(&self) -> Option<T> {
        self.lock().as_ref().filter(|(at, _)| at.elapsed() < REFUSAL_PAUSE).map(|(_, about)| about.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_remembered_for_a_while() {
        let refusal = RecentRefusal::default();
        assert_eq!(refusal.recent(), None);
        refusal.record("no right");
        assert_eq!(refusal.recent(), Some("no right"));
        advance(REFUSAL_PAUSE).await;
        assert_eq!(refusal.recent(), None);
    }
}
