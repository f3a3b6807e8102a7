//! Connects to one of several servers or addresses: tries one after the other, and the next in parallel if one is silent.

use crate::contract::Failure;
#[cfg(feature = "resp")]
use crate::wire::address::Address;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;
#[cfg(feature = "resp")]
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};
use tokio::time::timeout;

/// How long an attempt runs alone before the next one starts in parallel, as in browsers:
/// <https://www.rfc-editor.org/rfc/rfc8305#section-5>.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why an attempt failed.
pub(crate) struct AttemptFailure {
    failure: Failure,
    /// Whether the server replied: its reply says more than that another server is gone.
    replied: bool,
}

impl AttemptFailure {
    pub(crate) fn not_reached(failure: Failure) -> Self {
        Self { failure, replied: false }
    }

    pub(crate) fn replied(failure: Failure) -> Self {
        Self { failure, replied: true }
    }
}

/// The servers tried already by this probe.
#[cfg(feature = "resp")]
#[derive(Default)]
pub(crate) struct TriedAddresses(Mutex<BTreeSet<String>>);

#[cfg(feature = "resp")]
impl TriedAddresses {
    /// Whether this address was not tried before.
    pub(crate) fn is_new(&self, address: &Address) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_string())
    }
}

/// The result of the first attempt that succeeds. Otherwise the failure of the first server that replied, or else of the first one.
pub(crate) async fn first_success<T, F: Future<Output = Result<T, AttemptFailure>>>(attempts: Vec<F>) -> Result<T, Failure> {
    let mut waiting = attempts.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut reason: Option<AttemptFailure> = None;
    loop {
        asked.extend(waiting.next());
        match timeout(HEAD_START, asked.next()).await {
            Ok(Some(Ok(found))) => return Ok(found),
            Ok(Some(Err(refusal))) => {
                let better = reason.as_ref().is_none_or(|earlier| refusal.replied && !earlier.replied);
                reason = if better { Some(refusal) } else { reason };
            }
            Ok(None) => return Err(reason.map_or_else(|| Failure::internal("no server to try"), |refusal| refusal.failure)),
            // The attempt goes on, but no longer alone.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{BoxFuture, pending, ready};
    use tokio::time::Instant;

    type Attempt = BoxFuture<'static, Result<u8, AttemptFailure>>;

    fn fails(message: &'static str, replied: bool) -> Attempt {
        Box::pin(ready(Err(AttemptFailure { failure: Failure::unhealthy(message), replied })))
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_costs_its_head_start() {
        let start = Instant::now();
        let found = first_success::<u8, Attempt>(vec![Box::pin(pending()), fails("b", true), Box::pin(ready(Ok(3)))]).await;
        assert_eq!((found.ok(), start.elapsed()), (Some(3), HEAD_START));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_still_counts() {
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(1)
        };
        assert_eq!(first_success::<u8, Attempt>(vec![Box::pin(slow), fails("b", true)]).await.ok(), Some(1));
    }

    #[tokio::test]
    async fn the_failure_of_a_server_that_replied_is_reported() {
        let reason = |attempts| async { first_success::<u8, Attempt>(attempts).await.expect_err("all fail").message().to_owned() };
        assert_eq!(reason(vec![fails("gone", false), fails("said", true), fails("said, too", true)]).await, "said");
        assert_eq!(reason(vec![fails("gone", false), fails("gone, too", false)]).await, "gone");
    }
}
