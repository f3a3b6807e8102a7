//! The questions of the check on one connection.

use crate::{
    contract::prelude::*,
    wire::amqp::{AmqpConnection, failure, queue_failure},
};
use futures_util::future::join;
use lapin::{
    BasicProperties, Channel, Error, ErrorKind, Queue,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};

/// A connection, and the channel of the last probe.
pub struct RabbitmqClient {
    pub(super) amqp: AmqpConnection,
    /// With transactions, if `publishes`.
    pub(super) channel: Channel,
    /// Whether the broker lets the user publish.
    pub(super) publishes: bool,
}

impl RabbitmqClient {
    /// Whether an error says that the user may not publish. It is that of a closing channel if it arrives before the rollback is sent.
    pub(super) fn is_refused(&self, error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::ProtocolError(_))
            || (matches!(error.kind(), ErrorKind::InvalidChannelState(..)) && self.amqp.connection.status().connected())
    }

    /// Opens a new channel if an error has closed the last one.
    pub(super) async fn renew_channel(&mut self) -> Result<(), Failure> {
        if !self.channel.status().connected() {
            self.channel = self.amqp.connection.create_channel().await.map_err(broken)?;
            if self.publishes {
                self.channel.tx_select().await.map_err(broken)?;
            }
        }
        Ok(())
    }

    /// Opens a new channel, which shows that the broker works, and closes the old one in the same round trip. That one goes first, because
    /// the limit may be a single channel.
    pub(super) async fn replace_channel(&mut self) -> Result<(), Failure> {
        let (closed, opened) = join(self.channel.close(200, "".into()), self.amqp.connection.create_channel()).await;
        closed.map_err(broken)?;
        self.channel = match opened {
            // The driver counts the old channel until the broker has confirmed its end.
            Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => self.amqp.connection.create_channel().await,
            opened => opened,
        }
        .map_err(broken)?;
        Ok(())
    }
}

/// Publishes a message, and takes it back before it is routed. A broker with an alarm blocks a connection at the first message, and does not
/// say so earlier.
pub(super) async fn publish_nothing(channel: &Channel) -> Result<(), Error> {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish("".into(), "allswell".into(), options, b"", properties).await?;
    channel.tx_rollback().await
}

/// Reads a queue; returns whether there was a message.
pub(super) async fn read(channel: &Channel, name: &str) -> Result<bool, Error> {
    Ok(channel.basic_get(name.into(), BasicGetOptions::default()).await?.is_some())
}

/// Declares a queue passively: it must exist already.
pub(super) async fn look_at(channel: &Channel, name: &str) -> Result<Queue, Failure> {
    let options = QueueDeclareOptions::default().passive();
    let declared = channel.queue_declare(name.into(), options, FieldTable::default()).await;
    declared.map_err(|error| {
        let failure = queue_failure(name, error).truncated();
        // An error of a queue closes the channel only: the connection can be reused.
        if matches!(failure.class(), FailureClass::Unhealthy | FailureClass::Rejected) { failure.reusable_connection() } else { failure }
    })
}

/// After the login, an end is a truncated reply.
pub(super) fn broken(error: Error) -> Failure {
    failure(error).truncated()
}
