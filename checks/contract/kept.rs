//! The connection that a check keeps between probes.

use super::{Failure, FailureClass, Observation, TimeSpan, milliseconds};
use async_trait::async_trait;
use futures_util::{
    FutureExt,
    future::{Either, select},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// How a check with connections probes its backend: open a connection, ask a question on it, close it.
#[async_trait]
pub trait Session: Send + Sync {
    /// The driver's connection.
    type Connection: Send;

    /// Opens a connection, as the application does.
    async fn open(&self) -> Result<Self::Connection, Failure>;

    /// Asks the question of the check on a connection.
    async fn ask(&self, connection: &mut Self::Connection) -> Result<Observation, Failure>;

    /// How long a kept connection may stay silent before the question is also asked on a new one. Default: 1 s, for backends that normally
    /// reply faster.
    fn silence_limit(&self) -> Duration {
        DEFAULT_SILENCE_LIMIT
    }

    /// Closes a connection properly, so that the backend does not log an error about it. The future is polled once and then dropped: no
    /// probe waits for the reply.
    async fn hang_up(connection: Self::Connection) {
        drop(connection);
    }
}

/// The default of [`Session::silence_limit`].
const DEFAULT_SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// How long a backend may take to free the slot of a closed connection.
const SLOT_RELEASE_TIME: Duration = Duration::from_millis(100);

/// Whether a connection is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reuse {
    /// Keep it between probes, as the application does.
    #[default]
    Kept,
    /// Open a new one for each probe.
    Fresh,
}

/// Maximum age of a kept connection; default 60 s. The next probe after that opens a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct MaxAge(pub TimeSpan);

impl Default for MaxAge {
    fn default() -> Self {
        Self(TimeSpan::seconds(60))
    }
}

/// The kept connection of a check. A probe takes it out before its first await, and puts it back only when it has read a complete reply. So
/// a probe that is dropped never leaves a connection in the middle of a reply.
///
/// A failure on a kept connection counts only when a new connection confirms it within the same probe: a backend that restarted between two
/// probes is not a false alarm. Once a failure is confirmed on a reusable connection, no further connections are opened for it, because a
/// backend in trouble has enough to do.
///
/// After the maximum age, a connection is replaced, so that rotated credentials, a changed address or exhausted slots do not stay hidden
/// behind it.
#[derive(Debug)]
pub struct Kept<C> {
    slot: Mutex<Option<KeptConnection<C>>>,
    reuse: Reuse,
    max_age: MaxAge,
}

/// A connection and what is known of it.
#[derive(Debug)]
struct KeptConnection<C> {
    connection: C,
    opened: Instant,
    /// Whether the last reply was a failure that this connection has confirmed.
    failing: bool,
}

/// The result of asking on a kept connection.
enum AskResult {
    /// The kept connection replied.
    OnKept(Result<Observation, Failure>),
    /// A new connection, opened in parallel, took its place.
    OnNew(Result<Observation, Failure>),
}

impl<C: Send> Kept<C> {
    /// Starts without a connection.
    #[must_use]
    pub const fn new(reuse: Reuse, max_age: MaxAge) -> Self {
        Self { slot: Mutex::new(None), reuse, max_age }
    }

    /// Asks on the kept connection. Asks on a new one if there is none, it is too old, or it failed; also in parallel, if it stays silent
    /// for [`Session::silence_limit`]: otherwise a peer that vanished without closing the connection would cost a whole timeout and be a
    /// false alarm.
    ///
    /// Adds `query_ms`, and `connect_ms` when a connection was opened and the session does not measure that itself.
    pub async fn probe<S: Session<Connection = C>>(&self, session: &S) -> Result<Observation, Failure> {
        match self.take() {
            Some(mut held) if held.opened.elapsed() < self.max_age.0.0 => match self.ask(session, &mut held.connection).await {
                AskResult::OnNew(result) => result,
                AskResult::OnKept(Ok(observation)) => {
                    self.put(KeptConnection { failing: false, ..held });
                    Ok(observation)
                }
                AskResult::OnKept(Err(failure)) if held.failing && failure.has_reusable_connection() => {
                    self.put(held);
                    Err(failure)
                }
                AskResult::OnKept(Err(_)) => self.renewed(session, held.connection).await,
            },
            Some(held) => self.renewed(session, held.connection).await,
            None => self.fresh(session).await,
        }
    }

    /// Asks on a kept connection, and if it stays silent, in parallel on a new one.
    async fn ask<S: Session<Connection = C>>(&self, session: &S, connection: &mut C) -> AskResult {
        let mut asked = Box::pin(async {
            let began = Instant::now();
            let observation = session.ask(connection).await?;
            Ok(observation.took("query_ms", began.elapsed()))
        });
        if let Ok(reply) = timeout(session.silence_limit(), asked.as_mut()).await {
            return AskResult::OnKept(reply);
        }
        match select(asked.as_mut(), Box::pin(self.fresh(session))).await {
            Either::Left((Ok(observation), _)) => AskResult::OnKept(Ok(observation)),
            Either::Left((Err(_), fresh)) => AskResult::OnNew(fresh.await),
            // The old connection may hold the only slot, and may only be slow.
            Either::Right((Err(failure), asked)) if failure.class() == FailureClass::Exhausted => match asked.await {
                Ok(observation) => AskResult::OnKept(Ok(observation)),
                Err(_) => AskResult::OnNew(Err(failure)),
            },
            // The reply on the new connection counts. The one on the old connection is never read.
            Either::Right((result, _)) => AskResult::OnNew(result),
        }
    }

    /// Asks on a new connection after closing the old one: the backend may have a slot for only one.
    async fn renewed<S: Session<Connection = C>>(&self, session: &S, old: C) -> Result<Observation, Failure> {
        S::hang_up(old).now_or_never();
        match self.fresh(session).await {
            Err(failure) if failure.class() == FailureClass::Exhausted && !failure.has_reusable_connection() => {
                // The slot of the closed connection may not be free yet.
                sleep(SLOT_RELEASE_TIME).await;
                self.fresh(session).await
            }
            result => result,
        }
    }

    /// Asks on a new connection, and keeps it.
    async fn fresh<S: Session<Connection = C>>(&self, session: &S) -> Result<Observation, Failure> {
        let opening = Instant::now();
        let mut connection = session.open().await?;
        let opened = Instant::now();
        let connecting = milliseconds(opened - opening);
        let reply = session.ask(&mut connection).await;
        let usable = reply.as_ref().map_or_else(Failure::has_reusable_connection, |_| true);
        if usable && self.reuse == Reuse::Kept {
            self.put(KeptConnection { connection, opened, failing: reply.is_err() });
        } else {
            S::hang_up(connection).now_or_never();
        }
        let observation = reply?.took("query_ms", opened.elapsed());
        let is_measured = observation.values().contains_key("connect_ms");
        Ok(if is_measured { observation } else { observation.with("connect_ms", connecting) })
    }

    fn take(&self) -> Option<KeptConnection<C>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, held: KeptConnection<C>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
    use tokio::time::advance;

    /// Opens numbered connections.
    #[derive(Default)]
    struct Numbered {
        opened: AtomicU32,
        /// Connections up to this number fail.
        dead: AtomicU32,
        /// Connections up to this number never reply.
        silent: AtomicU32,
        /// Whether every reply is a failure on a reusable connection.
        ill: AtomicBool,
        /// Whether each reply takes three seconds, and the first connection has the only slot.
        slow: AtomicBool,
    }

    #[async_trait]
    impl Session for Numbered {
        type Connection = u32;

        async fn open(&self) -> Result<u32, Failure> {
            let number = self.opened.fetch_add(1, SeqCst) + 1;
            if number > 1 && self.slow.load(SeqCst) { Err(Failure::exhausted("no slot")) } else { Ok(number) }
        }

        async fn ask(&self, connection: &mut u32) -> Result<Observation, Failure> {
            if self.slow.load(SeqCst) {
                sleep(Duration::from_secs(3)).await;
            }
            if *connection <= self.silent.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.ill.load(SeqCst) {
                return Err(Failure::unhealthy("ill").reusable_connection());
            }
            if *connection <= self.dead.load(SeqCst) {
                return Err(Failure::unreachable("dead"));
            }
            Ok(Observation::pass().with("connection", *connection))
        }
    }

    async fn number(kept: &Kept<u32>, session: &Numbered) -> u64 {
        kept.probe(session).await.expect("it passes").values()["connection"].as_u64().expect("a number")
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_reused_until_it_is_too_old() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        assert_eq!(number(&kept, &session).await, 1);
        advance(Duration::from_secs(61)).await;
        assert_eq!(number(&kept, &session).await, 2);
    }

    #[tokio::test]
    async fn a_dead_connection_is_replaced_within_the_same_probe() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        session.dead.store(1, SeqCst);
        assert_eq!(number(&kept, &session).await, 2);
    }

    #[tokio::test]
    async fn a_failure_on_a_new_connection_counts_at_once() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        session.dead.store(u32::MAX, SeqCst);
        assert!(kept.probe(&session).await.is_err());
        assert_eq!(session.opened.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_confirmed_once_and_opens_no_more_connections() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        session.ill.store(true, SeqCst);
        for _ in 0..5 {
            assert!(kept.probe(&session).await.is_err());
        }
        assert_eq!(session.opened.load(SeqCst), 2, "the second confirmed the failure of the first");
        session.ill.store(false, SeqCst);
        assert_eq!(number(&kept, &session).await, 2);
        session.ill.store(true, SeqCst);
        assert!(kept.probe(&session).await.is_err());
        assert_eq!(session.opened.load(SeqCst), 3, "a new failure is confirmed anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_a_dropped_probe_is_not_reused() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        session.silent.store(u32::MAX, SeqCst);
        assert!(timeout(Duration::from_secs(5), kept.probe(&session)).await.is_err());
        session.silent.store(0, SeqCst);
        assert_eq!(number(&kept, &session).await, 3, "the second was tried in parallel, and dropped with the first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_is_tried_in_parallel_to_a_silent_one() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        session.silent.store(1, SeqCst);
        let start = Instant::now();
        assert_eq!(number(&kept, &session).await, 2);
        assert_eq!(start.elapsed(), DEFAULT_SILENCE_LIMIT);
        assert_eq!(number(&kept, &session).await, 2, "it is kept from then on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_connection_with_the_only_slot_is_waited_for() {
        let (kept, session) = (Kept::new(Reuse::Kept, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        session.slow.store(true, SeqCst);
        assert_eq!(number(&kept, &session).await, 1);
        assert_eq!(session.opened.load(SeqCst), 2, "a second one was tried");
    }

    #[tokio::test]
    async fn fresh_opens_a_connection_for_each_probe() {
        let (kept, session) = (Kept::new(Reuse::Fresh, MaxAge::default()), Numbered::default());
        assert_eq!(number(&kept, &session).await, 1);
        assert_eq!(number(&kept, &session).await, 2);
    }
}
