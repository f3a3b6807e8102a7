//! Connections by AMQP 0-9-1, through lapin: shared by the kinds that speak to `RabbitMQ`.

mod mechanism;

use crate::{
    contract::{ConfigWarning, Failure, FailureClass, InvalidConfig, Observation, Secret},
    wire::{
        address::{self, Address, Dialer, Stream},
        connect::{self, Phases},
        meter::{Meter, Metered},
        tls::{self, Tls, TlsKeys, login_warning},
        url,
    },
};
use async_compat::Compat;
use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_util::{AsyncRead, AsyncWrite, Stream as Ticks};
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    uri::{AMQPScheme, AMQPUri},
};
use mechanism::MechanismGuard;
use std::{
    future::ready,
    io::{self, Read, Write},
    mem,
    net::{Shutdown, SocketAddr, TcpStream as StdStream},
    os::fd::{AsFd, AsRawFd},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};

/// The schemes of this protocol, as people write them.
pub(crate) const SCHEMES: &[&str] = &["amqp", "amqps", "rabbitmq", "pyamqp"];

/// How long the broker has to answer a goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Seconds between heartbeats: a peer that is gone without a word is noticed, and the kept connection with it.
const HEARTBEAT_SECONDS: u16 = 10;

/// The largest frame in bytes: a few lines of JSON are the most that is sent.
const MAX_FRAME_BYTES: u32 = 16 * 1024;

/// The most that is read between two questions: a peer that sends without end must not fill our memory.
const MAX_READ_BYTES: usize = 16 << 20;

/// Where a broker is, and as whom one logs in to which vhost.
pub(crate) struct AmqpBroker {
    uri: AMQPUri,
    /// Without one it is everybody's.
    has_password: bool,
    tls: Option<Tls>,
    dialer: Dialer,
}

impl AmqpBroker {
    /// Reads the URL under `key`, with the keys beside it.
    pub(crate) fn new(
        key: &'static str,
        url: &Secret,
        username: Option<String>,
        password: Option<&Secret>,
        tls: TlsKeys,
    ) -> Result<Self, InvalidConfig> {
        let schemes: Vec<_> = SCHEMES.iter().map(|scheme| (*scheme, if *scheme == "amqps" { "amqps" } else { "amqp" })).collect();
        let mut url = url::parse(key, url, &schemes)?;
        if url.path() == "/" {
            // To the driver this is a vhost without a name; to the users, and to Celery, it is the default one.
            url.set_path("");
        }
        let mut uri: AMQPUri =
            url.as_str().parse().map_err(|_| InvalidConfig::new(key, "not an AMQP URL: write `amqp://user@host:5672/vhost`"))?;
        if let Some(host) = url.host_str() {
            // An address in brackets would silently become `localhost`.
            Address::new(host, 0).host.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        // The driver makes room for 64 frames at once, as large as the broker may ever wish them.
        uri.query.frame_max = Some(uri.query.frame_max.map_or(MAX_FRAME_BYTES, |wished| wished.clamp(4096, MAX_FRAME_BYTES)));
        let has_password = password.is_some() || url.password().is_some();
        if let Some(username) = username {
            uri.authority.userinfo.username = username;
        }
        if let Some(password) = password {
            password.expose().clone_into(&mut uri.authority.userinfo.password);
        }
        let encrypted = uri.scheme == AMQPScheme::AMQPS;
        tls.validate(encrypted, "amqps://")?;
        Ok(Self { uri, has_password, tls: encrypted.then(|| Tls::new(tls)), dialer: Dialer::default() })
    }

    /// What is observed of TLS as `tls_verify`.
    pub(crate) fn tls_verify(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::observed_verify)
    }

    /// The warning about the login; `key` is the URL's. The method `PLAIN` sends the password.
    pub(crate) fn warnings(&self, key: &'static str) -> Vec<ConfigWarning> {
        let tls = self.tls.as_ref().map(Tls::keys);
        login_warning(key, Some(&self.uri.authority.host), self.has_password, tls, "amqps://").into_iter().collect()
    }

    /// Connects and logs in.
    pub(crate) async fn open(&self) -> Result<AmqpConnection, Failure> {
        let address = Address::new(&self.uri.authority.host, self.uri.authority.port);
        let (addresses, resolving) = self.dialer.look_up(&address).await?;
        let mut phases: Phases = resolving.map(|took| ("resolve_ms", took)).into_iter().collect();
        let (stream, socket) = ShutdownOnDrop::of(address::connect(&addresses).await?)?;
        // TLS comes before the driver sees the stream: it can be dropped at any moment then.
        let stream: Stream = match &self.tls {
            Some(tls) => {
                let connected = Instant::now();
                let encrypted = tls.handshake(&address.host, stream).await?;
                phases.push(("tls_ms", connected.elapsed()));
                Box::new(encrypted)
            }
            None => Box::new(stream),
        };
        let connection = handshake(self.uri.clone(), stream, socket).await?;
        Ok(AmqpConnection { phases, ..connection })
    }
}

/// A connection and its socket, which is shut down with it: only that ends the driver's thread when the peer is silent.
pub(crate) struct AmqpConnection {
    pub(crate) connection: Connection,
    /// The broker's version, where it tells one.
    #[cfg_attr(not(feature = "rabbitmq"), expect(dead_code, reason = "only `rabbitmq` tells it"))]
    pub(crate) server_version: Option<String>,
    phases: Phases,
    meter: Meter,
    _socket: ShutdownOnDrop,
}

impl AmqpConnection {
    /// Allows for one more answer. To be called before each question.
    pub(crate) fn refill(&self) {
        self.meter.refill(MAX_READ_BYTES);
    }

    /// How long the phases of the opening took; told once.
    pub(crate) fn take_phases(&mut self) -> Observation {
        connect::phase_values(mem::take(&mut self.phases))
    }

    /// Says goodbye in a task of its own: the driver's thread ends with the answer, and when the peer is silent, with the socket. Channels
    /// and their consumers end with the connection: one that is dropped before would say a goodbye of its own, and break into this one.
    pub(crate) fn hang_up(self, channels: impl Send + 'static) {
        tokio::spawn(async move {
            let _ = timeout(CLOSE_TIMEOUT, self.connection.close(200, "".into())).await;
            // Named as a whole: else the socket would stay outside of this task, and end before the goodbye.
            drop((self, channels));
        });
    }
}

/// A second handle of a socket, which shuts it down when dropped.
struct ShutdownOnDrop(StdStream);

impl ShutdownOnDrop {
    fn of(stream: TcpStream) -> Result<(TcpStream, Self), Failure> {
        let stream = stream.into_std().map_err(Failure::network)?;
        let socket = Self(stream.try_clone().map_err(Failure::network)?);
        Ok((TcpStream::from_std(stream).map_err(Failure::network)?, socket))
    }
}

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        // Fails when the peer was faster, which is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The driver's handshake, in a task of its own: dropped in the middle it would leave a thread, a descriptor and a task behind for ever.
/// When the probe is dropped instead, `socket` goes with it, and the handshake ends by its own error.
async fn handshake(uri: AMQPUri, stream: Stream, socket: ShutdownOnDrop) -> Result<AmqpConnection, Failure> {
    let meter = Meter::new(MAX_READ_BYTES);
    let mechanism = uri.query.auth_mechanism.unwrap_or_default().name();
    let stream: Stream = Box::new(MechanismGuard::new(stream, mechanism));
    let stream = AsyncTcpStream::Plain(Compat::new(Metered::new(stream, meter.clone())));
    let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), DriverReactor(Tokio::current())));
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
    let connection = handshake.await.map_err(Failure::internal)?.map_err(|error| meter.explain(failure(error)))?;
    let server_version = version(&meter.beginning());
    Ok(AmqpConnection { connection, server_version, phases: Phases::new(), meter, _socket: socket })
}

/// The version in what the broker says first, `Connection.Start`, whose table of properties the driver keeps to itself: a short name, an `S`
/// for a long string, and its length. <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, 4.2.5.
fn version(beginning: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let at = beginning.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let (length, rest) = beginning.get(at..)?.split_first_chunk::<4>()?;
    let version = rest.get(..u32::from_be_bytes(*length).try_into().ok()?)?;
    String::from_utf8(version.to_vec()).ok().filter(|version| version.len() <= 64)
}

/// Lets the driver run on streams of ours: encrypted by us, and measured.
#[derive(Clone, Debug)]
struct DriverReactor(Tokio);

impl Reactor for DriverReactor {
    type TcpStream = Compat<Metered>;
    type Sleep = tokio::time::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Ticks<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        ready(Err(io::Error::other("connections are opened by us")))
    }
}

/// What the broker says of one queue.
#[cfg(feature = "rabbitmq")]
pub(crate) fn queue_failure(name: &str, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Failure::unhealthy(format!("there is no queue {name}")).because(error),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                Failure::rejected(format!("the user may not use the queue {name}")).because(error)
            }
            // An exclusive queue of somebody else's connection.
            AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => {
                Failure::rejected(format!("the queue {name} is exclusive to another connection")).because(error)
            }
            _ => failure(error),
        },
        _ => failure(error),
    }
}

/// By reply code: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>.
pub(crate) fn failure(error: Error) -> Failure {
    let (class, message) = match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => (FailureClass::Rejected, "the credentials are not accepted"),
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if said.get_message().as_str().contains("connection limit (") => {
                (FailureClass::Exhausted, "the server's connection limit is reached")
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                (FailureClass::Rejected, "the vhost does not exist, or the user may not access it")
            }
            AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => (FailureClass::Unhealthy, "the broker closed the connection"),
            AMQPErrorKind::Hard(AMQPHardError::RESOURCEERROR) => (FailureClass::Exhausted, "the broker is out of resources"),
            _ => (FailureClass::Unhealthy, "the broker replied with an error"),
        },
        ErrorKind::IOError(io) if tls::is_tls(&**io) => return tls::failure(error),
        ErrorKind::IOError(io) if mechanism::is_not_offered(io) => {
            (FailureClass::Rejected, "the broker does not offer this login method: try `?auth_mechanism=external` in the URL")
        }
        ErrorKind::IOError(io) => {
            // The driver's word for the end of a stream.
            let kind = if io.kind() == io::ErrorKind::ConnectionAborted { io::ErrorKind::UnexpectedEof } else { io.kind() };
            return Failure::network(io::Error::new(kind, error));
        }
        ErrorKind::MissingHeartbeatError => (FailureClass::Unreachable, "the broker sends no heartbeats"),
        // A channel that nobody opened, too, is the broker's word.
        ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) | ErrorKind::InvalidChannel(_) => {
            (FailureClass::Protocol, "the reply is not AMQP 0-9-1")
        }
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) => {
            (FailureClass::Unreachable, "the connection is closed")
        }
        ErrorKind::ChannelsLimitReached => (FailureClass::Exhausted, "the broker's channel limit is reached"),
        _ => return Failure::internal(error),
    };
    Failure::new(class, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_nobody_opened_is_the_brokers_mistake() {
        assert_eq!(failure(ErrorKind::InvalidChannel(29_184).into()).class(), FailureClass::Protocol);
    }

    #[test]
    fn the_version_is_found_in_the_brokers_first_words() {
        let said = b"\x01\0\0..\x08platformS\0\0\0\x01x\x07versionS\0\0\0\x073.10.28rest";
        assert_eq!(version(said).as_deref(), Some("3.10.28"));
        assert_eq!(version(b"\x07versionS\0\0\0\x09cut"), None);
        assert_eq!(version(b"\x07versionS\xff\xff\xff\xff3"), None);
        assert_eq!(version(b""), None);
    }
}
