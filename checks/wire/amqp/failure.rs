//! Classifies the errors of brokers by reply code and text: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>.
//!
//! A code has several meanings, so that the text decides. The texts are those of `RabbitMQ`: where a text is unknown, the code decides.

use super::mechanism;
use crate::{
    contract::{
        Failure,
        FailureClass::{self, Exhausted, Protocol, Rejected, Unhealthy, Unreachable},
    },
    wire::{
        meter::Meter,
        tls::{self, is_loopback},
    },
};
use lapin::{Error, ErrorKind, uri::AMQPUri};
use std::io;

/// What a broker means: the code, a part of the text (empty for any other text), class and message.
type Row = (u16, &'static str, FailureClass, &'static str);

const LOGIN_REFUSED: &str = "the credentials are not accepted";

/// The first row that matches counts.
const REASONS: &[Row] = &[
    (320, "maintenance mode", Unhealthy, "the node is in maintenance mode"),
    (320, "with reason 'shutdown'", Unhealthy, "the broker is shutting down"),
    (320, "is down", Unhealthy, "the vhost is down"),
    (320, "", Unhealthy, "the broker closed the connection"),
    (403, "", Rejected, LOGIN_REFUSED),
    (506, "", Exhausted, "the broker is out of resources"),
    (530, "user connection limit (", Exhausted, "the user's connection limit is reached"),
    (530, "connection limit (", Exhausted, "the server's connection limit is reached"),
    (530, "maximum allowed user limit of", Exhausted, "the user's channel limit is reached"),
    (530, "number of channels opened", Exhausted, "the broker's channel limit is reached"),
    (530, "' refused for user", Rejected, "the user may not access the vhost"),
    (530, "vhost", Rejected, "the vhost does not exist"),
    (530, "", Rejected, "the broker does not allow this"),
    (540, "", Unhealthy, "the broker does not support what the check asks"),
    (541, "' is down", Unhealthy, "the vhost is down"),
    (541, "", Unhealthy, "the broker has an internal error"),
];

/// The same for errors about one queue; `{}` stands for its name.
#[cfg(feature = "rabbitmq")]
const QUEUE_REASONS: &[Row] = &[
    (403, "", Rejected, "the user may not use the queue {}"),
    (404, "is down or inaccessible", Unhealthy, "the node of the queue {} is down"),
    (404, "process is stopped by supervisor", Unhealthy, "the queue {} has crashed, and the broker has stopped it"),
    (404, "due to timeout", Unhealthy, "the queue {} does not answer the broker"),
    (404, "", Unhealthy, "there is no queue {}"),
    (405, "", Rejected, "the queue {} is exclusive to another connection"),
    (541, "nodedown", Unhealthy, NO_LEADER),
    (541, "noproc", Unhealthy, NO_LEADER),
    (541, "Cannot get a message", Unhealthy, "the queue {} cannot deliver messages"),
];

#[cfg(feature = "rabbitmq")]
const NO_LEADER: &str = "the queue {} has no leader: check that a majority of its nodes is running";

fn reason(rows: &'static [Row], error: &Error) -> Option<&'static Row> {
    let ErrorKind::ProtocolError(said) = error.kind() else { return None };
    let text = said.get_message().as_str();
    rows.iter().find(|(code, part, ..)| *code == said.get_id() && text.contains(part))
}

/// Classifies an error about one queue.
#[cfg(feature = "rabbitmq")]
pub(crate) fn queue_failure(name: &str, error: Error) -> Failure {
    match reason(QUEUE_REASONS, &error) {
        Some((_, _, class, message)) => Failure::new(*class, message.replace("{}", name)).because(error),
        None => failure(error),
    }
}

/// Classifies an error.
pub(crate) fn failure(error: Error) -> Failure {
    if let Some((_, _, class, message)) = reason(REASONS, &error) {
        return Failure::new(*class, *message).because(error);
    }
    let (class, message) = match error.kind() {
        ErrorKind::ProtocolError(_) => (Unhealthy, "the broker replied with an error"),
        ErrorKind::IOError(io) if tls::is_tls(&**io) => return tls::failure(error),
        ErrorKind::IOError(io) => {
            if let Some(message) = mechanism::not_offered(io) {
                return Failure::rejected(message).because(error);
            }
            // The driver reports the end of a stream with this kind.
            let kind = if io.kind() == io::ErrorKind::ConnectionAborted { io::ErrorKind::UnexpectedEof } else { io.kind() };
            return Failure::network(io::Error::new(kind, error));
        }
        ErrorKind::MissingHeartbeatError => (Unreachable, "the broker sends no heartbeats"),
        // An unknown channel number comes from the broker, too.
        ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) | ErrorKind::InvalidChannel(_) => {
            (Protocol, "the reply is not AMQP 0-9-1")
        }
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) => (Unreachable, "the connection is closed"),
        ErrorKind::ChannelsLimitReached => (Exhausted, "the broker's channel limit is reached"),
        _ => return Failure::internal(error),
    };
    Failure::new(class, message).because(error)
}

/// Classifies an error of the handshake, also by the first bytes of the server, which may speak another protocol.
pub(super) fn of_handshake(error: Error, meter: &Meter) -> Failure {
    // <https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html#section-version-negotiation>, and the same with 3 for
    // SASL. A server sends the version that it speaks, and closes the connection.
    const OTHER_PROTOCOLS: [(&[u8], &str); 5] = [
        (b"AMQP\0\x01", "the server speaks AMQP 1.0, not AMQP 0-9-1"),
        (b"AMQP\x03\x01", "the server speaks AMQP 1.0, not AMQP 0-9-1"),
        (b"AMQP", "the server speaks another version of AMQP"),
        (b"HTTP/", "the port speaks HTTP, not AMQP"),
        (b"ERROR\n", "the port speaks STOMP, not AMQP"),
    ];
    let beginning = meter.beginning();
    match OTHER_PROTOCOLS.iter().find(|(bytes, _)| beginning.starts_with(bytes)) {
        Some((_, message)) => Failure::new(Protocol, *message).because(error),
        None => meter.explain(failure(error)),
    }
}

/// The broker has raised an alarm: <https://www.rabbitmq.com/docs/alarms>.
pub(super) fn blocked() -> Failure {
    Failure::exhausted("the broker is short of memory or disk space, and accepts no messages")
}

/// Explains a refused login.
pub(super) fn of_login(failure: Failure, uri: &AMQPUri) -> Failure {
    // <https://www.rabbitmq.com/docs/access-control#loopback-users>: the broker's reply does not say that this is the reason.
    let is_guest = uri.authority.userinfo.username == "guest" && !is_loopback(&uri.authority.host);
    if failure.class() == Rejected && failure.message() == LOGIN_REFUSED && is_guest {
        return failure.saying("the credentials are not accepted: by default, `guest` can log in only from the machine of the broker");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::AMQPError;

    fn said(code: u16, text: &str) -> Error {
        let error = AMQPError::from_id(code, text.into()).unwrap_or_else(|| panic!("{code} is no code of AMQP"));
        ErrorKind::ProtocolError(error).into()
    }

    #[test]
    fn an_unknown_channel_is_a_protocol_error() {
        assert_eq!(failure(ErrorKind::InvalidChannel(29_184).into()).class(), Protocol);
    }

    /// Rows that the real servers of the tests cannot produce, with the texts from `RabbitMQ`'s sources.
    #[test]
    fn each_text_of_the_broker_has_its_reason() {
        for (code, text, class, message) in [
            (320, "CONNECTION_FORCED - vhost 'UAT' is down", Unhealthy, "the vhost is down"),
            (320, "CONNECTION_FORCED - Closed via management plugin", Unhealthy, "the broker closed the connection"),
            (
                530,
                "NOT_ALLOWED - connection refused: node connection limit (100) is reached",
                Exhausted,
                "the server's connection limit is reached",
            ),
            (
                530,
                "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (1)",
                Exhausted,
                "the broker's channel limit is reached",
            ),
            (506, "RESOURCE_ERROR - out of memory", Exhausted, "the broker is out of resources"),
            (504, "CHANNEL_ERROR - expected 'channel.open'", Unhealthy, "the broker replied with an error"),
        ] {
            let failure = failure(said(code, text));
            assert_eq!((failure.class(), failure.message()), (class, message), "{text}");
        }
    }

    #[cfg(feature = "rabbitmq")]
    #[test]
    fn each_text_about_a_queue_has_its_reason() {
        for (code, text, message) in [
            (404, "NOT_FOUND - no queue 'orders' in vhost '/'", "there is no queue orders"),
            (
                404,
                "NOT_FOUND - queue 'orders' in vhost '/' process is stopped by supervisor",
                "the queue orders has crashed, and the broker has stopped it",
            ),
            (
                404,
                "NOT_FOUND - failed to perform operation on queue 'orders' in vhost '/' due to timeout",
                "the queue orders does not answer the broker",
            ),
            (541, "INTERNAL_ERROR - Cannot get a message from queue 'orders': timeout", "the queue orders cannot deliver messages"),
        ] {
            assert_eq!(queue_failure("orders", said(code, text)).message(), message, "{text}");
        }
    }

    #[test]
    fn the_default_user_is_explained_only_if_the_broker_is_another_machine() {
        let explained = |url: &str| {
            let uri = url.parse().expect("a URL");
            of_login(failure(said(403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.")), &uri)
                .message()
                .to_owned()
        };
        assert!(explained("amqp://mq.internal").contains("`guest`"));
        assert_eq!(explained("amqp://localhost"), LOGIN_REFUSED);
        assert_eq!(explained("amqp://app:pw@mq.internal"), LOGIN_REFUSED);
    }
}
