//! The remote control of Celery with any broker: the commands and the replies.

use crate::contract::TimeSpan;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The queue of an app that names none.
pub(super) const DEFAULT_QUEUE: &str = "celery";

/// JSON, as kombu names it.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// Maximum number of workers that are remembered: invented workers must not fill our memory.
pub(super) const MAX_WORKERS: usize = 1000;
/// Maximum length of a worker's name.
pub(super) const MAX_NAME_BYTES: usize = 255;

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
    /// Whether workers are asked. Otherwise their heartbeats must do.
    pub(super) remote_control: bool,
    /// For how long a worker may have reserved tasks and start none.
    pub(super) warn_stuck: Option<TimeSpan>,
}

impl Requirements {
    /// Whether the check needs the heartbeats of workers, and not only for a better verdict.
    pub(super) const fn needs_heartbeats(&self) -> bool {
        !self.remote_control || self.warn_stuck.is_some()
    }

    /// Whether these workers are enough, whatever they consume.
    pub(super) fn are_met_by(&self, workers: &BTreeSet<String>) -> bool {
        workers.len() >= self.min_workers && self.workers.iter().all(|worker| workers.contains(worker))
    }
}

/// A unique id of 16 bytes.
pub(super) fn unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// One command to all workers, and their replies.
#[derive(Default)]
pub(super) struct Inspection {
    ticket: String,
    /// The queues that each worker consumes, of those in the requirements.
    pub(super) replies: BTreeMap<String, BTreeSet<String>>,
    /// The second command, to the workers that started no task since the last probe: how many tasks have they reserved?
    reserved_ticket: String,
    idle: BTreeSet<String>,
    /// The replies to the second command.
    pub(super) reserved: BTreeMap<String, usize>,
    /// Names under which more than one reply arrived.
    pub(super) shared_names: BTreeSet<String>,
    /// Whether a worker replied with a serializer other than JSON.
    pub(super) has_unreadable_reply: bool,
    /// Whether the broker reports that no worker listens.
    pub(super) has_no_listener: bool,
    pub(super) backlog: BTreeMap<String, u64>,
}

impl Inspection {
    /// `idle` are the workers that are asked for their reserved tasks.
    pub(super) fn new(idle: BTreeSet<String>) -> Self {
        Self { ticket: unique(), reserved_ticket: unique(), idle, ..Self::default() }
    }

    /// The commands in JSON: one to all workers, and one to those that may be stuck. A worker that lists its queues is as alive as one that
    /// says `pong`, so one command to all is enough.
    pub(super) fn commands(&self, requirements: &Requirements, reply_exchange: &str, reply_key: &str) -> Vec<String> {
        let command = |method: &str, destination: Option<&BTreeSet<String>>, ticket: &str| {
            json!({
                "method": method,
                "arguments": {},
                "destination": destination,
                "pattern": null,
                "matcher": null,
                "ticket": ticket,
                "reply_to": { "exchange": reply_exchange, "routing_key": reply_key },
            })
            .to_string()
        };
        let method = if requirements.queues.is_empty() { "ping" } else { "active_queues" };
        let reserved = (!self.idle.is_empty()).then(|| command("reserved", Some(&self.idle), &self.reserved_ticket));
        [command(method, None, &self.ticket)].into_iter().chain(reserved).collect()
    }

    /// Until when to wait for replies, counted from when the broker accepted the command.
    pub(super) fn deadline(requirements: &Requirements) -> Instant {
        Instant::now() + requirements.patience.0
    }

    /// Records a reply. Late replies to earlier commands do not count.
    pub(super) fn record(&mut self, reply: &WorkerReply, requirements: &Requirements) {
        match reply.ticket.as_deref() {
            Some(ticket) if *ticket == *self.ticket => match reply.read() {
                Some((worker, content)) if self.replies.len() < MAX_WORKERS => {
                    let mut consumed = consumed(&content, &requirements.queues);
                    if let Some(others) = self.replies.remove(&worker) {
                        self.shared_names.insert(worker.clone());
                        consumed.extend(others);
                    }
                    self.replies.insert(worker, consumed);
                }
                Some(_) => {}
                None => self.has_unreadable_reply = true,
            },
            Some(ticket) if *ticket == *self.reserved_ticket => {
                let reserved = reply.read().and_then(|(worker, tasks)| Some((worker, tasks.as_array()?.len())));
                self.reserved.extend(reserved.filter(|(worker, _)| self.idle.contains(worker)));
            }
            _ => {}
        }
    }

    /// Whether the replies prove everything that is required, and all replies to the second command are there.
    pub(super) fn proves(&self, requirements: &Requirements) -> bool {
        self.replies.len() >= requirements.min_workers
            && requirements.workers.iter().all(|worker| self.replies.contains_key(worker))
            && requirements.queues.iter().all(|queue| self.replies.values().any(|consumed| consumed.contains(queue)))
            && self.idle.iter().all(|worker| self.reserved.contains_key(worker))
    }
}

/// A reply as it arrived.
pub(super) struct WorkerReply {
    pub(super) ticket: Option<String>,
    pub(super) body: Vec<u8>,
}

impl WorkerReply {
    /// The worker that replied, and what it said: `{"celery@host": {"ok": "pong"}}`, `{"celery@host": [{"name": "celery", …}]}`.
    fn read(&self) -> Option<(String, Value)> {
        let Ok(Value::Object(said)) = serde_json::from_slice(&self.body) else { return None };
        said.into_iter().next().filter(|(worker, _)| worker.len() <= MAX_NAME_BYTES)
    }
}

/// Those of the queues that a worker lists as consumed.
fn consumed(content: &Value, queues: &[String]) -> BTreeSet<String> {
    let names: BTreeSet<_> = content.as_array().into_iter().flatten().filter_map(|queue| queue["name"].as_str()).collect();
    queues.iter().filter(|queue| names.contains(queue.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            remote_control: true,
            warn_stuck: None,
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
        let mut inspection = Inspection::new(BTreeSet::new());
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
        let mut inspection = Inspection::new(BTreeSet::new());
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

    #[test]
    fn only_workers_that_may_be_stuck_are_asked_for_their_reserved_tasks() {
        let all = requirements(&[], 1, &[]);
        assert_eq!(Inspection::new(BTreeSet::new()).commands(&all, "", "q").len(), 1);
        let mut inspection = Inspection::new(BTreeSet::from(["a@h".to_owned()]));
        let commands = inspection.commands(&all, "", "q");
        let second: Value = serde_json::from_str(&commands[1]).expect("JSON");
        assert_eq!((&second["method"], &second["destination"]), (&json!("reserved"), &json!(["a@h"])));
        heard(&mut inspection, r#"{"b@h": {"ok": "pong"}}"#);
        assert!(!inspection.proves(&all), "the second reply is still missing");
        let ticket = Some(inspection.reserved_ticket.clone());
        for body in [r#"{"b@h": [{}]}"#, r#"{"a@h": {"error": "no"}}"#, r#"{"a@h": [{"id": "1"}, {"id": "2"}]}"#] {
            inspection.record(&WorkerReply { ticket: ticket.clone(), body: body.into() }, &all);
        }
        assert_eq!(inspection.reserved, BTreeMap::from([("a@h".to_owned(), 2)]));
        assert!(inspection.proves(&all));
    }

    #[test]
    fn workers_with_the_same_name_count_once_with_the_queues_of_all() {
        let mut inspection = Inspection::new(BTreeSet::new());
        for queue in ["mails", "bills"] {
            heard(&mut inspection, &format!(r#"{{"a@h": [{{"name": "{queue}"}}]}}"#));
        }
        assert!(inspection.proves(&requirements(&[], 1, &["mails", "bills"])) && !inspection.proves(&requirements(&[], 2, &[])));
        assert_eq!(inspection.shared_names, BTreeSet::from(["a@h".to_owned()]));
    }

    #[test]
    fn invented_workers_fill_no_memory() {
        let mut inspection = Inspection::new(BTreeSet::new());
        for number in 0..2000 {
            heard(&mut inspection, &format!(r#"{{"{number}": {{"ok": "pong"}}}}"#));
        }
        assert_eq!(inspection.replies.len(), MAX_WORKERS);
    }
}
