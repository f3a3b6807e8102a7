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
pub(super) struct Refusal {
    failure: Failure,
    /// Whether it could be asked at all: what a server says tells more than that another is gone.
    answered: bool,
}

impl Refusal {
    pub(super) fn unreached(failure: Failure) -> Self {
        Self { failure, answered: false }
    }

    pub(super) fn answered(failure: Failure) -> Self {
        Self { failure, answered: true }
    }
}

/// The servers that were tried already within one search.
#[derive(Default)]
pub(super) struct Tried(Mutex<BTreeSet<String>>);

impl Tried {
    /// Whether nobody has tried this one before.
    pub(super) fn is_new(&self, address: &Address) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_string())
    }
}

/// The first that is found. Otherwise why there is none, by the first that answered, or else by the first.
pub(super) async fn first<T, F: Future<Output = Result<T, Refusal>>>(attempts: Vec<F>) -> Result<T, Failure> {
    let mut waiting = attempts.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut told: Option<Refusal> = None;
    loop {
        asked.extend(waiting.next());
        match timeout(HEAD_START, asked.next()).await {
            Ok(Some(Ok(found))) => return Ok(found),
            Ok(Some(Err(refusal))) => {
                let better = told.as_ref().is_none_or(|earlier| refusal.answered && !earlier.answered);
                told = if better { Some(refusal) } else { told };
            }
            Ok(None) => return Err(told.map_or_else(|| Failure::internal("nobody to ask"), |refusal| refusal.failure)),
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

    type Attempt = BoxFuture<'static, Result<u8, Refusal>>;

    fn fails(message: &'static str, answered: bool) -> Attempt {
        Box::pin(ready(Err(Refusal { failure: Failure::unhealthy(message), answered })))
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_costs_its_head_start() {
        let start = Instant::now();
        let found = first::<u8, Attempt>(vec![Box::pin(pending()), fails("b", true), Box::pin(ready(Ok(3)))]).await;
        assert_eq!((found.ok(), start.elapsed()), (Some(3), HEAD_START));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_still_counts() {
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(1)
        };
        assert_eq!(first::<u8, Attempt>(vec![Box::pin(slow), fails("b", true)]).await.ok(), Some(1));
    }

    #[tokio::test]
    async fn what_a_server_said_is_told_rather_than_that_another_is_gone() {
        let told = |attempts| async { first::<u8, Attempt>(attempts).await.expect_err("nobody helps").message().to_owned() };
        assert_eq!(told(vec![fails("gone", false), fails("said", true), fails("said, too", true)]).await, "said");
        assert_eq!(told(vec![fails("gone", false), fails("gone, too", false)]).await, "gone");
    }
}
