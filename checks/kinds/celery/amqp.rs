//! Celery's remote control over `RabbitMQ`: an exclusive queue of ours takes the answers, and vanishes with the connection.

use super::pidbox::{COMMAND_EXCHANGE, CONTENT_TYPE, EVENT_EXCHANGE, Heartbeats, Inspection, Requirements, WorkerReply, unique};
use crate::{
    contract::{Failure, FailureClass, Observation},
    wire::amqp::{AmqpBroker, AmqpConnection, failure},
};
use futures_util::{
    StreamExt,
    future::{Either, join, ready, select, try_join, try_join_all},
    stream,
};
use lapin::{
    BasicProperties, Channel, Error, ErrorKind, Event,
    message::{Delivery, DeliveryResult},
    options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use std::{pin::pin, sync::Arc};
use tokio::{
    sync::mpsc::{Receiver, channel},
    time::timeout_at,
};

/// So many answers may wait to be read; what comes beyond is lost.
const MAX_WAITING_REPLIES: usize = 2000;

/// A connection, and what is kept open on it.
pub struct AmqpControl {
    amqp: AmqpConnection,
    /// Takes the answers.
    _taking: Channel,
    /// Asks. An exchange that is missing closes it.
    asking: Channel,
    /// Our queue.
    queue: String,
    /// Whether heartbeats come, or may not.
    listening: bool,
    replies: Receiver<Result<WorkerReply, Failure>>,
    /// Looks at the watched queues, each on a channel of its own: a queue that is missing closes it.
    watching: Vec<Channel>,
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

/// Connects, and opens a queue of ours. Heartbeats are bound to it where the rights allow it and there are any.
pub(super) async fn open(broker: &AmqpBroker, requirements: &Requirements, heartbeats: &Arc<Heartbeats>) -> Result<AmqpControl, Failure> {
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
    let heartbeats = Arc::clone(heartbeats);
    consumer.set_delegate(move |delivery: DeliveryResult| {
        let reply = match delivery {
            Ok(Some(delivery)) if delivery.exchange.as_str() == EVENT_EXCHANGE => {
                heartbeats.record(&delivery.data);
                return ready(());
            }
            Ok(Some(delivery)) => Ok(reply(delivery)),
            Ok(None) => Err(Failure::new(FailureClass::Unhealthy, "the broker deleted our queue")),
            Err(error) => Err(refused(error)),
        };
        // Where nobody reads any more, or far too much has come, it may be lost.
        let _ = sender.try_send(reply);
        ready(())
    });
    let listening = listen(&amqp, &queue).await?;
    asking.confirm_select(ConfirmSelectOptions::default()).await.map_err(refused)?;
    Ok(AmqpControl { _taking: taking, asking, queue, listening, replies, watching, amqp })
}

/// Binds our queue to the workers' events. Before any worker has sent one there is nothing to bind to, and it has to be tried again; where
/// the right is missing, we do without.
async fn listen(amqp: &AmqpConnection, queue: &str) -> Result<bool, Failure> {
    let channel = amqp.connection.create_channel().await.map_err(refused)?;
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    match channel.queue_bind(queue.into(), EVENT_EXCHANGE.into(), "worker.#".into(), options, arguments).await {
        Ok(()) => Ok(true),
        Err(error) => match soft(&error) {
            Some(AMQPSoftError::NOTFOUND) => Ok(false),
            Some(_) => Ok(true),
            None => Err(refused(error)),
        },
    }
}

/// Asks all workers, and collects their answers until nothing more has to be proven.
pub(super) async fn ask(control: &mut AmqpControl, requirements: &Requirements) -> Result<Inspection, Failure> {
    control.amqp.refill();
    if !control.listening {
        control.listening = listen(&control.amqp, &control.queue).await?;
    }
    if !control.asking.status().connected() {
        control.asking = control.amqp.connection.create_channel().await.map_err(refused)?;
        control.asking.confirm_select(ConfirmSelectOptions::default()).await.map_err(refused)?;
    }
    let mut inspection = Inspection::new();
    // Answers that came when enough was proven already.
    while control.replies.try_recv().is_ok() {}
    let mut blocking = pin!(
        (control.amqp.connection.events_listener())
            .filter(|event| ready(matches!(event, Event::ConnectionBlocked(_))))
            .chain(stream::pending())
    );
    if control.amqp.connection.status().blocked() {
        return Err(blocked());
    }
    let command = inspection.command(requirements, "", &control.queue);
    let asked = pin!(join(publish(&control.asking, &command), backlog(&control.amqp, &mut control.watching, requirements)));
    let (published, backlog) = match select(asked, blocking.next()).await {
        Either::Left((answers, _)) => answers,
        // From then on the broker reads nothing of ours.
        Either::Right(_) => return Err(blocked()),
    };
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
    // The end of our patience is no failure of the broker's.
    collected.await.unwrap_or(Ok(()))?;
    Ok(inspection)
}

fn reply(delivery: Delivery) -> WorkerReply {
    let headers = delivery.properties.headers().as_ref();
    let ticket = headers.and_then(|headers| headers.inner().get("ticket")).and_then(|ticket| ticket.as_long_string());
    WorkerReply { ticket: ticket.map(|ticket| String::from_utf8_lossy(ticket.as_bytes()).into_owned()), body: delivery.data }
}

/// Sends a command to all workers; whether there is any mailbox to take it.
async fn publish(asking: &Channel, command: &str) -> Result<bool, Failure> {
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_content_encoding("utf-8".into())
        .with_headers(FieldTable::default())
        .with_delivery_mode(1);
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = async { asking.basic_publish(COMMAND_EXCHANGE.into(), "".into(), mandatory, command.as_bytes(), properties).await?.await };
    match sent.await {
        Ok(confirmed) => Ok(confirmed.take_message().is_none()),
        // No worker has ever listened.
        Err(error) if soft(&error) == Some(AMQPSoftError::NOTFOUND) => Ok(false),
        Err(error) => Err(refused(error)),
    }
}

/// How much waits in the watched queues; nothing is told of one that does not exist.
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

/// After the log-in a refusal is about rights, and an end is one in the middle.
fn refused(error: Error) -> Failure {
    match soft(&error) {
        Some(AMQPSoftError::ACCESSREFUSED) => Failure::rejected("the user may not send commands to the workers").because(error),
        _ => failure(error).truncated(),
    }
}

fn blocked() -> Failure {
    Failure::exhausted("the broker is short of memory or disk space, and accepts no messages")
}
