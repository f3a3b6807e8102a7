//! Celery's remote control over `RabbitMQ`: an exclusive queue receives the replies, and disappears with the connection.

use super::{
    heartbeats::{self, Heartbeats},
    naming::NamingKeys,
    pidbox::{CONTENT_TYPE, Inspection, Requirements, WorkerReply, unique},
};
use crate::{
    contract::{Failure, FailureClass, Observation},
    wire::amqp::{AmqpBroker, AmqpConnection, failure},
};
use futures_util::future::{join, ready, try_join, try_join_all};
use lapin::{
    BasicProperties, Channel, Error, ErrorKind,
    message::{Delivery, DeliveryResult},
    options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    sync::mpsc::{Receiver, channel},
    time::timeout_at,
};

/// Maximum number of replies that wait to be read; more are dropped.
const MAX_WAITING_REPLIES: usize = 2000;

/// A connection, and the channels open on it.
pub(super) struct AmqpControl {
    amqp: AmqpConnection,
    /// Receives the replies.
    _taking: Channel,
    /// Sends commands. A missing exchange closes it.
    asking: Channel,
    /// The queue for replies.
    queue: String,
    listening: Listening,
    replies: Receiver<Result<WorkerReply, Failure>>,
    /// Count the messages of the queues, each on its own channel: a missing queue closes it.
    watching: Vec<Channel>,
}

/// Whether heartbeats arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listening {
    Yes,
    /// The exchange does not exist before the first event.
    NotYet,
    /// The right is missing.
    Forbidden,
}

impl AmqpControl {
    pub(super) fn take_phases(&mut self) -> Observation {
        self.amqp.take_phases()
    }

    pub(super) fn hang_up(self) {
        let Self { amqp, _taking: taking, asking, watching, .. } = self;
        amqp.hang_up((taking, asking, watching));
    }
}

/// Connects, and declares the queue for replies. Binds it to the heartbeats, if the rights permit it and workers send any.
pub(super) async fn open(
    broker: &AmqpBroker,
    names: &NamingKeys,
    requirements: &Requirements,
    heartbeats: &Arc<Heartbeats>,
) -> Result<AmqpControl, Failure> {
    let amqp = broker.open().await?;
    let connection = &amqp.connection;
    let (taking, asking) = try_join(connection.create_channel(), connection.create_channel()).await.map_err(refused)?;
    let watching = try_join_all(requirements.counted_queues.iter().map(|_| connection.create_channel())).await.map_err(refused)?;
    let queue = format!("allswell.{}", unique());
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    taking.queue_declare(queue.as_str().into(), own, FieldTable::default()).await.map_err(refused)?;
    let no_ack = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
    let consumer = taking.basic_consume(queue.as_str().into(), "".into(), no_ack, FieldTable::default()).await.map_err(refused)?;
    let (sender, replies) = channel(MAX_WAITING_REPLIES);
    let (heartbeats, event_exchange) = (Arc::clone(heartbeats), names.event_exchange.clone());
    consumer.set_delegate(move |delivery: DeliveryResult| {
        let reply = match delivery {
            Ok(Some(delivery)) if delivery.exchange.as_str() == event_exchange => {
                heartbeats.record(&delivery.data);
                return ready(());
            }
            Ok(Some(delivery)) => Ok(reply(delivery)),
            Ok(None) => Err(Failure::new(FailureClass::Unhealthy, "the broker deleted our queue")),
            Err(error) => Err(refused(error)),
        };
        // If the probe has ended, or far too many replies wait, this one is dropped.
        let _ = sender.try_send(reply);
        ready(())
    });
    let listening = listen(&amqp, names, &queue).await?;
    asking.confirm_select(ConfirmSelectOptions::default()).await.map_err(refused)?;
    Ok(AmqpControl { _taking: taking, asking, queue, listening, replies, watching, amqp })
}

/// Binds the queue to the events of workers about themselves. Without the right, the check goes on without heartbeats. A second binding
/// changes nothing.
async fn listen(amqp: &AmqpConnection, names: &NamingKeys, queue: &str) -> Result<Listening, Failure> {
    let channel = amqp.connection.create_channel().await.map_err(refused)?;
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    match channel.queue_bind(queue.into(), names.event_exchange.as_str().into(), "worker.#".into(), options, arguments).await {
        Ok(()) => Ok(Listening::Yes),
        Err(error) => match soft(&error) {
            Some(AMQPSoftError::NOTFOUND) => Ok(Listening::NotYet),
            Some(_) => Ok(Listening::Forbidden),
            None => Err(refused(error)),
        },
    }
}

/// Sends the commands to the workers, and collects replies until they prove enough.
pub(super) async fn ask(
    control: &mut AmqpControl,
    names: &NamingKeys,
    requirements: &Requirements,
    heartbeats: &Heartbeats,
) -> Result<Inspection, Failure> {
    control.amqp.refill();
    if control.listening == Listening::NotYet {
        control.listening = listen(&control.amqp, names, &control.queue).await?;
    }
    if control.listening == Listening::Forbidden && requirements.needs_heartbeats() {
        return Err(heartbeats::forbidden());
    }
    if !requirements.remote_control {
        let mut inspection = Inspection::default();
        inspection.backlog = backlog(&control.amqp, &mut control.watching, requirements).await?.into_iter().flatten().collect();
        heartbeats.wait_until(Inspection::deadline(requirements), |workers| requirements.are_met_by(workers)).await;
        return Ok(inspection);
    }
    if !control.asking.status().connected() {
        control.asking = control.amqp.connection.create_channel().await.map_err(refused)?;
        control.asking.confirm_select(ConfirmSelectOptions::default()).await.map_err(refused)?;
    }
    let idle = requirements.warn_stuck.map_or_else(BTreeSet::new, |limit| heartbeats.to_ask(limit));
    let mut inspection = Inspection::new(idle);
    // Drop the replies that arrived after the last probe.
    while control.replies.try_recv().is_ok() {}
    let commands = inspection.commands(requirements, "", &control.queue);
    let exchange = names.command_exchange();
    let asked = join(publish(&control.asking, &exchange, &commands), backlog(&control.amqp, &mut control.watching, requirements));
    let (published, backlog) = control.amqp.unless_blocked(asked).await?;
    inspection.has_no_listener = !published?;
    inspection.backlog = backlog?.into_iter().flatten().collect();
    if inspection.has_no_listener {
        return Ok(inspection);
    }
    let collected = timeout_at(Inspection::deadline(requirements), async {
        while !inspection.proves(requirements) {
            match control.replies.recv().await {
                Some(reply) => inspection.record(&reply?, requirements),
                None => return Err(Failure::new(FailureClass::Unreachable, "the connection is closed").truncated()),
            }
        }
        Ok(())
    });
    // A timeout here is not a failure of the broker.
    collected.await.unwrap_or(Ok(()))?;
    Ok(inspection)
}

fn reply(delivery: Delivery) -> WorkerReply {
    let headers = delivery.properties.headers().as_ref();
    let ticket = headers.and_then(|headers| headers.inner().get("ticket")).and_then(|ticket| ticket.as_long_string());
    WorkerReply { ticket: ticket.map(|ticket| String::from_utf8_lossy(ticket.as_bytes()).into_owned()), body: delivery.data }
}

/// Sends the commands; returns whether any mailbox received the first one.
async fn publish(asking: &Channel, exchange: &str, commands: &[String]) -> Result<bool, Failure> {
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_content_encoding("utf-8".into())
        .with_headers(FieldTable::default())
        .with_delivery_mode(1);
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let send = async |command: &String| {
        asking.basic_publish(exchange.into(), "".into(), mandatory, command.as_bytes(), properties.clone()).await?.await
    };
    for command in commands {
        match send(command).await {
            Ok(confirmed) => {
                if confirmed.take_message().is_some() {
                    return Ok(false);
                }
            }
            // The exchange does not exist: no worker has ever listened.
            Err(error) if soft(&error) == Some(AMQPSoftError::NOTFOUND) => return Ok(false),
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(true)
}

/// The number of messages in the queues; `None` for a queue that does not exist.
async fn backlog(
    amqp: &AmqpConnection,
    watching: &mut [Channel],
    requirements: &Requirements,
) -> Result<Vec<Option<(String, u64)>>, Failure> {
    try_join_all(requirements.counted_queues.iter().zip(watching).map(async |(name, channel)| {
        if !channel.status().connected() {
            *channel = amqp.connection.create_channel().await.map_err(refused)?;
        }
        let passive = QueueDeclareOptions::default().passive();
        match channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await {
            Ok(queue) => Ok(Some((name.clone(), queue.message_count().into()))),
            Err(error) if soft(&error).is_some() => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }))
    .await
}

fn soft(error: &Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// After the login, a rejection concerns rights, and an end is a truncated reply.
fn refused(error: Error) -> Failure {
    match soft(&error) {
        Some(AMQPSoftError::ACCESSREFUSED) => Failure::rejected("the user may not send commands to the workers").because(error),
        _ => failure(error).truncated(),
    }
}
