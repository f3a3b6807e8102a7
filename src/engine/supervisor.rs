//! The supervisor: starts a sampler for every component, starts it again should it ever end, and shows by its own beat that the engine moves.

use super::{
    board::Board,
    entry::Entry,
    moment::now,
    pulse::Pulse,
    sampler::sample,
    schedule::{Beginning, spread},
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

/// How often the engine shows that it moves.
pub(crate) const BEAT: Duration = Duration::from_millis(250);

/// How long a sampler that ended rests at most before it is started again.
const RESTART: Duration = Duration::from_secs(10);

/// After this silence the engine was stalled: the log says so, and everything is probed again.
const STALL: Duration = Duration::from_secs(2);

/// Probes what is on the board, and goes on with the next board when there is one. Runs until it is dropped.
pub(crate) async fn supervise(mut boards: watch::Receiver<Arc<Board>>, pulse: Arc<Pulse>, seed: u64) {
    let start = |entry: &Arc<Entry>, beginning: Beginning| {
        // Each has random numbers of its own, whichever is started first.
        let random = Rng::with_seed(seed ^ BuildHasherDefault::<DefaultHasher>::default().hash_one(&entry.name));
        sample(Arc::clone(entry), Arc::clone(&pulse), beginning, random)
    };
    let mut samplers = Samplers::new(start);
    samplers.follow(&boards.borrow_and_update().clone());
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let board = boards.borrow();
                let silence = pulse.since_beat();
                if silence > STALL {
                    tracing::warn!(stalled_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX), "the probe engine was stalled");
                    // What is known is old, and timers do not go on while a machine is suspended.
                    probe_again(&board);
                }
                pulse.beat();
                // What changes by time alone: a hold that ends, a result that grows too old.
                for entry in board.entries() {
                    entry.catch_up(&pulse);
                }
                // Every board has this view.
                if let Some(verdict) = board.status(&View::Whole, pulse.stamp(), &pulse) {
                    pulse.note(verdict);
                }
            }
            Ok(()) = boards.changed() => samplers.follow(&boards.borrow_and_update().clone()),
            () = samplers.tend() => {}
        }
    }
}

/// Requests a probe of everything that has not begun one since the stall ended.
fn probe_again(board: &Board) {
    // The samplers may have been faster than the supervisor; but while it was stalled, no probe began.
    let since = now().checked_sub(STALL / 2).unwrap_or_else(now);
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
    S: Fn(&Arc<Entry>, Beginning) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    fn new(start: S) -> Self {
        Self { start, tasks: JoinSet::new(), running: HashMap::new() }
    }

    fn spawn(&mut self, entry: &Arc<Entry>, beginning: Beginning) {
        let task = self.tasks.spawn((self.start)(entry, beginning));
        self.running.insert(task.id(), (Arc::clone(entry), task));
    }

    /// Ends the samplers of what is not on the board any more or muted, and starts those of what is new there.
    fn follow(&mut self, board: &Board) {
        let wanted: HashSet<*const Entry> =
            board.entries().iter().filter(|entry| entry.component().policy.enabled).map(Arc::as_ptr).collect();
        // Forgotten first, so that their end is no surprise.
        self.running.retain(|_, (entry, task)| {
            let stays = wanted.contains(&Arc::as_ptr(entry));
            if !stays {
                task.abort();
            }
            stays
        });
        let running: HashSet<*const Entry> = self.running.values().map(|(entry, _)| Arc::as_ptr(entry)).collect();
        let is_new = |entry: &&Arc<Entry>| wanted.contains(&Arc::as_ptr(entry)) && !running.contains(&Arc::as_ptr(entry));
        let new: Vec<_> = board.entries().iter().filter(is_new).collect();
        let now = Instant::now();
        for (index, entry) in new.iter().enumerate() {
            self.spawn(entry, Beginning::one_of(now, index, new.len()));
        }
    }

    /// Waits until a sampler ends, which none should by itself, and starts it again.
    async fn tend(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else { return pending().await };
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        if let Some((entry, _)) = self.running.remove(&id) {
            let component = entry.name.as_str();
            let reason = if ended.is_ok() { "it returned" } else { "it panicked" };
            tracing::error!(component, reason, "a sampler ended; it is started again");
            let rest = entry.component().policy.interval.min(RESTART);
            self.spawn(&entry, Beginning::at(Instant::now() + rest));
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
    async fn a_dead_sampler_is_started_again() {
        let (now, delays) = (Instant::now(), Mutex::new(Vec::new()));
        let dies_at_first = |_: &Arc<Entry>, beginning: Beginning| {
            let first = delays.lock().expect("no panic").is_empty();
            delays.lock().expect("no panic").push(beginning.first - now);
            async move {
                assert!(!first, "the first one dies");
                pending::<()>().await;
            }
        };
        let mut samplers = Samplers::new(dies_at_first);
        samplers.follow(&board(&["a"], None));
        samplers.tend().await;
        assert!(timeout(Duration::from_secs(1), samplers.tend()).await.is_err(), "the second one lives");
        assert_eq!(*delays.lock().expect("no panic"), [Duration::ZERO, RESTART]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_board_keeps_what_did_not_change() {
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
        assert_eq!(started.lock().expect("no panic").len(), 3, "and is no death");
    }

    /// Remembers when it was probed.
    struct Remembers(Arc<Mutex<Vec<Instant>>>);

    #[async_trait::async_trait]
    impl Check for Remembers {
        async fn probe(&self) -> Result<Observation, Failure> {
            self.0.lock().expect("no panic").push(Instant::now());
            Ok(Observation::pass())
        }
    }

    /// A board with `count` components of one policy, and the moments at which they are probed.
    fn remembering(count: u32, policy: &Policy) -> (Arc<Board>, Arc<Mutex<Vec<Instant>>>) {
        let probes = Arc::default();
        let components = (0..count).map(|n| {
            let name: CheckName = format!("c{n}").parse().expect("a name");
            (name.clone(), Component::new(name, "custom", policy.clone(), Arc::new(Remembers(Arc::clone(&probes)))))
        });
        (Arc::new(Board::new(components.collect(), &BTreeMap::new(), Service::default(), false, None)), probes)
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stall_everything_is_probed_once() {
        for interval in [Duration::from_secs(1), Duration::from_secs(3600)] {
            let (board, probes) = remembering(3, &Policy { interval, jitter: 0.0, ..Policy::default() });
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
    async fn very_many_do_not_come_in_waves() {
        const CROWD: u32 = 200;
        let (board, probes) = remembering(CROWD, &Policy::default());
        let (_boards, boards) = watch::channel(Arc::clone(&board));
        let began = Instant::now();
        let mut engine = pin!(supervise(boards, Arc::default(), 7));
        let half = Duration::from_secs(30);
        assert!(timeout(half, &mut engine).await.is_err(), "it runs until it is dropped");
        // All are probed on request, and do not go in step after it.
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
