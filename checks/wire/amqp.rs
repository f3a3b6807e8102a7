//! Connections by AMQP 0-9-1, through lapin, for the kinds that connect to `RabbitMQ`.

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

/// URL schemes of this protocol.
pub(crate) const SCHEMES: &[&str] = &["amqp", "amqps", "rabbitmq", "pyamqp"];

/// How long the broker has to confirm that a connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval of heartbeats. They show when the broker of a kept connection is gone.
const HEARTBEAT_SECONDS: u16 = 10;

/// Maximum frame size. The check sends a few lines of JSON at most.
const MAX_FRAME_BYTES: u32 = 16 * 1024;

/// Maximum number of bytes read between two questions: an endless reply must not fill our memory.
const MAX_READ_BYTES: usize = 16 << 20;

/// A broker: its address, vhost and login.
pub(crate) struct AmqpBroker {
    uri: AMQPUri,
    /// Without a password the login is the default `guest`, which is public.
    has_password: bool,
    tls: Option<Tls>,
    dialer: Dialer,
}

impl AmqpBroker {
    /// Parses the URL in `key`, and adds the other keys.
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
            // The driver reads this as a vhost without a name; users and Celery mean the default vhost.
            url.set_path("");
        }
        let mut uri: AMQPUri =
            url.as_str().parse().map_err(|_| InvalidConfig::new(key, "not an AMQP URL: write `amqp://user@host:5672/vhost`"))?;
        if let Some(host) = url.host_str() {
            // The driver would silently replace an address in brackets by `localhost`.
            Address::new(host, 0).host.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        // The driver allocates 64 frames of the largest size that the broker may use.
        uri.query.frame_max = Some(uri.query.frame_max.map_or(MAX_FRAME_BYTES, |size| size.clamp(4096, MAX_FRAME_BYTES)));
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

    /// The observed value `tls_verify`.
    pub(crate) fn tls_verify(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::observed_verify)
    }

    /// The warning about the login, which sends the password; `key` is that of the URL.
    pub(crate) fn warnings(&self, key: &'static str) -> Vec<ConfigWarning> {
        let tls = self.tls.as_ref().map(Tls::keys);
        login_warning(key, Some(&self.uri.authority.host), self.has_password, tls, "amqps://").into_iter().collect()
    }

    /// Connects and logs in.
    pub(crate) async fn open(&self) -> Result<AmqpConnection, Failure> {
        let address = Address::new(&self.uri.authority.host, self.uri.authority.port);
        let (addresses, resolving) = self.dialer.look_up(&address).await?;
        let mut phases: Phases = resolving.map(|took| ("resolve_ms", took)).into_iter().collect();
        let (stream, socket) = ShutdownOnDrop::from_stream(address::connect(&addresses).await?)?;
        // TLS is set up before the driver gets the stream, so that the probe can be dropped at any moment.
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

/// A connection and its socket. Shutting down the socket is the only way to end the driver's thread when the broker is silent.
pub(crate) struct AmqpConnection {
    pub(crate) connection: Connection,
    /// The version of the broker, if it reports one.
    #[cfg_attr(not(feature = "rabbitmq"), expect(dead_code, reason = "only `rabbitmq` observes it"))]
    pub(crate) server_version: Option<String>,
    phases: Phases,
    meter: Meter,
    _socket: ShutdownOnDrop,
}

impl AmqpConnection {
    /// Allows one more reply. Call it before each question.
    pub(crate) fn refill(&self) {
        self.meter.refill(MAX_READ_BYTES);
    }

    /// How long the phases of opening took; returned once.
    pub(crate) fn take_phases(&mut self) -> Observation {
        connect::phase_values(mem::take(&mut self.phases))
    }

    /// Closes the connection in a task of its own. The driver's thread ends with the broker's confirmation, or with the socket when the
    /// broker is silent. `channels` end with the connection: dropped earlier, each would close itself in the middle of this.
    pub(crate) fn hang_up(self, channels: impl Send + 'static) {
        tokio::spawn(async move {
            let _ = timeout(CLOSE_TIMEOUT, self.connection.close(200, "".into())).await;
            // Moves all of `self`, including the socket, into this task: otherwise the socket would be shut down first.
            drop((self, channels));
        });
    }
}

/// A second handle of a socket that shuts it down when dropped.
struct ShutdownOnDrop(StdStream);

impl ShutdownOnDrop {
    fn from_stream(stream: TcpStream) -> Result<(TcpStream, Self), Failure> {
        let stream = stream.into_std().map_err(Failure::network)?;
        let socket = Self(stream.try_clone().map_err(Failure::network)?);
        Ok((TcpStream::from_std(stream).map_err(Failure::network)?, socket))
    }
}

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        // Fails if the broker has closed the socket already, which is just as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Runs the driver's handshake in a task: dropped in the middle, it would leave a thread, a descriptor and a task behind forever. If the
/// probe is dropped instead, `socket` goes with it, and the handshake fails on its own.
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

/// Reads the version from `Connection.Start`, whose table of properties the driver does not return: a short name, an `S` for a long string,
/// and its length. <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, 4.2.5.
fn version(beginning: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let at = beginning.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let (length, rest) = beginning.get(at..)?.split_first_chunk::<4>()?;
    let version = rest.get(..u32::from_be_bytes(*length).try_into().ok()?)?;
    String::from_utf8(version.to_vec()).ok().filter(|version| version.len() <= 64)
}

/// Lets the driver run on our own stream, which is encrypted and metered.
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
        ready(Err(io::Error::other("allswell opens the connections")))
    }
}

/// Classifies an error about one queue.
#[cfg(feature = "rabbitmq")]
pub(crate) fn queue_failure(name: &str, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Failure::unhealthy(format!("there is no queue {name}")).because(error),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                Failure::rejected(format!("the user may not use the queue {name}")).because(error)
            }
            // An exclusive queue of another connection.
            AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => {
                Failure::rejected(format!("the queue {name} is exclusive to another connection")).because(error)
            }
            _ => failure(error),
        },
        _ => failure(error),
    }
}

/// Classifies an error by its reply code: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>. The code for a connection limit is
/// that for a missing vhost: there the text decides.
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
            // The driver reports the end of a stream with this kind.
            let kind = if io.kind() == io::ErrorKind::ConnectionAborted { io::ErrorKind::UnexpectedEof } else { io.kind() };
            return Failure::network(io::Error::new(kind, error));
        }
        ErrorKind::MissingHeartbeatError => (FailureClass::Unreachable, "the broker sends no heartbeats"),
        // An unknown channel number comes from the broker, too.
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
    fn an_unknown_channel_is_a_protocol_error() {
        assert_eq!(failure(ErrorKind::InvalidChannel(29_184).into()).class(), FailureClass::Protocol);
    }

    #[test]
    fn the_version_is_read_from_the_first_bytes() {
        let said = b"\x01\0\0..\x08platformS\0\0\0\x01x\x07versionS\0\0\0\x073.10.28rest";
        assert_eq!(version(said).as_deref(), Some("3.10.28"));
        assert_eq!(version(b"\x07versionS\0\0\0\x09cut"), None);
        assert_eq!(version(b"\x07versionS\xff\xff\xff\xff3"), None);
        assert_eq!(version(b""), None);
    }
}
