//! Celery's remote control over Redis: the lists, sets and channels of kombu.
//!
//! A worker pushes its reply to a list, and a late one would create that list again after we have gone, forever. So the replies go to an
//! exchange of our own, whose only binding is a set that expires; without a binding kombu drops the reply. The list expires later than the
//! binding, and always contains a placeholder, because an empty list loses its expiry. Each command creates both again, in one transaction.

use super::pidbox::{COMMAND_EXCHANGE, CONTENT_TYPE, EVENT_EXCHANGE, Heartbeats, Inspection, Requirements, WorkerReply, unique};
use crate::{
    contract::Failure,
    wire::resp::{self, RespConnection, RespServer},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use redis::{PushInfo, PushKind, RedisError, RedisResult, Value};
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Separates the parts of a binding, and a queue from its priority.
const SEPARATOR: &str = "\x06\x16";

/// A queue is one list for each of these priorities.
const PRIORITIES: [u8; 4] = [0, 3, 6, 9];

/// Seconds that a binding outlives `patience`.
const BINDING_EXTRA_SECONDS: u64 = 10;
/// Seconds that the list of replies outlives the binding.
const LIST_EXTRA_SECONDS: u64 = 50;

/// The routing key of replies, on our own exchange.
const ROUTE: &str = "reply";

/// The first pause between two looks for replies; each pause is twice as long as the last.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause between two looks for replies.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Number of replies that are read at once.
const PAGE_SIZE: isize = 20;

/// Where this check receives replies. The names belong to the check, not to a connection, so that a very late worker finds a key that is
/// about to expire.
pub(super) struct Mailbox {
    /// `amq.`: kombu takes such an exchange for one of the broker, and does not remember it.
    exchange: String,
    list: String,
    binding: String,
    /// All databases of a Redis server share its channels.
    prefix: String,
}

impl Mailbox {
    pub(super) fn new(database: i64) -> Self {
        let id = unique();
        let exchange = format!("amq.allswell.{id}");
        Self { list: format!("allswell.{id}"), binding: format!("_kombu.binding.{exchange}"), exchange, prefix: format!("/{database}.") }
    }
}

/// Connects, and subscribes to heartbeats if the rights permit it.
pub(super) async fn open(server: &RespServer, mailbox: &Mailbox, heartbeats: &Arc<Heartbeats>) -> Result<RespConnection, Failure> {
    let heartbeats = Arc::clone(heartbeats);
    let mut connection = server.open_listening(move |push| record_event(&push, &heartbeats)).await?;
    match connection.connection.psubscribe(format!("{}{EVENT_EXCHANGE}/worker.*", mailbox.prefix)).await {
        Err(error) if error.is_io_error() => Err(refused(error)),
        _ => Ok(connection),
    }
}

/// `pmessage`: the pattern, the channel and the message.
fn record_event(push: &PushInfo, heartbeats: &Heartbeats) {
    if push.kind == PushKind::PMessage
        && let Some(Value::BulkString(published)) = push.data.get(2)
        && let Some(event) = unpack(published)
    {
        heartbeats.record(&event.body);
    }
}

/// Sends the command to all workers, and collects replies until they prove enough.
pub(super) async fn ask(connection: &mut RespConnection, mailbox: &Mailbox, requirements: &Requirements) -> Result<Inspection, Failure> {
    connection.refill();
    let mut inspection = Inspection::new();
    let lasting = requirements.patience.0.as_secs() + BINDING_EXTRA_SECONDS;
    let mut pipe = redis::pipe();
    // All in one round trip. The driver's own transactions do not work if `MULTI` is forbidden.
    pipe.ignore_errors().cmd("MULTI");
    pipe.cmd("DEL").arg(&mailbox.list);
    pipe.cmd("RPUSH").arg(&mailbox.list).arg("");
    pipe.cmd("EXPIRE").arg(&mailbox.list).arg(lasting + LIST_EXTRA_SECONDS);
    pipe.cmd("SADD").arg(&mailbox.binding).arg([ROUTE, "", &mailbox.list].join(SEPARATOR));
    pipe.cmd("EXPIRE").arg(&mailbox.binding).arg(lasting);
    pipe.cmd("PUBLISH").arg(format!("{}{COMMAND_EXCHANGE}", mailbox.prefix)).arg(pack(&inspection.command(
        requirements,
        &mailbox.exchange,
        ROUTE,
    )));
    pipe.cmd("EXEC");
    let asked = pipe.len();
    // After the transaction, because a missing right would undo it.
    for queue in &requirements.counted_queues {
        for priority in PRIORITIES {
            let suffix = if priority == 0 { String::new() } else { format!("{SEPARATOR}{priority}") };
            pipe.cmd("LLEN").arg(format!("{queue}{suffix}"));
        }
    }
    let mut replies: Vec<RedisResult<Value>> = pipe.query_async(&mut connection.connection).await.map_err(refused)?;
    let waits = replies.split_off(asked.min(replies.len()));
    // The first rejection is the reason for those after it.
    let done = replies.into_iter().map(|reply| reply?.extract_error()).collect::<RedisResult<Vec<_>>>().map_err(refused)?;
    let done: Vec<u64> = done.into_iter().last().map(redis::from_redis_value).transpose().map_err(Failure::protocol)?.unwrap_or_default();
    let waits: Vec<_> = waits.into_iter().map(|length| Ok(redis::from_redis_value(length?)?)).collect();
    count(&mut inspection, requirements, &waits)?;
    let listeners = done.last().copied().unwrap_or_default();
    inspection.has_no_listener = listeners == 0;
    if inspection.has_no_listener {
        return Ok(inspection);
    }
    collect(connection, mailbox, requirements, &mut inspection).await?;
    Ok(inspection)
}

/// Reads replies as they arrive. They are pushed to the left, so those read already are at the right, and the placeholder is last.
async fn collect(
    connection: &mut RespConnection,
    mailbox: &Mailbox,
    requirements: &Requirements,
    inspection: &mut Inspection,
) -> Result<(), Failure> {
    let deadline = Inspection::deadline(requirements);
    let (mut read, mut pause) = (1, MIN_PAUSE);
    while !inspection.proves(requirements) && Instant::now() < deadline {
        // The last look is at the deadline, so that everything that has arrived by then counts.
        sleep_until(deadline.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(MAX_PAUSE);
        loop {
            connection.refill();
            let page = redis::cmd("LRANGE").arg(&mailbox.list).arg(-read - PAGE_SIZE).arg(-read - 1).to_owned();
            let page: Vec<Vec<u8>> = page.query_async(&mut connection.connection).await.map_err(refused)?;
            for reply in page.iter().filter_map(|reply| unpack(reply)) {
                inspection.record(&reply, requirements);
            }
            let found = page.len().try_into().unwrap_or(PAGE_SIZE);
            read += found;
            if found < PAGE_SIZE {
                break;
            }
        }
    }
    Ok(())
}

/// Counts the messages in the queues by the lengths of their lists.
fn count(inspection: &mut Inspection, requirements: &Requirements, waits: &[RedisResult<u64>]) -> Result<(), Failure> {
    for (queue, lengths) in requirements.counted_queues.iter().zip(waits.chunks(PRIORITIES.len())) {
        match lengths.iter().try_fold(0, |sum: u64, length| Ok(sum.saturating_add(length.clone()?))) {
            Ok(messages) => {
                inspection.backlog.insert(queue.clone(), messages);
            }
            Err(error) if requirements.limits_backlog => {
                return Err(refused(error).saying(format!("the user may not read the length of the queue {queue}")));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Wraps a message as kombu does.
fn pack(body: &str) -> String {
    json!({
        "body": BASE64_STANDARD.encode(body),
        "content-type": CONTENT_TYPE,
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {
            "delivery_mode": 1,
            "delivery_info": { "exchange": COMMAND_EXCHANGE, "routing_key": "" },
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": unique(),
        },
    })
    .to_string()
}

#[derive(Deserialize)]
struct Wrapping {
    body: String,
    headers: Headers,
    properties: Properties,
}

#[derive(Deserialize)]
struct Headers {
    ticket: Option<String>,
}

#[derive(Deserialize)]
struct Properties {
    body_encoding: Option<String>,
}

/// The message inside kombu's wrapping. An event has no ticket.
fn unpack(message: &[u8]) -> Option<WorkerReply> {
    let Wrapping { body, headers, properties } = serde_json::from_slice(message).ok()?;
    let body = if properties.body_encoding.as_deref() == Some("base64") { BASE64_STANDARD.decode(body).ok()? } else { body.into_bytes() };
    Some(WorkerReply { ticket: headers.ticket, body })
}

/// After the login, a rejection concerns rights, and an end is a truncated reply.
fn refused(error: RedisError) -> Failure {
    match error.code() {
        Some("NOPERM") => Failure::rejected("the user may not send commands to the workers").because(error),
        Some("READONLY") => Failure::unhealthy("the server is a replica, and read-only").because(error),
        _ => resp::failure(error).truncated(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::TimeSpan;

    #[test]
    fn a_packed_message_can_be_unpacked() {
        let reply = unpack(pack("{\"a\": 1}").as_bytes()).expect("a message");
        assert_eq!((reply.ticket, reply.body.as_slice()), (None, b"{\"a\": 1}".as_slice()));
    }

    #[test]
    fn a_message_may_be_plain_and_the_placeholder_is_not_a_message() {
        let plain = unpack(br#"{"body": "{}", "headers": {"ticket": "t"}, "properties": {}}"#).expect("a message");
        assert_eq!((plain.ticket.as_deref(), plain.body.as_slice()), (Some("t"), b"{}".as_slice()));
        assert!(unpack(b"").is_none() && unpack(br#"{"body": 7}"#).is_none());
    }

    #[test]
    fn a_queue_without_the_right_does_not_affect_the_next() {
        let counted_queues = vec!["a".to_owned(), "b".to_owned()];
        let requirements = Requirements {
            workers: Vec::new(),
            min_workers: 1,
            queues: counted_queues.clone(),
            patience: TimeSpan::seconds(1),
            counted_queues,
            limits_backlog: false,
        };
        let forbidden = || Err(RedisError::from((redis::ErrorKind::Extension, "no")));
        let mut lengths: Vec<RedisResult<u64>> = vec![forbidden(), forbidden(), forbidden(), forbidden()];
        lengths.extend([Ok(1), Ok(2), Ok(u64::MAX), Ok(4)]);
        let mut inspection = Inspection::new();
        assert!(count(&mut inspection, &requirements, &lengths).is_ok());
        assert_eq!(inspection.backlog.into_iter().collect::<Vec<_>>(), [("b".to_owned(), u64::MAX)]);
        assert!(count(&mut Inspection::new(), &Requirements { limits_backlog: true, ..requirements }, &lengths).is_err());
    }
}
