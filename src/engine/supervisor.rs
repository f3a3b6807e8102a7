//! The supervisor: starts a sampler for every component, starts it again should it ever end, and shows by its own beat that the engine moves.

use super::{
    board::Board,
    entry::Entry,
    pulse::Pulse,
    sampler::{Beginning, announce, sample},
};
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

/// From this silence on, the engine has stood still, and the log says so.
const STALL: Duration = Duration::from_secs(2);

/// Probes what is on the board, and goes on with the next board when there is one. Runs until it is dropped.
pub(crate) async fn supervise(mut boards: watch::Receiver<Arc<Board>>, pulse: Arc<Pulse>, rounds: watch::Receiver<u64>, seed: u64) {
    let start = |entry: &Arc<Entry>, beginning: Beginning| {
        let mut rounds = rounds.clone();
        // The rounds until now were called for others; without this they would start this one at once, whatever the delay.
        rounds.mark_unchanged();
        // Each has a chance of its own, whichever is started first.
        let random = Rng::with_seed(seed ^ BuildHasherDefault::<DefaultHasher>::default().hash_one(&entry.component.name));
        sample(Arc::clone(entry), Arc::clone(&pulse), rounds, beginning, random)
    };
    let mut samplers = Samplers::new(start);
    samplers.follow(&boards.borrow_and_update().clone());
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let still = pulse.since_beat();
                if still > STALL {
                    tracing::warn!(stood_still_ms = u64::try_from(still.as_millis()).unwrap_or(u64::MAX), "the engine stood still");
                }
                pulse.beat();
                // What changes by time alone: a hold that ends, a result that grows too old.
                let board = boards.borrow();
                for entry in board.entries() {
                    announce(entry, &pulse);
                }
                pulse.note(board.verdict());
            }
            Ok(()) = boards.changed() => samplers.follow(&boards.borrow_and_update().clone()),
            () = samplers.tend() => {}
        }
    }
}

/// The first probes begin at once. Very many are spread over a moment, at most a second, so as not to be a burst, and the second ones over the
/// interval, so as not to come in waves from then on; but none sooner than a tenth of it after the first.
fn beginning(now: Instant, index: usize, components: usize) -> Beginning {
    const AT_ONCE: usize = 64;
    const SOONEST: f64 = 0.1;
    if components <= AT_ONCE {
        return Beginning::at(now);
    }
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let place = number(index) / number(components);
    let moment = Duration::from_secs(1).min(Duration::from_millis(components as u64));
    Beginning { first: now + moment.mul_f64(place), part: SOONEST + (1.0 - SOONEST) * place }
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

    /// Ends the samplers of what is not on the board any more, and starts those of what is new there.
    fn follow(&mut self, board: &Board) {
        let wanted: HashSet<*const Entry> = board.entries().iter().map(Arc::as_ptr).collect();
        // Forgotten first, so that their end is no surprise.
        self.running.retain(|_, (entry, task)| {
            let stays = wanted.contains(&Arc::as_ptr(entry));
            if !stays {
                task.abort();
            }
            stays
        });
        let running: HashSet<*const Entry> = self.running.values().map(|(entry, _)| Arc::as_ptr(entry)).collect();
        let new: Vec<_> =
            board.entries().iter().filter(|entry| entry.component.policy.enabled && !running.contains(&Arc::as_ptr(entry))).collect();
        let now = Instant::now();
        for (index, entry) in new.iter().enumerate() {
            self.spawn(entry, beginning(now, index, new.len()));
        }
    }

    /// Waits until a sampler ends, which none should by itself, and starts it again.
    async fn tend(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else { return pending().await };
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        if let Some((entry, _)) = self.running.remove(&id) {
            let component = entry.component.name.as_str();
            let reason = if ended.is_ok() { "it returned" } else { "it panicked" };
            tracing::error!(component, reason, "a sampler ended; it is started again");
            let rest = entry.component.policy.interval.min(RESTART);
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
    use tokio::time::timeout;

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
            started.lock().expect("no panic").push(entry.component.name.to_string());
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

    #[test]
    fn only_very_many_are_spread() {
        let now = Instant::now();
        let of = |index, components| {
            let Beginning { first, part } = beginning(now, index, components);
            (first - now, part)
        };
        assert_eq!(of(63, 64), (Duration::ZERO, 1.0));
        assert_eq!(of(0, 100), (Duration::ZERO, 0.1));
        assert_eq!(of(50, 100), (Duration::from_millis(50), 0.55));
        assert!(of(9_999, 10_000).0 < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn very_many_do_not_come_in_waves() {
        const CROWD: u32 = 200;
        struct Remembers(Arc<Mutex<Vec<Instant>>>);
        #[async_trait::async_trait]
        impl Check for Remembers {
            async fn probe(&self) -> Result<Observation, Failure> {
                self.0.lock().expect("no panic").push(Instant::now());
                Ok(Observation::pass())
            }
        }
        let probes = Arc::default();
        let components = (0..CROWD).map(|n| {
            let name: CheckName = format!("c{n}").parse().expect("a name");
            (name.clone(), Component::new(name, "custom", Policy::default(), Arc::new(Remembers(Arc::clone(&probes)))))
        });
        let board = Board::new(components.collect(), &BTreeMap::new(), Service::default(), false, None);
        let (_boards, board) = watch::channel(Arc::new(board));
        let (call, rounds) = watch::channel(0);
        let began = Instant::now();
        let mut engine = pin!(supervise(board, Arc::default(), rounds, 7));
        let half = Duration::from_secs(30);
        assert!(timeout(half, &mut engine).await.is_err(), "it runs until it is dropped");
        // All are called at once, and do not go in step after it.
        call.send_replace(1);
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
