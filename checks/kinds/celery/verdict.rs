//! What the replies and heartbeats of workers mean.

use super::{Celery, broker::Broker, pidbox::Inspection};
use crate::contract::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Workers, and the queues that each consumes.
type Workers = BTreeMap<String, BTreeSet<String>>;

impl Celery {
    /// Judges what was seen on a broker.
    pub(super) fn judge(&self, broker: &Broker, seen: Observation, mut inspection: Inspection) -> Result<Observation, Failure> {
        let requirements = &self.requirements;
        let stuck = requirements.warn_stuck.map(|limit| (broker.heartbeats.stuck(&inspection, limit), limit));
        let mut silent = broker.heartbeats.silent(&inspection);
        if !requirements.remote_control {
            inspection.replies = std::mem::take(&mut silent);
        }
        let replied = &inspection.replies;
        let consumers = |queue: &String, workers: &Workers| -> Vec<String> {
            workers.iter().filter(|(_, queues)| queues.contains(queue)).map(|(worker, _)| worker.clone()).collect()
        };
        let (mut problems, mut busy) = (Vec::new(), BTreeSet::new());

        let is_empty = replied.is_empty() && silent.is_empty();
        let patience = requirements.patience;
        if is_empty {
            problems.push(self.explain_no_reply(&inspection));
        } else if replied.len() + silent.len() < requirements.min_workers {
            let (number, least) = (replied.len(), requirements.min_workers);
            let noun = if number == 1 { "worker" } else { "workers" };
            problems.push(format!("{number} {noun} replied, fewer than {least}"));
            let shared: Vec<_> = inspection.shared_names.iter().collect();
            if !shared.is_empty() {
                problems.push(format!("several workers share the {}: give each its own", listed("name", &shared)));
            }
        } else if replied.len() < requirements.min_workers {
            busy.extend(silent.keys().cloned());
        }
        let missing: Vec<_> = requirements.workers.iter().filter(|worker| !replied.contains_key(*worker)).collect();
        busy.extend(missing.iter().filter(|worker| silent.contains_key(**worker)).map(|worker| (*worker).clone()));
        let gone: Vec<_> = missing.into_iter().filter(|worker| !silent.contains_key(*worker)).collect();
        if !gone.is_empty() {
            problems.push(format!("no {} within {patience} from the {}", self.sign_of_life(), listed("worker", &gone)));
        }
        let unconsumed: Vec<_> = requirements.queues.iter().filter(|queue| consumers(queue, replied).is_empty()).collect();
        busy.extend(unconsumed.iter().flat_map(|queue| consumers(queue, &silent)));
        let unconsumed: Vec<_> = unconsumed.into_iter().filter(|queue| consumers(queue, &silent).is_empty()).collect();
        // Without any worker, this says nothing new.
        if !unconsumed.is_empty() && !is_empty {
            problems.push(format!("no worker consumes the {}", listed("queue", &unconsumed)));
        }
        problems.extend(over(&inspection, self.fail_backlog));

        let workers: BTreeSet<&String> = replied.keys().chain(silent.keys()).collect();
        let queues: BTreeMap<&String, Vec<String>> =
            requirements.queues.iter().map(|queue| (queue, [consumers(queue, replied), consumers(queue, &silent)].concat())).collect();
        let values = [
            ("workers", Some(serde_json::json!(workers))),
            ("queues", (!queues.is_empty()).then(|| serde_json::json!(queues))),
            ("backlog", (!inspection.backlog.is_empty()).then(|| serde_json::json!(inspection.backlog))),
        ];
        let values = values.into_iter().filter_map(|(name, value)| Some((name, value?)));
        if !problems.is_empty() {
            return Err(values.fold(Failure::unhealthy(problems.join("; ")), |failure, (name, value)| failure.with(name, value)));
        }
        let seen = values.fold(seen, |seen, (name, value)| seen.with(name, value));
        let busy: Vec<_> = busy.iter().collect();
        let busy = (!busy.is_empty()).then(|| {
            let workers = listed("worker", &busy);
            if inspection.has_no_listener {
                format!("a recent heartbeat, but no mailbox for the {workers}")
            } else {
                format!("a recent heartbeat, but no reply within {patience} from the {workers}")
            }
        });
        let stuck = stuck.filter(|(workers, _)| !workers.is_empty()).map(|(workers, limit)| {
            let workers: Vec<_> = workers.iter().collect();
            format!("tasks are reserved, but none was started for {limit} by the {}", listed("worker", &workers))
        });
        Ok(busy.into_iter().chain(stuck).chain(over(&inspection, self.warn_backlog)).fold(seen, Observation::warned))
    }

    /// Why no worker replied, as far as the broker knows.
    fn explain_no_reply(&self, inspection: &Inspection) -> String {
        match inspection {
            Inspection { has_no_listener: true, .. } => "no worker replied: none is connected".to_owned(),
            Inspection { has_unreadable_reply: true, .. } => "no worker replied in JSON".to_owned(),
            _ if !self.requirements.remote_control => format!("no worker sent a heartbeat within {}", self.requirements.patience),
            _ => format!("no worker replied within {}", self.requirements.patience),
        }
    }

    /// What a worker must send.
    fn sign_of_life(&self) -> &'static str {
        if self.requirements.remote_control { "reply" } else { "heartbeat" }
    }
}

/// The queues in which more messages wait than the limit.
fn over(inspection: &Inspection, limit: Option<u64>) -> Vec<String> {
    let over =
        inspection.backlog.iter().filter_map(|(queue, waits)| limit.filter(|limit| waits > limit).map(|limit| (queue, waits, limit)));
    over.map(|(queue, waits, limit)| format!("{waits} messages wait in the queue {queue}, more than {limit}")).collect()
}

/// One name, or several with a plural.
fn listed(noun: &str, names: &[&String]) -> String {
    const MAX_LISTED: usize = 10;
    let plural = if names.len() == 1 { "" } else { "s" };
    let first = names.iter().take(MAX_LISTED).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MAX_LISTED);
    if more == 0 { format!("{noun}{plural} {first}") } else { format!("{noun}{plural} {first} and {more} more") }
}
