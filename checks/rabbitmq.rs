//! `RabbitMQ`, and what else speaks AMQP 0-9-1.

use crate::{
    contract::prelude::*,
    endpoint,
    net::{Address, Dialer},
    tls,
};
use async_compat::Compat;
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, Error, ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::FieldTable,
    uri::{AMQPScheme, AMQPUri},
};
use std::{
    io,
    net::{Shutdown, TcpStream as StdStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// Opens a channel, and asks whether named queues exist. The connection is kept. Needs the right to log in to the vhost, and for queues any
/// right on them; creates nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where, as whom, and which vhost: `amqp://user:password@host:5672/vhost`; `amqps://` for TLS. Without a path: the vhost `/`.
    pub url: Secret,
    /// The user, when it does not stand in `url`.
    pub username: Option<String>,
    /// The password, when it does not stand in `url`; it needs no escaping here.
    pub password: Option<Secret>,
    /// Queues that must exist.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Whether the connection is kept between probes.
    #[serde(default)]
    pub connection: Reuse,
    /// A kept connection is renewed after this time.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// How long the broker has to answer a goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Seconds between heartbeats: a peer that is gone without a word is noticed, and the kept connection with it.
const HEARTBEAT: u16 = 10;

/// A check of one vhost.
pub struct Rabbitmq {
    uri: AMQPUri,
    queues: Vec<String>,
    dialer: Dialer,
    kept: Kept<Link>,
}

impl Backend for Rabbitmq {
    const KIND: &'static str = "rabbitmq";
    const CATEGORY: Category = Category::Queue;
    const EXAMPLE: &'static str = r#"
url = "amqps://app@mq.internal:5671/orders"
password = "${MQ_PASSWORD}"
queues = ["invoices"]
"#;
    const SCHEMES: &'static [&'static str] = &["amqp", "amqps", "rabbitmq", "pyamqp"];
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let schemes: Vec<_> = Self::SCHEMES.iter().map(|scheme| (*scheme, if *scheme == "amqps" { "amqps" } else { "amqp" })).collect();
        let mut url = endpoint::parse(&config.url, &schemes)?;
        if url.path() == "/" {
            // To the driver this is a vhost without a name; to the users, and to Celery, it is the default one.
            url.set_path("");
        }
        let mut uri: AMQPUri =
            url.as_str().parse().map_err(|_| InvalidConfig::new("url", "not an AMQP URL: write `amqp://user@host:5672/vhost`"))?;
        if let Some(host) = url.host_str() {
            // An address in brackets would silently become `localhost`.
            Address::new(host, 0).host.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        if let Some(username) = config.username {
            uri.authority.userinfo.username = username;
        }
        if let Some(password) = &config.password {
            password.expose().clone_into(&mut uri.authority.userinfo.password);
        }
        let kept = Kept::new(config.connection, config.max_connection_age);
        Ok(Self { uri, queues: config.queues, dialer: Dialer::default(), kept })
    }
}

#[async_trait]
impl Check for Rabbitmq {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }
}

#[async_trait]
impl Session for Rabbitmq {
    type Connection = Link;

    async fn open(&self) -> Result<Link, Failure> {
        let authority = &self.uri.authority;
        let stream = self.dialer.connect(&Address::new(&authority.host, authority.port)).await?;
        let (stream, socket) = Socket::of(stream)?;
        // TLS comes before the driver sees the stream: it can be dropped at any moment then.
        let stream = AsyncTcpStream::Plain(Compat::new(stream));
        let stream = match self.uri.scheme {
            AMQPScheme::AMQP => stream,
            AMQPScheme::AMQPS => stream.into_tls(&authority.host, lapin::tcp::TLSConfig::default()).await.map_err(tls::io_failure)?,
        };
        shake_hands(self.uri.clone(), stream, socket).await
    }

    async fn ask(&self, link: &mut Link) -> Result<Observation, Failure> {
        let channel = link.connection.create_channel().await.map_err(failure)?;
        let mut queues = serde_json::Map::new();
        for name in &self.queues {
            let found = channel.queue_declare(name.as_str().into(), QueueDeclareOptions::default().passive(), FieldTable::default()).await;
            let queue = found.map_err(|error| queue_failure(name, error))?;
            let counts = serde_json::json!({ "messages": queue.message_count(), "consumers": queue.consumer_count() });
            queues.insert(name.clone(), counts);
        }
        channel.close(200, "".into()).await.map_err(failure)?;
        Ok(if queues.is_empty() { Observation::pass() } else { Observation::pass().with("queues", queues) })
    }

    async fn hang_up(link: Link) {
        // In a task of its own: the driver's thread ends with the answer, and when the peer is silent, with the socket.
        tokio::spawn(async move {
            let _ = timeout(GOODBYE, link.connection.close(200, "".into())).await;
            // Named as a whole: else the socket would stay outside of this task, and end before the goodbye.
            drop(link);
        });
    }
}

/// A connection and its socket, which is shut down with it: only that ends the driver's thread when the peer is silent.
pub struct Link {
    connection: Connection,
    _socket: Socket,
}

/// A second handle of a socket, which shuts it down when dropped.
struct Socket(StdStream);

impl Socket {
    fn of(stream: TcpStream) -> Result<(TcpStream, Self), Failure> {
        let stream = stream.into_std().map_err(Failure::network)?;
        let socket = Self(stream.try_clone().map_err(Failure::network)?);
        Ok((TcpStream::from_std(stream).map_err(Failure::network)?, socket))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Fails when the peer was faster, which is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The driver's handshake, in a task of its own: dropped in the middle it would leave a thread, a descriptor and a task behind for ever.
/// When the probe is dropped instead, `socket` goes with it, and the handshake ends by its own error.
async fn shake_hands(uri: AMQPUri, stream: AsyncTcpStream<Compat<TcpStream>>, socket: Socket) -> Result<Link, Failure> {
    let runtime = lapin::runtime::default_runtime().map_err(Failure::internal)?;
    let properties = ConnectionProperties::default().with_connection_name("allswell".into());
    let stream = Arc::new(Mutex::new(Some(stream)));
    let handshake = tokio::spawn(Connection::connector(
        uri,
        runtime,
        async move |_, _| {
            stream.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
        },
        properties,
    ));
    let connection = handshake.await.map_err(Failure::internal)?.map_err(failure)?;
    Ok(Link { connection, _socket: socket })
}

fn queue_failure(name: &str, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Failure::unhealthy(format!("there is no queue {name}")).because(error),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                Failure::rejected(format!("the user may not use the queue {name}")).because(error)
            }
            _ => failure(error),
        },
        _ => failure(error),
    }
}

/// By reply code: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>.
fn failure(error: Error) -> Failure {
    let (class, message) = match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => (FailureClass::Rejected, "the credentials are not accepted"),
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if said.get_message().as_str().contains("limit") => {
                (FailureClass::Exhausted, "no more connections are allowed there")
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => (FailureClass::Rejected, "there is no such vhost, or it is not ours"),
            AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => (FailureClass::Unhealthy, "the broker closed the connection"),
            AMQPErrorKind::Hard(AMQPHardError::RESOURCEERROR) => (FailureClass::Exhausted, "the broker is out of resources"),
            _ => (FailureClass::Unhealthy, "the broker answered with an error"),
        },
        ErrorKind::IOError(io) => {
            let kind = if tls::is_tls(&**io) { return Failure::tls(error) } else { io.kind() };
            return Failure::network(io::Error::new(kind, error));
        }
        ErrorKind::MissingHeartbeatError => (FailureClass::Unreachable, "the broker is silent"),
        ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => (FailureClass::Protocol, "the answer is not AMQP 0-9-1"),
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) => {
            (FailureClass::Unreachable, "the connection is closed")
        }
        ErrorKind::ChannelsLimitReached => (FailureClass::Exhausted, "no more channels are allowed there"),
        _ => return Failure::internal(error),
    };
    Failure::new(class, message).because(error)
}
