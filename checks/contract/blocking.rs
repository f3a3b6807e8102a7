//! Runs blocking calls, at most one at a time for each check.

use super::Failure;
use std::{panic, sync::Arc};
use tokio::sync::Semaphore;

/// Runs calls that may block, such as `statvfs` on a dead NFS mount, on blocking threads: at most one at a time.
///
/// A call cannot be cancelled. When its probe is dropped, the call goes on, and later calls wait for it to end. So a hung mount costs one
/// thread, however long it hangs.
#[derive(Clone, Debug)]
pub struct Blocking(Arc<Semaphore>);

impl Default for Blocking {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Blocking {
    /// Runs `call` once the previous call has ended.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Internal`](super::FailureClass::Internal) when the runtime is shutting down.
    ///
    /// # Panics
    ///
    /// When the call panics.
    pub async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(Failure::internal)?;
        let called = tokio::task::spawn_blocking(move || {
            let result = call();
            drop(permit);
            result
        });
        match called.await {
            Ok(result) => Ok(result),
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(error) => Err(Failure::internal(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_hung_call_costs_one_thread_however_often_it_is_repeated() {
        let blocking = Blocking::default();
        let started = Arc::new(AtomicUsize::new(0));
        let (release, hang) = mpsc::channel::<()>();
        let count = Arc::clone(&started);
        let first = blocking.run(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = hang.recv();
        });
        assert!(timeout(Duration::from_millis(50), first).await.is_err());
        for _ in 0..5 {
            let count = Arc::clone(&started);
            let next = blocking.run(move || count.fetch_add(1, Ordering::SeqCst));
            assert!(timeout(Duration::from_millis(5), next).await.is_err());
        }
        assert_eq!(started.load(Ordering::SeqCst), 1);
        drop(release);
        assert_eq!(blocking.run(|| 7).await.ok(), Some(7));
    }

    #[tokio::test]
    async fn a_panic_is_passed_on_and_the_next_call_runs() {
        let blocking = Blocking::default();
        let same = blocking.clone();
        let panicked = tokio::spawn(async move { same.run(|| panic!("boom")).await }).await;
        assert!(panicked.is_err_and(|error| error.is_panic()));
        assert_eq!(blocking.run(|| 7).await.ok(), Some(7));
    }
}
