//! Connections by RESP, the protocol of Redis and Valkey, through redis-rs: shared by the kinds that speak it.

use crate::{
    contract::{Failure, FailureClass, InvalidConfig, Secret},
    endpoint,
    meter::{Meter, Metered, TOO_LONG},
    net::{Address, Dialer, Stream},
    tls::{self, Tls, TlsKeys},
};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError, ServerErrorKind,
    aio::MultiplexedConnection,
};
use std::io;
use tokio::{net::UnixStream, task::AbortHandle};

/// The schemes of this protocol, by which a URL is recognised as one of it.
pub(crate) const SCHEMES: &[&str] = &["redis", "rediss", "valkey", "valkeys"];

/// As people write it, as the driver knows it.
const KNOWN: &[(&str, &str)] = &[("redis", "redis"), ("rediss", "rediss"), ("valkey", "redis"), ("valkeys", "rediss"), ("unix", "unix")];

/// The longest answer that is read: `INFO` has a few thousand bytes, and a peer that sends without end must not fill our memory.
const ANSWER: usize = 1 << 20;

/// Where a server is, and as whom one logs in to which database.
pub(crate) struct Server {
    info: ConnectionInfo,
    tls: Option<Tls>,
    dialer: Dialer,
}

impl Server {
    /// Reads the URL under `key`, with the keys beside it.
    pub(crate) fn new(
        key: &'static str,
        url: &Secret,
        username: Option<&str>,
        password: Option<&Secret>,
        tls: TlsKeys,
    ) -> Result<Self, InvalidConfig> {
        // `redis+unix://` would lose its `+unix` as if it were a driver's name.
        let written = Secret::new(url.expose().trim().replacen("redis+unix://", "unix://", 1));
        let url = endpoint::parse(key, &written, KNOWN)?;
        let unusable =
            |_: RedisError| InvalidConfig::new(key, "not a Redis URL: write `redis://host:6379/0`, where 0 is a database's number");
        let mut info = url.as_str().into_connection_info().map_err(unusable)?;
        let mut settings = info.redis_settings().clone();
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password.expose());
        }
        info = info.set_redis_settings(settings);
        let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        tls.examine(encrypted, "rediss://")?;
        Ok(Self { info, tls: encrypted.then(|| Tls::new(tls)), dialer: Dialer::default() })
    }

    /// The number of the database.
    #[cfg(feature = "celery")]
    pub(crate) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Connects and logs in.
    #[cfg(feature = "redis")]
    pub(crate) async fn open(&self) -> Result<Link, Failure> {
        let meter = Meter::new(ANSWER);
        self.connect(self.info.redis_settings(), unlimited(), meter).await
    }

    /// Connects and logs in by RESP3, which Redis has had since version 6, and hands on whatever the server says unasked.
    #[cfg(feature = "celery")]
    pub(crate) async fn open_listening(&self, hear: impl Fn(redis::PushInfo) + Send + Sync + 'static) -> Result<Link, Failure> {
        let meter = Meter::new(ANSWER);
        let settings = self.info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
        let filled = meter.clone();
        let listening = unlimited().set_push_sender(move |push| {
            // What was said to its end is not kept by the driver, so it fills no memory.
            filled.refill(ANSWER);
            hear(push);
            Ok::<(), ()>(())
        });
        self.connect(&settings, listening, meter).await
    }

    async fn connect(&self, settings: &RedisConnectionInfo, config: AsyncConnectionConfig, meter: Meter) -> Result<Link, Failure> {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                let stream = tls::open(&self.dialer, &Address::new(host, *port), self.tls.as_ref()).await?;
                log_in(stream, settings, config, meter).await
            }
            ConnectionAddr::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(Failure::network)?;
                log_in(Box::new(stream), settings, config, meter).await
            }
            _ => Err(Failure::internal("an address of another sort")),
        }
    }
}

/// The driver's own limits of 1 s and 500 ms would speak before ours.
fn unlimited() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// The driver's handshake on an open stream.
async fn log_in(stream: Stream, settings: &RedisConnectionInfo, config: AsyncConnectionConfig, meter: Meter) -> Result<Link, Failure> {
    match MultiplexedConnection::new_with_config(settings, Metered::new(stream, meter.clone()), config).await {
        Ok((connection, driver)) => {
            let driver = tokio::spawn(driver).abort_handle();
            Ok(Link { connection, driver, meter })
        }
        // A server without a free slot says so and hangs up, while the driver still sends; it sees only the end.
        Err(_) if meter.beginning().starts_with(b"-ERR max number of clients") => {
            Err(Failure::exhausted("no more connections are allowed there"))
        }
        Err(error) => Err(meter.explain(failure(error))),
    }
}

/// A connection, and the task of the driver's that reads it.
pub struct Link {
    pub(crate) connection: MultiplexedConnection,
    driver: AbortHandle,
    meter: Meter,
}

impl Link {
    /// Allows for one more answer. To be called before each question.
    pub(crate) fn refill(&self) {
        self.meter.refill(ANSWER);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(crate) fn failure(error: RedisError) -> Failure {
    let (class, message) = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            (FailureClass::Rejected, "the credentials are not accepted")
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => (FailureClass::Rejected, "the user may not do that"),
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => (FailureClass::Unhealthy, "the server is loading its data"),
        (ErrorKind::Server(ServerErrorKind::MasterDown), _) => (FailureClass::Unhealthy, "the replica has lost its primary"),
        (ErrorKind::Server(ServerErrorKind::ClusterDown), _) => (FailureClass::Unhealthy, "the cluster is down"),
        (_, Some("OOM")) => (FailureClass::Exhausted, "the server is out of memory"),
        (_, Some("MISCONF")) => (FailureClass::Unhealthy, "the server cannot save its data"),
        (_, Some("ERR")) if error.detail().is_some_and(|detail| detail.contains("max number of clients")) => {
            (FailureClass::Exhausted, "no more connections are allowed there")
        }
        (_, Some("ERR")) if error.detail().is_some_and(|detail| detail.contains("DB index")) => {
            (FailureClass::Rejected, "there is no such database")
        }
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => (FailureClass::Unhealthy, "the server answered with an error"),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => (FailureClass::Protocol, "the answer is not in Redis's protocol"),
        (ErrorKind::RESP3NotSupported, _) => (FailureClass::Unhealthy, "the server is older than Redis 6"),
        (ErrorKind::Io, _) => return network(error),
        _ => return Failure::internal(error),
    };
    Failure::new(class, message).because(error)
}

/// The driver hides the kind of an input or output error inside of its own.
fn network(error: RedisError) -> Failure {
    let kind = match &error {
        error if error.is_connection_refusal() => io::ErrorKind::ConnectionRefused,
        error if error.is_connection_dropped() => io::ErrorKind::ConnectionReset,
        error if error.is_timeout() => io::ErrorKind::TimedOut,
        error if error.to_string().contains(TOO_LONG) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    Failure::network(io::Error::new(kind, error))
}
