//! The supervisor: starts a sampler for every component, starts it again should it ever end, and shows by its own beat that the engine moves.

use super::{
    board::Board,
    sampler::{announce, sample},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};

/// How often the engine shows that it moves.
pub(crate) const BEAT: Duration = Duration::from_millis(250);

/// How long a sampler that ended rests at most before it is started again.
const RESTART: Duration = Duration::from_secs(10);

/// From this silence on, the engine has stood still, and the log says so.
const STALL: Duration = Duration::from_secs(2);

/// Runs until it is dropped.
pub(crate) async fn supervise(board: Arc<Board>, rounds: watch::Receiver<u64>) {
    let start = Instant::now();
    let firsts: Vec<_> =
        (0..board.len()).map(|index| board.component(index).policy.enabled.then(|| start + head_start(index, board.len()))).collect();
    let samplers = |index: usize, again: bool| {
        let first =
            if again { Instant::now() + board.component(index).policy.interval.min(RESTART) } else { firsts[index].unwrap_or(start) };
        let mut rounds = rounds.clone();
        // The rounds until now were called for the one that ended; without this they would start the next one at once, again and again.
        rounds.mark_unchanged();
        sample(Arc::clone(&board), index, rounds, first)
    };
    let enabled = (0..board.len()).filter(|index| firsts[*index].is_some());
    keep_alive(enabled, samplers, &board).await;
}

/// The first probes begin at once; very many are spread over a moment, at most a second, so as not to be a burst.
fn head_start(index: usize, components: usize) -> Duration {
    const AT_ONCE: usize = 64;
    if components <= AT_ONCE {
        return Duration::ZERO;
    }
    let spread = Duration::from_secs(1).min(Duration::from_millis(components as u64));
    spread.mul_f64(f64::from(u32::try_from(index).unwrap_or(u32::MAX)) / f64::from(u32::try_from(components).unwrap_or(u32::MAX)))
}

async fn keep_alive<F>(indices: impl Iterator<Item = usize>, sampler: impl Fn(usize, bool) -> F, board: &Board)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut samplers = JoinSet::new();
    let mut names: HashMap<Id, usize> = HashMap::new();
    for index in indices {
        names.insert(samplers.spawn(sampler(index, false)).id(), index);
    }
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let still = board.since_beat();
                if still > STALL {
                    tracing::warn!(stood_still_ms = u64::try_from(still.as_millis()).unwrap_or(u64::MAX), "the engine stood still");
                }
                board.beat();
                // What changes by time alone: a hold that ends, a result that grows too old.
                (0..board.len()).for_each(|index| announce(board, index));
            }
            Some(ended) = samplers.join_next_with_id() => {
                let id = match &ended { Ok((id, ())) => *id, Err(error) => error.id() };
                if let Some(index) = names.remove(&id) {
                    let component = board.component(index).name.as_str();
                    let reason = if ended.is_ok() { "it returned" } else { "it panicked" };
                    tracing::error!(component, reason, "a sampler ended; it is started again");
                    names.insert(samplers.spawn(sampler(index, true)).id(), index);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{Component, Policy};
    use allswell_checks::contract::{Check, Failure, Observation, Redactor};
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    struct Well;

    #[async_trait::async_trait]
    impl Check for Well {
        async fn probe(&self) -> Result<Observation, Failure> {
            Ok(Observation::pass())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_sampler_is_started_again() {
        let component = Component { name: "c".parse().expect("a name"), kind: "custom", policy: Policy::default(), check: Arc::new(Well) };
        let board = Board::new(vec![component], Redactor::default());
        let starts = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&starts);
        let dies_at_first = move |_, again: bool| {
            count.fetch_add(1, SeqCst);
            async move {
                assert!(again, "the first one dies");
                std::future::pending::<()>().await;
            }
        };
        let run = keep_alive(0..1, dies_at_first, &board);
        assert!(tokio::time::timeout(Duration::from_secs(5), run).await.is_err(), "the supervisor goes on");
        assert_eq!(starts.load(SeqCst), 2);
        assert!(board.since_beat() <= BEAT);
    }

    #[test]
    fn only_very_many_are_spread() {
        assert_eq!(head_start(63, 64), Duration::ZERO);
        assert_eq!(head_start(50, 100), Duration::from_millis(50));
        assert!(head_start(9_999, 10_000) < Duration::from_secs(1));
    }
}
