//! Connections by RESP, the protocol of Redis and Valkey, through redis-rs.

pub(crate) mod sentinel;
pub(crate) mod sentinel_url;

use crate::{
    contract::{ConfigWarning, Failure, FailureClass, InvalidConfig, Observation, Secret},
    wire::{
        address::{Address, Dialer, Stream},
        connect::{self, Phases},
        meter::{Meter, Metered, is_too_long},
        tls::{self, Tls, TlsKeys, login_warning},
        url,
    },
};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    RedisError, ServerErrorKind, aio::MultiplexedConnection,
};
use std::{
    collections::BTreeMap,
    io, mem,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::UnixStream, task::AbortHandle};

/// URL schemes of this protocol.
pub(crate) const SCHEMES: &[&str] = &["redis", "rediss", "valkey", "valkeys"];

/// Schemes as users write them, and as the driver knows them.
const DRIVER_SCHEMES: &[(&str, &str)] =
    &[("redis", "redis"), ("rediss", "rediss"), ("valkey", "redis"), ("valkeys", "rediss"), ("unix", "unix")];

/// Maximum size of a reply. `INFO` has a few thousand bytes, and an endless reply must not fill our memory.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// Maximum number of names that are resolved in parallel.
const MAX_DIALERS: usize = 32;

/// A server: its address, login and database.
pub(crate) struct RespServer {
    info: ConnectionInfo,
    tls: Option<Tls>,
    /// By the name that they resolve.
    dialers: Mutex<BTreeMap<String, Arc<Dialer>>>,
}

impl RespServer {
    /// Parses the URL in `key`, and adds the other keys.
    pub(crate) fn new(
        key: &'static str,
        url: &Secret,
        username: Option<&str>,
        password: Option<&Secret>,
        tls: TlsKeys,
    ) -> Result<Self, InvalidConfig> {
        // Otherwise `parse` would remove `+unix` like the name of a driver.
        let written = Secret::new(url.expose().trim().replacen("redis+unix://", "unix://", 1));
        let url = url::parse(key, &written, DRIVER_SCHEMES)?;
        let unusable =
            |_: RedisError| InvalidConfig::new(key, "not a Redis URL: write `redis://host:6379/0`, where 0 is the database number");
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
        tls.validate(encrypted, "rediss://")?;
        Ok(Self { info, tls: encrypted.then(|| Tls::new(tls)), dialers: Mutex::default() })
    }

    /// The observed value `tls_verify`.
    pub(crate) fn tls_verify(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::observed_verify)
    }

    /// The warning about a login at the address of the URL or one of `others`. The protocol has no login method that does not send the
    /// password.
    pub(crate) fn warnings(&self, key: &'static str, has_password: bool, others: &[Address]) -> Vec<ConfigWarning> {
        let address = self.address();
        let hosts = others.iter().chain(&address).map(|address| Some(address.host.as_str()));
        let tls = self.tls.as_ref().map(Tls::keys);
        hosts.chain([None]).find_map(|host| login_warning(key, host, has_password, tls, "rediss://")).into_iter().collect()
    }

    /// Whether the login has a password.
    pub(crate) fn has_password(&self) -> bool {
        self.login().password().is_some()
    }

    /// The number of the database.
    #[cfg(feature = "celery")]
    pub(crate) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Connects and logs in.
    #[cfg(feature = "redis")]
    pub(crate) async fn open(&self) -> Result<RespConnection, Failure> {
        self.connect(self.login(), unlimited(), Meter::new(MAX_REPLY_BYTES)).await
    }

    /// Connects and logs in with RESP3, which Redis has since version 6, and passes push messages to `on_push`.
    #[cfg(feature = "celery")]
    pub(crate) async fn open_listening(
        &self,
        on_push: impl Fn(redis::PushInfo) + Send + Sync + 'static,
    ) -> Result<RespConnection, Failure> {
        let (login, config, meter) = self.listening(on_push);
        self.connect(&login, config, meter).await
    }

    /// The same at the address of another server of the same system.
    #[cfg(feature = "celery")]
    pub(crate) async fn open_listening_at(
        &self,
        address: &Address,
        on_push: impl Fn(redis::PushInfo) + Send + Sync + 'static,
    ) -> Result<RespConnection, Failure> {
        let (login, config, meter) = self.listening(on_push);
        self.connect_to(address, &login, config, meter).await
    }

    #[cfg(feature = "celery")]
    fn listening(&self, on_push: impl Fn(redis::PushInfo) + Send + Sync + 'static) -> (RedisConnectionInfo, AsyncConnectionConfig, Meter) {
        let meter = Meter::new(MAX_REPLY_BYTES);
        let filled = meter.clone();
        let config = unlimited().set_push_sender(move |push| {
            // The driver does not keep complete push messages, so they fill no memory.
            filled.refill(MAX_REPLY_BYTES);
            on_push(push);
            Ok::<(), ()>(())
        });
        (self.login().clone().set_protocol(redis::ProtocolVersion::RESP3), config, meter)
    }

    async fn connect(&self, login: &RedisConnectionInfo, config: AsyncConnectionConfig, meter: Meter) -> Result<RespConnection, Failure> {
        match (self.address(), self.info.addr()) {
            (Some(address), _) => self.connect_to(&address, login, config, meter).await,
            (None, ConnectionAddr::Unix(path)) => {
                let stream = UnixStream::connect(path).await.map_err(Failure::network)?;
                log_in(Box::new(stream), login, config, meter).await
            }
            _ => Err(Failure::internal("another kind of address")),
        }
    }

    async fn connect_to(
        &self,
        address: &Address,
        login: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
        meter: Meter,
    ) -> Result<RespConnection, Failure> {
        let opened = connect::open(&self.dialer(address), address, self.tls.as_ref()).await?;
        let link = log_in(opened.stream, login, config, meter).await?;
        Ok(RespConnection { phases: opened.phases, ..link })
    }

    /// The dialer of a name: a name whose lookup hangs must not delay the others. Beyond [`MAX_DIALERS`] names, the others share one.
    fn dialer(&self, address: &Address) -> Arc<Dialer> {
        let mut dialers = self.dialers.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if dialers.len() < MAX_DIALERS || dialers.contains_key(&address.host) { address.host.as_str() } else { "" };
        Arc::clone(dialers.entry(name.to_owned()).or_default())
    }

    /// Connects to another server of the same system and logs in.
    pub(crate) async fn open_at(&self, address: &Address, login: &RedisConnectionInfo) -> Result<RespConnection, Failure> {
        self.connect_to(address, login, unlimited(), Meter::new(MAX_REPLY_BYTES)).await
    }

    /// The address in the URL; `None` for a Unix socket.
    pub(crate) fn address(&self) -> Option<Address> {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some(Address::new(host, *port)),
            _ => None,
        }
    }

    /// User, password and database.
    pub(crate) fn login(&self) -> &RedisConnectionInfo {
        self.info.redis_settings()
    }
}

/// Turns off the driver's own timeouts of 1 s and 500 ms, which would end before that of the check.
fn unlimited() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// Logs in on an open stream.
async fn log_in(
    stream: Stream,
    login: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
    meter: Meter,
) -> Result<RespConnection, Failure> {
    // Not every user may send the name of the driver (CLIENT SETINFO). Without a password it is sent all the same: nothing else would show whether
    // the server speaks Redis.
    let login = if login.password().is_some() { login.clone().set_skip_set_lib_name() } else { login.clone() };
    match MultiplexedConnection::new_with_config(&login, Metered::new(stream, meter.clone()), config).await {
        Ok((connection, driver)) => {
            let driver = tokio::spawn(driver).abort_handle();
            Ok(RespConnection { connection, driver: DriverTask(driver), meter, phases: Phases::new() })
        }
        Err(error) => match connection_rejection(&meter.beginning()) {
            Some(rejection) => Err(rejection.because(error)),
            None => Err(meter.explain(failure(error))),
        },
    }
}

/// Why a server rejects a client. It closes the connection at once while the driver still sends, so the driver reports only the end.
fn connection_rejection(beginning: &[u8]) -> Option<Failure> {
    if beginning.starts_with(b"-ERR max number of clients") {
        Some(Failure::exhausted("the server's connection limit is reached"))
    } else if beginning.starts_with(b"-DENIED") {
        Some(Failure::rejected("the server is in protected mode: only its own machine may connect"))
    } else {
        None
    }
}

/// A connection, and the task of the driver that reads it.
pub struct RespConnection {
    pub(crate) connection: MultiplexedConnection,
    /// Ends with the connection.
    #[expect(dead_code, reason = "it is held to be dropped")]
    driver: DriverTask,
    meter: Meter,
    phases: Phases,
}

struct DriverTask(AbortHandle);

impl RespConnection {
    /// Allows one more reply. Call it before each command.
    pub(crate) fn refill(&self) {
        self.meter.refill(MAX_REPLY_BYTES);
    }

    /// Allows a reply of up to this size. Call it before a command whose reply may be larger than most.
    #[cfg(feature = "celery")]
    pub(crate) fn refill_to(&self, bytes: usize) {
        self.meter.refill(bytes);
    }

    /// How long the phases of opening took; returned once.
    pub(crate) fn take_phases(&mut self) -> Observation {
        connect::phase_values(mem::take(&mut self.phases))
    }

    /// Sends commands and reads all replies, in one round trip.
    pub(crate) async fn query<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, Failure> {
        self.refill();
        commands.query_async(&mut self.connection).await.map_err(|error| {
            // When the meter is empty, the driver reports only that the connection ended.
            if self.meter.is_empty() {
                Failure::protocol(error).saying(crate::wire::meter::TOO_LONG_MESSAGE)
            } else {
                self.meter.explain(failure(error))
            }
        })
    }
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Classifies an error of the driver by its kind and code. Redis uses the code `ERR` for many errors: for these the text decides.
pub(crate) fn failure(error: RedisError) -> Failure {
    use FailureClass::{Exhausted, Protocol, Rejected, Unhealthy};
    use ServerErrorKind as ServerError;
    let says = |words: &str| error.detail().is_some_and(|detail| detail.contains(words));
    let (class, message) = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => (Rejected, "the credentials are not accepted"),
        (ErrorKind::Server(ServerError::NoPerm), _) => (Rejected, "the user does not have the required permission"),
        (ErrorKind::Server(ServerError::BusyLoading), _) => (Unhealthy, "the server is loading its data"),
        (ErrorKind::Server(ServerError::MasterDown), _) => (Unhealthy, "the replica has lost its primary"),
        (ErrorKind::Server(ServerError::ClusterDown), _) => (Unhealthy, "the cluster is down"),
        (ErrorKind::Server(ServerError::ReadOnly), _) => (Unhealthy, "the server is read-only"),
        (ErrorKind::Server(ServerError::Moved | ServerError::Ask | ServerError::TryAgain), _) => {
            (Unhealthy, "another node of the cluster has the keys")
        }
        (_, Some("OOM")) => (Exhausted, "the server is out of memory"),
        (_, Some("MISCONF")) => (Unhealthy, "the server cannot save its data"),
        (_, Some("NOREPLICAS")) => (Unhealthy, "the server has too few replicas to write"),
        (_, Some("BUSY")) => (Unhealthy, "the server is busy with a script"),
        // The driver drops the code of the reply to SELECT.
        (_, Some("ERR")) if says("Authentication required") => (Rejected, "the credentials are not accepted"),
        (_, Some("ERR")) if says("no permissions") => (Rejected, "the user does not have the required permission"),
        (_, Some("ERR")) if says("max number of clients") => (Exhausted, "the server's connection limit is reached"),
        (_, Some("ERR")) if says("DB index") || says("SELECT is not allowed") => (Rejected, "there is no such database"),
        (_, Some("ERR")) if says("cluster support disabled") => (Unhealthy, "the server is not part of a cluster"),
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => (Unhealthy, "the server replied with an error"),
        (ErrorKind::RESP3NotSupported, _) => (Unhealthy, "the server is older than Redis 6"),
        (ErrorKind::Io, _) => return network(error),
        _ => (Protocol, "the reply is not in the Redis protocol"),
    };
    Failure::new(class, message).because(error)
}

/// Classifies an I/O error, whose kind the driver hides.
fn network(error: RedisError) -> Failure {
    if tls::is_tls(&error) {
        return tls::failure(error);
    }
    let kind = match &error {
        error if error.is_connection_refusal() => io::ErrorKind::ConnectionRefused,
        error if error.is_connection_dropped() => io::ErrorKind::ConnectionReset,
        error if error.is_timeout() => io::ErrorKind::TimedOut,
        error if is_too_long(error) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    Failure::network(io::Error::new(kind, error))
}
