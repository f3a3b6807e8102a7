//! The memory for rendered responses: `server.response_memory`.
//!
//! Every rendered body counts from its rendering until the last client has read it or has disconnected. Equal responses share one body, so only
//! slow readers make the sum grow: each may hold an old body that no other client needs.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// Counts the bytes of rendered bodies. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct ResponseMemory(Arc<MemoryCounter>);

#[derive(Debug)]
struct MemoryCounter {
    limit: AtomicUsize,
    used: AtomicUsize,
    /// Notified when a body does not fit.
    exceeded: Notify,
    /// Notified when a body is dropped while others wait for room.
    released: Notify,
}

impl ResponseMemory {
    pub(crate) fn new(limit: usize) -> Self {
        let (limit, used) = (AtomicUsize::new(limit), AtomicUsize::new(0));
        Self(Arc::new(MemoryCounter { limit, used, exceeded: Notify::new(), released: Notify::new() }))
    }

    #[cfg(feature = "server")]
    pub(crate) fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Whether a body of this size fits now.
    pub(super) fn fits(&self, size: usize) -> bool {
        self.0.used.load(Ordering::Relaxed).saturating_add(size) <= self.limit()
    }

    /// Waits until a body of this size fits. `false`: it did not fit by the deadline.
    pub(super) async fn wait_for(&self, size: usize, deadline: Instant) -> bool {
        if size > self.limit() {
            return false;
        }
        loop {
            let released = self.0.released.notified();
            if self.fits(size) {
                return true;
            }
            self.0.exceeded.notify_one();
            if timeout_at(deadline, released).await.is_err() {
                return self.fits(size);
            }
        }
    }

    /// Returns when a body does not fit, so that room has to be made.
    #[cfg(feature = "server")]
    pub(super) async fn exceeded(&self) {
        self.0.exceeded.notified().await;
    }

    /// Counts a body until its last reader drops it. The body is kept even beyond the limit, since a poll always gets its response.
    pub(super) fn count(&self, mut body: Vec<u8>) -> Bytes {
        body.shrink_to_fit();
        self.0.used.fetch_add(body.len(), Ordering::Relaxed);
        if !self.fits(0) {
            self.0.exceeded.notify_one();
        }
        Bytes::from_owner(CountedBody { body, counter: Arc::clone(&self.0) })
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }
}

/// A body that counts until it is dropped.
struct CountedBody {
    body: Vec<u8>,
    counter: Arc<MemoryCounter>,
}

impl AsRef<[u8]> for CountedBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.counter.used.fetch_sub(self.body.len(), Ordering::Relaxed);
        self.counter.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_body_counts_until_its_last_reader_drops_it() {
        let memory = ResponseMemory::new(10);
        let body = memory.count(vec![0; 8]);
        let slice = body.slice(2..4);
        drop(body);
        assert_eq!(memory.used(), 8);
        assert!(!memory.wait_for(3, Instant::now() + Duration::from_secs(1)).await);
        let waiter = tokio::spawn({
            let memory = memory.clone();
            async move { memory.wait_for(3, Instant::now() + Duration::from_secs(1)).await }
        });
        tokio::task::yield_now().await;
        drop(slice);
        assert_eq!((memory.used(), waiter.await.expect("no panic")), (0, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_larger_than_the_limit_does_not_wait() {
        let (memory, start) = (ResponseMemory::new(10), Instant::now());
        assert!(!memory.wait_for(11, start + Duration::from_secs(1)).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
