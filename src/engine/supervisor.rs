//! The supervisor: starts a sampler for every component, restarts one that ends, and shows by regular beats that the engine is alive.

use super::{
    board::Board,
    entry::Entry,
    moment::now,
    pulse::Pulse,
    sampler::sample,
    schedule::{FirstProbes, spread},
};
use crate::report::View;
use fastrand::Rng;
use std::{
    collections::{HashMap, HashSet},
    future::pending,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};

/// How often the engine shows a sign of life.
pub(crate) const BEAT_INTERVAL: Duration = Duration::from_millis(250);

/// The maximum delay before a sampler that ended is restarted.
const MAX_RESTART_DELAY: Duration = Duration::from_secs(10);

/// Without a beat for this long, the engine was stalled: that is logged, and everything is probed again.
const STALL_THRESHOLD: Duration = Duration::from_secs(2);

/// Keeps a sampler running for every enabled component on the board, and follows each new board. Runs until it is dropped.
pub(crate) async fn supervise(mut boards: watch::Receiver<Arc<Board>>, pulse: Arc<Pulse>, seed: u64) {
    let start = |entry: &Arc<Entry>, first_probes: FirstProbes| {
        // Each sampler has its own random numbers, independent of the order in which they start.
        let random = Rng::with_seed(seed ^ BuildHasherDefault::<DefaultHasher>::default().hash_one(&entry.name));
        sample(Arc::clone(entry), Arc::clone(&pulse), first_probes, random)
    };
    let mut samplers = Samplers::new(start);
    samplers.follow(&boards.borrow_and_update().clone());
    let mut beats = interval(BEAT_INTERVAL);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let board = boards.borrow();
                let silence = pulse.since_beat();
                if silence > STALL_THRESHOLD {
                    tracing::warn!(stalled_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX), "the probe engine was stalled");
                    // All results are old, and timers stand still while a machine is suspended.
                    probe_again(&board);
                }
                pulse.beat();
                // Record what changes by time alone: a hold that ended, a result that became stale.
                for entry in board.entries() {
                    entry.catch_up(&pulse);
                }
                if let Some(verdict) = board.status(&View::Whole, pulse.stamp(), &pulse) {
                    pulse.record_verdict(verdict);
                }
            }
            Ok(()) = boards.changed() => samplers.follow(&boards.borrow_and_update().clone()),
            () = samplers.tend() => {}
        }
    }
}

/// Requests a probe of every component that has not begun one since the stall ended.
fn probe_again(board: &Board) {
    // Samplers may have resumed before the supervisor; their probes count, and none can have begun during the stall.
    let since = now().checked_sub(STALL_THRESHOLD / 2).unwrap_or_else(now);
    let (timer, count) = (Instant::now(), board.entries().len());
    for (index, entry) in board.entries().iter().enumerate() {
        entry.demand.request(since, timer + spread(index, count));
    }
}

/// The running samplers.
struct Samplers<S> {
    start: S,
    tasks: JoinSet<()>,
    running: HashMap<Id, (Arc<Entry>, AbortHandle)>,
}

impl<S, F> Samplers<S>
where
    S: Fn(&Arc<Entry>, FirstProbes) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    fn new(start: S) -> Self {
        Self { start, tasks: JoinSet::new(), running: HashMap::new() }
    }

    fn spawn(&mut self, entry: &Arc<Entry>, first_probes: FirstProbes) {
        let task = self.tasks.spawn((self.start)(entry, first_probes));
        self.running.insert(task.id(), (Arc::clone(entry), task));
    }

    /// Stops the samplers of components that were removed or muted, and starts those of new ones.
    fn follow(&mut self, board: &Board) {
        let enabled: HashSet<*const Entry> =
            board.entries().iter().filter(|entry| entry.component().policy.enabled).map(Arc::as_ptr).collect();
        // Removed from the map before they end, so that `tend` does not restart them.
        self.running.retain(|_, (entry, task)| {
            let stays = enabled.contains(&Arc::as_ptr(entry));
            if !stays {
                task.abort();
            }
            stays
        });
        let running: HashSet<*const Entry> = self.running.values().map(|(entry, _)| Arc::as_ptr(entry)).collect();
        let is_new = |entry: &&Arc<Entry>| enabled.contains(&Arc::as_ptr(entry)) && !running.contains(&Arc::as_ptr(entry));
        let new: Vec<_> = board.entries().iter().filter(is_new).collect();
        let now = Instant::now();
        for (index, entry) in new.iter().enumerate() {
            self.spawn(entry, FirstProbes::one_of(now, index, new.len()));
        }
    }

    /// Waits until a sampler ends, which should never happen by itself, and restarts it.
    async fn tend(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else { return pending().await };
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        if let Some((entry, _)) = self.running.remove(&id) {
            let component = entry.name.as_str();
            let reason = if ended.is_ok() { "it returned" } else { "it panicked" };
            tracing::error!(component, reason, "sampler ended unexpectedly; restarting it");
            let delay = entry.component().policy.interval.min(MAX_RESTART_DELAY);
            self.spawn(&entry, FirstProbes::at(Instant::now() + delay));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        component::{CheckName, Component, Policy},
        report::Service,
    };
    use allswell_checks::contract::{Check, Failure, Observation, Secret};
    use std::{collections::BTreeMap, pin::pin, sync::Mutex};
    use tokio::time::{advance, sleep, timeout};

    struct Well;

    #[async_trait::async_trait]
    impl Check for Well {
        async fn probe(&self) -> Result<Observation, Failure> {
            Ok(Observation::pass())
        }
    }

    fn board(names: &[&str], before: Option<&Board>) -> Board {
        let component = |name: &&str| {
            let name: CheckName = name.parse().expect("a name");
            let component = Component::new(name.clone(), "custom", Policy::default(), Arc::new(Well));
            (name.clone(), Component { identity: Some(Secret::new(name.as_str())), ..component })
        };
        Board::new(names.iter().map(component).collect(), &BTreeMap::new(), Service::default(), false, before)
    }

    #[tokio::test(start_paused = true)]
    async fn a_sampler_that_ends_is_restarted() {
        let (now, delays) = (Instant::now(), Mutex::new(Vec::new()));
        let dies_at_first = |_: &Arc<Entry>, first_probes: FirstProbes| {
            let first = delays.lock().expect("no panic").is_empty();
            delays.lock().expect("no panic").push(first_probes.at - now);
            async move {
                assert!(!first, "the first sampler panics");
                pending::<()>().await;
            }
        };
        let mut samplers = Samplers::new(dies_at_first);
        samplers.follow(&board(&["a"], None));
        samplers.tend().await;
        assert!(timeout(Duration::from_secs(1), samplers.tend()).await.is_err(), "the second sampler keeps running");
        assert_eq!(*delays.lock().expect("no panic"), [Duration::ZERO, MAX_RESTART_DELAY]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_board_keeps_the_samplers_of_unchanged_components() {
        let started = Mutex::new(Vec::new());
        let start = |entry: &Arc<Entry>, _| {
            started.lock().expect("no panic").push(entry.name.to_string());
            pending()
        };
        let mut samplers = Samplers::new(start);
        let first = board(&["a", "b"], None);
        samplers.follow(&first);
        let second = board(&["b", "c"], Some(&first));
        samplers.follow(&second);
        assert_eq!(*started.lock().expect("no panic"), ["a", "b", "c"]);
        assert_eq!(samplers.running.len(), 2);
        drop(first);
        assert!(timeout(Duration::from_secs(1), samplers.tend()).await.is_ok(), "the end of `a` is collected");
        assert_eq!(started.lock().expect("no panic").len(), 3, "and is not taken for a crash");
    }

    /// A check that records when it was probed.
    struct Recorder(Arc<Mutex<Vec<Instant>>>);

    #[async_trait::async_trait]
    impl Check for Recorder {
        async fn probe(&self) -> Result<Observation, Failure> {
            self.0.lock().expect("no panic").push(Instant::now());
            Ok(Observation::pass())
        }
    }

    /// A board with `count` components of one policy, and the moments at which they are probed.
    fn recording_board(count: u32, policy: &Policy) -> (Arc<Board>, Arc<Mutex<Vec<Instant>>>) {
        let probes = Arc::default();
        let components = (0..count).map(|n| {
            let name: CheckName = format!("c{n}").parse().expect("a name");
            (name.clone(), Component::new(name, "custom", policy.clone(), Arc::new(Recorder(Arc::clone(&probes)))))
        });
        (Arc::new(Board::new(components.collect(), &BTreeMap::new(), Service::default(), false, None)), probes)
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stall_everything_is_probed_once() {
        for interval in [Duration::from_secs(1), Duration::from_secs(3600)] {
            let (board, probes) = recording_board(3, &Policy { interval, jitter: 0.0, ..Policy::default() });
            let (_boards, boards) = watch::channel(board);
            let engine = tokio::spawn(supervise(boards, Arc::default(), 7));
            sleep(Duration::from_millis(500)).await;
            assert_eq!(probes.lock().expect("no panic").len(), 3);
            advance(Duration::from_secs(30)).await;
            sleep(Duration::from_millis(500)).await;
            assert_eq!(probes.lock().expect("no panic").len(), 6, "with an interval of {interval:?}");
            engine.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn probes_of_very_many_components_do_not_come_in_waves() {
        const CROWD: u32 = 200;
        let (board, probes) = recording_board(CROWD, &Policy::default());
        let (_boards, boards) = watch::channel(Arc::clone(&board));
        let began = Instant::now();
        let mut engine = pin!(supervise(boards, Arc::default(), 7));
        let half = Duration::from_secs(30);
        assert!(timeout(half, &mut engine).await.is_err(), "it runs until it is dropped");
        // All are probed on request, and must not synchronise afterwards.
        probe_again(&board);
        assert!(timeout(half, &mut engine).await.is_err(), "it goes on");
        let mut seconds = [0_u32; 60];
        for probe in probes.lock().expect("no panic").iter() {
            seconds[usize::try_from((*probe - began).as_secs()).expect("a minute")] += 1;
        }
        for at_once in [0, 30] {
            assert!(seconds[at_once] >= CROWD, "{seconds:?}");
            seconds[at_once] -= CROWD;
        }
        assert!(seconds.iter().all(|probes| *probes < CROWD / 10 * 2), "{seconds:?}");
    }
}
