//! Connections by AMQP 0-9-1, through lapin, for the kinds that connect to `RabbitMQ`.

mod failure;
mod mechanism;
mod uri;

use crate::{
    contract::{ConfigWarning, Failure, InvalidConfig, Observation, Secret},
    wire::{
        address::{self, Address, Dialer, Stream},
        connect::{self, Phases},
        meter::{Meter, Metered},
        tls::{Tls, TlsKeys, login_warning},
    },
};
use async_compat::Compat;
use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
pub(crate) use failure::failure;
#[cfg(feature = "rabbitmq")]
pub(crate) use failure::queue_failure;
use futures_util::{
    AsyncRead, AsyncWrite, Stream as Ticks, StreamExt,
    future::{Either, select},
    stream,
};
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, Event,
    uri::{AMQPScheme, AMQPUri},
};
use mechanism::MechanismGuard;
use std::{
    future::ready,
    io::{self, Read, Write},
    mem,
    net::{Shutdown, SocketAddr, TcpStream as StdStream},
    os::fd::{AsFd, AsRawFd},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};
use uri::AmqpUrl;

/// URL schemes of this protocol. Those with an `s` at the end mean TLS.
pub(crate) const SCHEMES: &[&str] = &["amqp", "amqps", "rabbitmq", "rabbitmqs", "pyamqp"];

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
    /// About the URL.
    warnings: Vec<ConfigWarning>,
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
        let AmqpUrl { mut uri, has_password, tls: keys, warnings } = AmqpUrl::parse(key, url, tls)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        // The driver allocates 64 frames of the largest size that the broker may use.
        uri.query.frame_max = Some(MAX_FRAME_BYTES);
        let has_password = has_password || password.is_some();
        if let Some(username) = username {
            uri.authority.userinfo.username = username;
        }
        if let Some(password) = password {
            password.expose().clone_into(&mut uri.authority.userinfo.password);
        }
        let encrypted = uri.scheme == AMQPScheme::AMQPS;
        keys.validate(encrypted, "amqps://")?;
        Ok(Self { uri, has_password, tls: encrypted.then(|| Tls::new(keys)), warnings, dialer: Dialer::default() })
    }

    /// The observed value `tls_verify`.
    pub(crate) fn tls_verify(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::observed_verify)
    }

    /// The warnings about the URL, and about the login, which sends the password; `key` is that of the URL.
    pub(crate) fn warnings(&self, key: &'static str) -> Vec<ConfigWarning> {
        let tls = self.tls.as_ref().map(Tls::keys);
        let login = login_warning(key, Some(&self.uri.authority.host), self.has_password, tls, "amqps://");
        login.into_iter().chain(self.warnings.iter().cloned()).collect()
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
        let connection = handshake(self.uri.clone(), stream, socket).await.map_err(|failure| failure::of_login(failure, &self.uri))?;
        Ok(AmqpConnection { phases, ..connection })
    }
}

/// A connection and its socket. Shutting down the socket is the only way to end the driver's thread when the broker is silent.
pub(crate) struct AmqpConnection {
    pub(crate) connection: Connection,
    /// The version of the broker, if it reports one.
    #[cfg_attr(not(feature = "rabbitmq"), expect(dead_code, reason = "only `rabbitmq` observes it"))]
    pub(crate) server_version: Option<String>,
    /// Whether the broker is `RabbitMQ` itself, and not another one with the same protocol.
    #[cfg_attr(not(feature = "rabbitmq"), expect(dead_code, reason = "only `rabbitmq` asks"))]
    pub(crate) is_rabbitmq: bool,
    phases: Phases,
    meter: Meter,
    _socket: ShutdownOnDrop,
}

impl AmqpConnection {
    /// Allows one more reply. Call it before each question.
    pub(crate) fn refill(&self) {
        self.meter.refill(MAX_READ_BYTES);
    }

    /// Waits for replies, unless the broker blocks publishers: then it reads nothing more from this connection.
    pub(crate) async fn unless_blocked<T>(&self, asked: impl Future<Output = T>) -> Result<T, Failure> {
        let blocking = self.connection.events_listener().filter(|event| ready(matches!(event, Event::ConnectionBlocked(_))));
        let mut blocking = pin!(blocking.chain(stream::pending()));
        if self.connection.status().blocked() {
            return Err(failure::blocked());
        }
        match select(pin!(asked), blocking.next()).await {
            Either::Left((replies, _)) => Ok(replies),
            Either::Right(_) => Err(failure::blocked()),
        }
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
    let connection = handshake.await.map_err(Failure::internal)?.map_err(|error| failure::of_handshake(error, &meter))?;
    let beginning = meter.beginning();
    let server_version = property(&beginning, b"version");
    let is_rabbitmq = property(&beginning, b"product").as_deref() == Some("RabbitMQ");
    Ok(AmqpConnection { connection, server_version, is_rabbitmq, phases: Phases::new(), meter, _socket: socket })
}

/// Reads a text from `Connection.Start`, whose table of properties the driver does not return: a short name, an `S` for a long string, and
/// its length. <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, 4.2.5.
fn property(beginning: &[u8], name: &[u8]) -> Option<String> {
    let name = [&[u8::try_from(name.len()).ok()?], name, b"S"].concat();
    let at = beginning.windows(name.len()).position(|window| window == name)? + name.len();
    let (length, rest) = beginning.get(at..)?.split_first_chunk::<4>()?;
    let text = rest.get(..u32::from_be_bytes(*length).try_into().ok()?)?;
    String::from_utf8(text.to_vec()).ok().filter(|text| text.len() <= 64)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_first_bytes() {
        let said = b"\x01\0\0..\x08platformS\0\0\0\x01x\x07versionS\0\0\0\x073.10.28rest";
        let version = |said: &[u8]| property(said, b"version");
        assert_eq!(version(said).as_deref(), Some("3.10.28"));
        assert_eq!(version(b"\x07versionS\0\0\0\x09cut"), None);
        assert_eq!(version(b"\x07versionS\xff\xff\xff\xff3"), None);
        assert_eq!(version(b""), None);
        assert_eq!(property(said, b"platform").as_deref(), Some("x"));
    }
}
