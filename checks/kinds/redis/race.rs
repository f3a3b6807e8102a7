//! Several servers of which one is enough: asked one after the other, and a silent one is not waited for.

use crate::{contract::prelude::*, wire::address::Address};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How long one is alone until the next is asked beside it, as browsers do: <https://www.rfc-editor.org/rfc/rfc8305#section-5>.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why one was no help.
pub(super) struct AttemptFailure {
    failure: Failure,
    /// Whether it could be asked at all: what a server says tells more than that another is gone.
    answered: bool,
}

impl AttemptFailure {
    pub(super) fn not_reached(failure: Failure) -> Self {
        Self { failure, answered: false }
    }

    pub(super) fn answered(failure: Failure) -> Self {
        Self { failure, answered: true }
    }
}

/// The servers that were tried already within one search.
#[derive(Default)]
pub(super) struct TriedAddresses(Mutex<BTreeSet<String>>);

impl TriedAddresses {
    /// Whether nobody has tried this one before.
    pub(super) fn is_new(&self, address: &Address) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_string())
    }
}

/// The first that is found. Otherwise why there is none, by the first that answered, or else by the first.
pub(super) async fn first_success<T, F: Future<Output = Result<T, AttemptFailure>>>(attempts: Vec<F>) -> Result<T, Failure> {
    let mut waiting = attempts.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut reason: Option<AttemptFailure> = None;
    loop {
        asked.extend(waiting.next());
        match timeout(HEAD_START, asked.next()).await {
            Ok(Some(Ok(found))) => return Ok(found),
            Ok(Some(Err(refusal))) => {
                let better = reason.as_ref().is_none_or(|earlier| refusal.answered && !earlier.answered);
                reason = if better { Some(refusal) } else { reason };
            }
            Ok(None) => return Err(reason.map_or_else(|| Failure::internal("no server to try"), |refusal| refusal.failure)),
            // It is not given up, only no longer alone.
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

    fn fails(message: &'static str, answered: bool) -> Attempt {
        Box::pin(ready(Err(AttemptFailure { failure: Failure::unhealthy(message), answered })))
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_costs_its_head_start() {
        let start = Instant::now();
        let found = first_success::<u8, Attempt>(vec![Box::pin(pending()), fails("b", true), Box::pin(ready(Ok(3)))]).await;
        assert_eq!((found.ok(), start.elapsed()), (Some(3), HEAD_START));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_still_counts() {
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(1)
        };
        assert_eq!(first_success::<u8, Attempt>(vec![Box::pin(slow), fails("b", true)]).await.ok(), Some(1));
    }

    #[tokio::test]
    async fn what_a_server_said_is_told_rather_than_that_another_is_gone() {
        let reason = |attempts| async { first_success::<u8, Attempt>(attempts).await.expect_err("nobody helps").message().to_owned() };
        assert_eq!(reason(vec![fails("gone", false), fails("said", true), fails("said, too", true)]).await, "said");
        assert_eq!(reason(vec![fails("gone", false), fails("gone, too", false)]).await, "gone");
    }
}
