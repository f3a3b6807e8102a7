//! The remote control of Celery with any broker: the command, the replies, and the heartbeats of workers.

use crate::contract::TimeSpan;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The exchange on which workers receive commands.
pub(super) const COMMAND_EXCHANGE: &str = "celery.pidbox";

/// The exchange to which workers send events.
pub(super) const EVENT_EXCHANGE: &str = "celeryev";

/// JSON, as kombu names it.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// Maximum number of workers that are remembered: invented workers must not fill our memory.
const MAX_WORKERS: usize = 1000;
/// Maximum length of a worker's name.
const MAX_NAME_BYTES: usize = 255;

/// A heartbeat is recent for this many intervals of the worker.
const FRESH_INTERVALS: u32 = 5;
/// A heartbeat is recent for at least this long.
const MIN_FRESH_TIME: Duration = Duration::from_secs(10);

/// Longer intervals count as this.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// What the replies must prove, and how long to wait for them.
#[derive(Clone)]
pub(super) struct Requirements {
    pub(super) workers: Vec<String>,
    pub(super) min_workers: usize,
    pub(super) queues: Vec<String>,
    pub(super) patience: TimeSpan,
    /// Queues whose backlog is counted.
    pub(super) counted_queues: Vec<String>,
    /// Whether the backlog has limits: then it must be readable.
    pub(super) limits_backlog: bool,
}

/// A unique id of 16 bytes.
pub(super) fn unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// One command to all workers, and their replies.
pub(super) struct Inspection {
    pub(super) ticket: String,
    /// The queues that each worker consumes, of those in the requirements.
    pub(super) replies: BTreeMap<String, BTreeSet<String>>,
    /// Whether a worker replied with a serializer other than JSON.
    pub(super) has_unreadable_reply: bool,
    /// Whether the broker reports that no worker listens.
    pub(super) has_no_listener: bool,
    pub(super) backlog: BTreeMap<String, u64>,
}

impl Inspection {
    pub(super) fn new() -> Self {
        Self { ticket: unique(), replies: BTreeMap::new(), has_unreadable_reply: false, has_no_listener: false, backlog: BTreeMap::new() }
    }

    /// The command in JSON. A worker that lists its queues is as alive as one that says `pong`, so one command is enough.
    pub(super) fn command(&self, requirements: &Requirements, reply_exchange: &str, reply_key: &str) -> String {
        json!({
            "method": if requirements.queues.is_empty() { "ping" } else { "active_queues" },
            "arguments": {},
            "destination": null,
            "pattern": null,
            "matcher": null,
            "ticket": self.ticket,
            "reply_to": { "exchange": reply_exchange, "routing_key": reply_key },
        })
        .to_string()
    }

    /// Until when to wait for replies, counted from when the broker accepted the command.
    pub(super) fn deadline(requirements: &Requirements) -> Instant {
        Instant::now() + requirements.patience.0
    }

    /// Records a reply. Late replies to earlier commands do not count.
    pub(super) fn record(&mut self, reply: &WorkerReply, requirements: &Requirements) {
        if reply.ticket.as_deref() != Some(&self.ticket) {
            return;
        }
        match reply.read(&requirements.queues) {
            Some((worker, queues)) if self.replies.len() < MAX_WORKERS => {
                self.replies.insert(worker, queues);
            }
            Some(_) => {}
            None => self.has_unreadable_reply = true,
        }
    }

    /// Whether the replies prove everything that is required.
    pub(super) fn proves(&self, requirements: &Requirements) -> bool {
        self.replies.len() >= requirements.min_workers
            && requirements.workers.iter().all(|worker| self.replies.contains_key(worker))
            && requirements.queues.iter().all(|queue| self.replies.values().any(|consumed| consumed.contains(queue)))
    }
}

/// A reply as it arrived.
pub(super) struct WorkerReply {
    pub(super) ticket: Option<String>,
    pub(super) body: Vec<u8>,
}

impl WorkerReply {
    /// The worker that replied, and which of the queues it consumes: `{"celery@host": {"ok": "pong"}}`, `{"celery@host": [{"name":
    /// "celery", …}]}`.
    fn read(&self, queues: &[String]) -> Option<(String, BTreeSet<String>)> {
        let Ok(Value::Object(said)) = serde_json::from_slice(&self.body) else { return None };
        let (worker, content) = said.into_iter().next().filter(|(worker, _)| worker.len() <= MAX_NAME_BYTES)?;
        let consumed: BTreeSet<_> = content.as_array().into_iter().flatten().filter_map(|queue| queue["name"].as_str()).collect();
        Some((worker, queues.iter().filter(|queue| consumed.contains(queue.as_str())).cloned().collect()))
    }
}

/// The last heartbeat of each worker. Heartbeats are recorded as they arrive, also between probes, so that their age is known.
#[derive(Default)]
pub(super) struct Heartbeats(Mutex<BTreeMap<String, KnownWorker>>);

struct KnownWorker {
    /// The last heartbeat, and for how long it is recent.
    beat: Option<(Instant, Duration)>,
    /// What the worker consumed when it last replied.
    queues: BTreeSet<String>,
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
}

impl Heartbeats {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, KnownWorker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event; what is none is nothing.
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
                    let worker = known.entry(event.hostname).or_insert(KnownWorker { beat: None, queues: BTreeSet::new() });
                    worker.beat = Some((now, (every * FRESH_INTERVALS).max(MIN_FRESH_TIME)));
                }
            }
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn requirements(workers: &[&str], min_workers: usize, queues: &[&str]) -> Requirements {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let patience = TimeSpan::seconds(1);
        Requirements {
            workers: owned(workers),
            min_workers,
            queues: owned(queues),
            patience,
            counted_queues: Vec::new(),
            limits_backlog: false,
        }
    }

    fn heard(inspection: &mut Inspection, body: &str) {
        inspection.record(
            &WorkerReply { ticket: Some(inspection.ticket.clone()), body: body.into() },
            &requirements(&[], 1, &["mails", "bills"]),
        );
    }

    #[test]
    fn replies_prove_the_requirements() {
        let mut inspection = Inspection::new();
        assert!(!inspection.proves(&requirements(&[], 1, &[])));
        heard(&mut inspection, r#"{"a@h": {"ok": "pong"}}"#);
        assert!(
            inspection.proves(&requirements(&["a@h"], 1, &[]))
                && !inspection.proves(&requirements(&["b@h"], 1, &[]))
                && !inspection.proves(&requirements(&[], 2, &[]))
        );
        heard(&mut inspection, r#"{"b@h": [{"name": "mails"}, {"name": "other"}, {"no": 1}]}"#);
        assert!(
            inspection.proves(&requirements(&["b@h"], 2, &["mails"])) && !inspection.proves(&requirements(&[], 1, &["mails", "bills"]))
        );
    }

    #[test]
    fn late_and_unreadable_replies_prove_nothing() {
        let mut inspection = Inspection::new();
        inspection.record(
            &WorkerReply { ticket: Some("another".to_owned()), body: br#"{"a@h": {"ok": "pong"}}"#.into() },
            &requirements(&[], 1, &[]),
        );
        inspection.record(&WorkerReply { ticket: None, body: br#"{"a@h": {"ok": "pong"}}"#.into() }, &requirements(&[], 1, &[]));
        assert!(inspection.replies.is_empty() && !inspection.has_unreadable_reply);
        for strange in ["\u{80}pickle", "[]", "{}", "7"] {
            heard(&mut inspection, strange);
        }
        assert!(inspection.replies.is_empty() && inspection.has_unreadable_reply);
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_is_recent_for_five_intervals_and_at_least_ten_seconds() {
        let heartbeats = Heartbeats::default();
        let fresh = || heartbeats.silent(&Inspection::new()).into_keys().collect::<Vec<_>>();
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
        let (heartbeats, mut inspection) = (Heartbeats::default(), Inspection::new());
        for worker in ["a@h", "b@h"] {
            heartbeats.record(format!(r#"{{"type": "worker-online", "hostname": "{worker}", "freq": 2.0}}"#).as_bytes());
        }
        heard(&mut inspection, r#"{"a@h": [{"name": "mails"}]}"#);
        assert_eq!(heartbeats.silent(&inspection).into_keys().collect::<Vec<_>>(), ["b@h"]);
        heartbeats.record(br#"{"type": "worker-offline", "hostname": "b@h"}"#);
        let silent = heartbeats.silent(&Inspection::new());
        assert_eq!(silent, BTreeMap::from([("a@h".to_owned(), BTreeSet::from(["mails".to_owned()]))]));
    }

    #[test]
    fn invented_workers_fill_no_memory() {
        let (heartbeats, mut inspection) = (Heartbeats::default(), Inspection::new());
        for number in 0..2000 {
            heartbeats.record(format!(r#"{{"type": "worker-heartbeat", "hostname": "{number}", "freq": 2.0}}"#).as_bytes());
            heard(&mut inspection, &format!(r#"{{"{number}": {{"ok": "pong"}}}}"#));
        }
        assert_eq!((heartbeats.lock().len(), inspection.replies.len()), (MAX_WORKERS, MAX_WORKERS));
    }
}
