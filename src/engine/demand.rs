//! Requests for a probe outside the schedule: by `?fresh`, and after the machine was suspended or the process stopped.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// The minimum time between two requested probes of one component.
pub(super) const MIN_REFRESH: Duration = Duration::from_secs(1);

/// The latest request for a probe of one component.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    latest: Mutex<Option<Request>>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    /// On the clock for ages (`moment::now`). A probe that begins at or after this moment answers the request.
    at: Instant,
    /// On the clock for timers (`Instant::now`).
    due: Instant,
}

impl Demand {
    /// Requests a probe that begins at `due`, and returns when it was first requested: a request within [`MIN_REFRESH`] after the last one counts
    /// as the same request.
    pub(crate) fn request(&self, now: Instant, due: Instant) -> Instant {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = latest.filter(|latest| now.saturating_duration_since(latest.at) < MIN_REFRESH) {
            return latest.at;
        }
        *latest = Some(Request { at: now, due });
        drop(latest);
        self.wake();
        now
    }

    /// When the requested probe is due; `None` if nothing was requested since the last probe began.
    pub(crate) fn due(&self, last_began: Option<Instant>) -> Option<Instant> {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.filter(|latest| last_began.is_none_or(|began| began < latest.at)).map(|latest| latest.due)
    }

    /// Wakes the sampler, because a probe was requested or the policy changed.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Completes once [`wake`](Self::wake) has been called after the previous completion.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_within_a_second_count_as_one() {
        let (demand, start) = (Demand::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(demand.due(None), None);
        assert_eq!(demand.request(start, after(300)), start);
        assert_eq!(demand.request(after(999), after(2000)), start);
        assert_eq!(demand.due(None), Some(after(300)));
        assert_eq!(demand.due(Some(start)), None, "a probe that begins at the moment of the request answers it");
        assert_eq!(demand.request(after(1000), after(1000)), after(1000));
        assert_eq!(demand.due(Some(after(999))), Some(after(1000)), "a probe that began before does not");
    }
}
