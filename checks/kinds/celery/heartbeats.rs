//! The heartbeats of workers, which they send as events, and what their numbers say.

use super::pidbox::{Inspection, MAX_NAME_BYTES, MAX_WORKERS};
use crate::contract::{Failure, TimeSpan};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// A heartbeat is recent for this many intervals of the worker.
const FRESH_INTERVALS: u32 = 5;
/// A heartbeat is recent for at least this long.
const MIN_FRESH_TIME: Duration = Duration::from_secs(10);

/// Longer intervals count as this.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// The last heartbeat of each worker. Heartbeats are recorded as they arrive, also between probes, so that their age is known.
#[derive(Default)]
pub(super) struct Heartbeats {
    workers: Mutex<BTreeMap<String, KnownWorker>>,
    /// Wakes a probe that waits for heartbeats.
    arrived: Notify,
}

#[derive(Default)]
struct KnownWorker {
    /// The last heartbeat, and for how long it is recent.
    beat: Option<(Instant, Duration)>,
    /// What the worker consumed when it last replied.
    queues: BTreeSet<String>,
    /// The number of tasks that it has started.
    started: Option<u64>,
    /// That number at the last probe.
    started_before: Option<u64>,
    /// Since when it has had reserved tasks and started none.
    waiting_since: Option<Instant>,
    /// When it was asked for its reserved tasks and did not say that there are none.
    asked: Option<Instant>,
}

impl KnownWorker {
    fn is_fresh(&self, now: Instant) -> bool {
        self.beat.is_some_and(|(at, fresh)| now.duration_since(at) < fresh)
    }
}

/// An event of a worker: <https://docs.celeryq.dev/en/stable/userguide/monitoring.html#worker-events>.
#[derive(Deserialize)]
struct Event {
    r#type: String,
    hostname: String,
    /// Seconds between two heartbeats.
    freq: Option<f64>,
    /// The number of tasks that the worker has started.
    processed: Option<u64>,
}

impl Heartbeats {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, KnownWorker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an event of a worker. Ignores anything else.
    pub(super) fn record(&self, body: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Event>(body) else { return };
        if event.hostname.len() > MAX_NAME_BYTES {
            return;
        }
        let mut known = self.lock();
        match event.r#type.as_str() {
            "worker-offline" => {
                known.remove(&event.hostname);
            }
            "worker-heartbeat" | "worker-online" => {
                let every = Duration::try_from_secs_f64(event.freq.unwrap_or_default()).unwrap_or_default().min(MAX_INTERVAL);
                let now = Instant::now();
                if known.len() >= MAX_WORKERS {
                    known.retain(|_, worker| worker.is_fresh(now));
                }
                if known.len() < MAX_WORKERS || known.contains_key(&event.hostname) {
                    let worker = known.entry(event.hostname).or_default();
                    worker.beat = Some((now, (every * FRESH_INTERVALS).max(MIN_FRESH_TIME)));
                    if worker.started != event.processed {
                        worker.started = event.processed;
                        worker.waiting_since = None;
                        worker.asked = None;
                    }
                }
            }
            _ => return,
        }
        drop(known);
        self.arrived.notify_waiters();
    }

    /// Waits until the workers with a recent heartbeat are enough, or until the deadline.
    pub(super) async fn wait_until(&self, deadline: Instant, is_enough: impl Fn(&BTreeSet<String>) -> bool) {
        let waited = async {
            loop {
                let mut arrived = std::pin::pin!(self.arrived.notified());
                // A heartbeat between the look and the wait counts.
                arrived.as_mut().enable();
                if is_enough(&self.fresh()) {
                    return;
                }
                arrived.await;
            }
        };
        // At the deadline, the heartbeats so far decide.
        let _ = timeout_at(deadline, waited).await;
    }

    fn fresh(&self) -> BTreeSet<String> {
        let now = Instant::now();
        self.lock().iter().filter(|(_, worker)| worker.is_fresh(now)).map(|(name, _)| name.clone()).collect()
    }

    /// The workers to ask for their reserved tasks: those that have started no task since the last probe. One that has some, or did not reply,
    /// is asked only twice within `limit`: its reply contains the arguments of all tasks.
    pub(super) fn to_ask(&self, limit: TimeSpan) -> BTreeSet<String> {
        let (mut known, now, mut idle) = (self.lock(), Instant::now(), BTreeSet::new());
        for (name, worker) in known.iter_mut().filter(|(_, worker)| worker.is_fresh(now)) {
            let is_idle = worker.started.is_some() && worker.started == worker.started_before;
            if is_idle && worker.asked.is_none_or(|asked| now.duration_since(asked) >= limit.0 / 2) {
                worker.asked = Some(now);
                idle.insert(name.clone());
            }
            worker.started_before = worker.started;
        }
        idle
    }

    /// Records which of the asked workers have reserved tasks. Returns those that have had some for `limit`, by their heartbeats, and started
    /// none meanwhile.
    pub(super) fn stuck(&self, inspection: &Inspection, limit: TimeSpan) -> BTreeSet<String> {
        let (mut known, now) = (self.lock(), Instant::now());
        for (name, reserved) in &inspection.reserved {
            let Some(worker) = known.get_mut(name) else { continue };
            if *reserved == 0 {
                (worker.waiting_since, worker.asked) = (None, None);
            } else {
                worker.waiting_since.get_or_insert(now);
            }
        }
        // The number of started tasks is known as of the last heartbeat, not as of now.
        let is_stuck = |worker: &KnownWorker| {
            let waiting = worker.waiting_since.zip(worker.beat);
            worker.is_fresh(now) && waiting.is_some_and(|(since, (beat, _))| beat.duration_since(since) >= limit.0)
        };
        known.iter().filter(|(_, worker)| is_stuck(worker)).map(|(name, _)| name.clone()).collect()
    }

    /// Remembers what the workers that replied consume. Returns the workers with a recent heartbeat that did not reply.
    pub(super) fn silent(&self, inspection: &Inspection) -> BTreeMap<String, BTreeSet<String>> {
        let (mut known, now) = (self.lock(), Instant::now());
        known.retain(|_, worker| worker.is_fresh(now));
        for (name, queues) in &inspection.replies {
            if let Some(worker) = known.get_mut(name) {
                worker.queues.clone_from(queues);
            }
        }
        let silent = known.iter().filter(|(name, _)| !inspection.replies.contains_key(*name));
        silent.map(|(name, worker)| (name.clone(), worker.queues.clone())).collect()
    }
}

/// The failure when heartbeats are needed and the rights forbid them.
pub(super) fn forbidden() -> Failure {
    Failure::rejected("the user may not receive the heartbeats of workers, which this check needs").reusable_connection()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn inspection() -> Inspection {
        Inspection::new(BTreeSet::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_is_recent_for_five_intervals_and_at_least_ten_seconds() {
        let heartbeats = Heartbeats::default();
        let fresh = || heartbeats.silent(&inspection()).into_keys().collect::<Vec<_>>();
        heartbeats.record(br#"{"type": "worker-heartbeat", "hostname": "often@h", "freq": 0.5}"#);
        heartbeats.record(br#"{"type": "worker-heartbeat", "hostname": "seldom@h", "freq": 10.0}"#);
        heartbeats.record(br#"{"type": "worker-heartbeat", "hostname": "odd@h", "freq": -1e300}"#);
        heartbeats.record(br#"{"type": "task-sent", "hostname": "task@h"}"#);
        advance(Duration::from_secs(9)).await;
        assert_eq!(fresh(), ["odd@h", "often@h", "seldom@h"]);
        advance(Duration::from_secs(2)).await;
        assert_eq!(fresh(), ["seldom@h"]);
        advance(Duration::from_secs(40)).await;
        assert!(fresh().is_empty());
    }

    #[tokio::test]
    async fn a_silent_worker_keeps_its_queues_and_an_offline_worker_is_forgotten() {
        let (heartbeats, mut inspection) = (Heartbeats::default(), inspection());
        for worker in ["a@h", "b@h"] {
            heartbeats.record(format!(r#"{{"type": "worker-online", "hostname": "{worker}", "freq": 2.0}}"#).as_bytes());
        }
        inspection.replies.insert("a@h".to_owned(), BTreeSet::from(["mails".to_owned()]));
        assert_eq!(heartbeats.silent(&inspection).into_keys().collect::<Vec<_>>(), ["b@h"]);
        heartbeats.record(br#"{"type": "worker-offline", "hostname": "b@h"}"#);
        let silent = heartbeats.silent(&Inspection::new(BTreeSet::new()));
        assert_eq!(silent, BTreeMap::from([("a@h".to_owned(), BTreeSet::from(["mails".to_owned()]))]));
    }

    #[test]
    fn invented_workers_fill_no_memory() {
        let heartbeats = Heartbeats::default();
        for number in 0..2000 {
            heartbeats.record(format!(r#"{{"type": "worker-heartbeat", "hostname": "{number}", "freq": 2.0}}"#).as_bytes());
        }
        assert_eq!(heartbeats.lock().len(), MAX_WORKERS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_stuck_when_it_has_reserved_tasks_for_the_limit_and_starts_none() {
        let heartbeats = Heartbeats::default();
        let beat = |started: u64| {
            heartbeats
                .record(format!(r#"{{"type": "worker-heartbeat", "hostname": "a@h", "freq": 2.0, "processed": {started}}}"#).as_bytes());
        };
        let limit = TimeSpan::seconds(6);
        // One probe: whether the worker is asked for its tasks, and whether it is stuck.
        let probe = |reserved: usize| {
            let asked = heartbeats.to_ask(limit);
            let mut inspection = Inspection::new(asked.clone());
            inspection.reserved.extend(asked.iter().map(|worker| (worker.clone(), reserved)));
            (!asked.is_empty(), !heartbeats.stuck(&inspection, limit).is_empty())
        };
        assert_eq!(probe(1), (false, false), "no heartbeat is known");
        beat(7);
        assert_eq!(probe(1), (false, false), "the first one proves nothing");
        assert_eq!(probe(0), (true, false), "it is idle");
        advance(Duration::from_secs(7)).await;
        beat(7);
        assert_eq!(probe(1), (true, false), "a task has just arrived");
        assert_eq!(probe(1), (false, false), "it is not asked all the time");
        advance(Duration::from_secs(3)).await;
        assert_eq!(probe(1), (true, false), "it waits");
        advance(Duration::from_secs(3)).await;
        assert_eq!(probe(1), (true, false), "the last heartbeat is from before");
        beat(7);
        assert_eq!(probe(1), (false, true));
        advance(Duration::from_secs(3)).await;
        assert_eq!(probe(0), (true, false), "the tasks were revoked");
        assert_eq!(probe(1), (true, false), "a task has just arrived");
        advance(Duration::from_secs(6)).await;
        beat(7);
        assert_eq!(probe(1), (true, true));
        beat(8);
        assert_eq!(probe(1), (false, false), "it has started a task");
        assert_eq!(probe(1), (true, false), "the time begins again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_can_wait_for_heartbeats() {
        let heartbeats = Heartbeats::default();
        let deadline = Instant::now() + Duration::from_secs(3);
        heartbeats.wait_until(deadline, |workers| !workers.is_empty()).await;
        assert_eq!(Instant::now(), deadline);
        let waiting = heartbeats.wait_until(deadline + Duration::from_secs(3), |workers| !workers.is_empty());
        let beating = async { heartbeats.record(br#"{"type": "worker-heartbeat", "hostname": "a@h"}"#) };
        tokio::join!(waiting, beating);
        assert_eq!(Instant::now(), deadline);
    }
}
