//! Connections by RESP, the protocol of Redis and Valkey, through redis-rs.

mod failure;
pub(crate) mod sentinel;
pub(crate) mod sentinel_url;
mod url;

use crate::{
    contract::{ConfigWarning, Failure, InvalidConfig, Observation, Secret},
    wire::{
        address::{Address, Dialer, Stream},
        connect::{self, Phases},
        meter::{Meter, Metered, TOO_LONG_MESSAGE},
        tls::{Tls, TlsKeys, login_warning},
    },
};
pub(crate) use failure::failure;
use redis::{AsyncConnectionConfig, ErrorKind, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, aio::MultiplexedConnection};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::UnixStream, task::AbortHandle};
use url::{ServerUrl, Target};
#[cfg(feature = "redis")]
use {crate::wire::optional::PATIENCE, redis::Value, std::pin::pin, tokio::time::timeout};

/// URL schemes of this protocol.
pub(crate) const SCHEMES: &[&str] = &["redis", "rediss", "valkey", "valkeys", "rediscache", "redis-cache", "hiredis"];

/// Maximum size of a reply. `INFO` has a few thousand bytes, and an endless reply must not fill our memory.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// Maximum number of names that are resolved in parallel.
const MAX_DIALERS: usize = 32;

/// A server: its address, login and database.
pub(crate) struct RespServer {
    target: Target,
    login: RedisConnectionInfo,
    tls: Option<Tls>,
    /// The parameter of the URL that says what the certificate must prove, if no key does.
    verify_parameter: Option<&'static str>,
    /// About parts of the URL without effect.
    url_warnings: Vec<ConfigWarning>,
    /// By the name that they resolve.
    dialers: Mutex<BTreeMap<String, Arc<Dialer>>>,
}

impl RespServer {
    /// Parses the URL in `key`, which names one server, and adds the other keys.
    #[cfg(feature = "celery")]
    pub(crate) fn new(
        key: &'static str,
        url: &Secret,
        username: Option<&str>,
        password: Option<&Secret>,
        tls: TlsKeys,
    ) -> Result<Self, InvalidConfig> {
        let server = Self::with_nodes(key, url, username, password, tls)?;
        let others = server.nodes().len().saturating_sub(1);
        if others == 0 { Ok(server) } else { Err(InvalidConfig::new(key, "the URL has several hosts: configure a check for each")) }
    }

    /// Parses the URL in `key`, which may name several servers, and adds the other keys.
    pub(crate) fn with_nodes(
        key: &'static str,
        url: &Secret,
        username: Option<&str>,
        password: Option<&Secret>,
        mut tls: TlsKeys,
    ) -> Result<Self, InvalidConfig> {
        let ServerUrl { target, mut login, tls: url_tls, warnings: mut url_warnings } = ServerUrl::parse(key, url)?;
        let has_user = login.username().is_some();
        login = with_login(login, username, password);
        if has_user && login.password() == Some("") {
            let message = "the URL has a user name and no password: write `redis://:PASSWORD@host` for a password alone";
            url_warnings.push(ConfigWarning::new(key, message));
        }
        let is_encrypted = url_tls.is_some();
        let verify_parameter = url_tls.map(|url_tls| url_tls.merge(&mut tls)).transpose()?.flatten();
        tls.validate(is_encrypted, "rediss://")?;
        let tls = is_encrypted.then(|| Tls::new(tls));
        Ok(Self { target, login, tls, verify_parameter, url_warnings, dialers: Mutex::default() })
    }

    /// The observed value `tls_verify`.
    pub(crate) fn tls_verify(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::observed_verify)
    }

    /// The warnings about the URL, and about a login at one of its addresses or one of `others`. The protocol has no login method that does not
    /// send the password.
    pub(crate) fn warnings(&self, key: &'static str, has_password: bool, others: &[Address]) -> Vec<ConfigWarning> {
        let hosts = others.iter().chain(self.nodes()).map(|address| Some(address.host.as_str()));
        let tls = self.tls.as_ref().map(Tls::keys);
        let login = hosts.chain([None]).find_map(|host| login_warning(key, host, has_password, tls, "rediss://"));
        let login = login.map(|warning| match self.verify_parameter {
            Some(parameter) => ConfigWarning::new(
                key,
                format!("`{parameter}` does not prove which server answers before the login: name its certificate in `tls.ca_file`"),
            ),
            None => warning,
        });
        login.into_iter().chain(self.url_warnings.iter().cloned()).collect()
    }

    /// Whether the login has a password.
    pub(crate) fn has_password(&self) -> bool {
        self.login.password().is_some_and(|password| !password.is_empty())
    }

    /// The number of the database.
    #[cfg(feature = "celery")]
    pub(crate) fn database(&self) -> i64 {
        self.login.db()
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
        match &self.target {
            Target::Hosts(hosts) => match hosts.first() {
                Some(address) => self.connect_to(address, login, config, meter).await,
                None => Err(Failure::internal("a URL without a host")),
            },
            Target::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(Failure::network)?;
                log_in(Box::new(stream), login, config, meter).await
            }
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

    /// All addresses in the URL: none for a Unix socket.
    pub(crate) fn nodes(&self) -> &[Address] {
        match &self.target {
            Target::Hosts(hosts) => hosts,
            Target::Socket(_) => &[],
        }
    }

    /// User, password and database.
    pub(crate) const fn login(&self) -> &RedisConnectionInfo {
        &self.login
    }
}

/// Adds the keys of a login. An empty one counts as not set: it is usually that of a variable that has no value. A user without a password logs
/// in with an empty one, as with redis-py, ioredis and node-redis: the user may need none.
fn with_login(mut login: RedisConnectionInfo, username: Option<&str>, password: Option<&Secret>) -> RedisConnectionInfo {
    if let Some(username) = username.filter(|username| !username.is_empty()) {
        login = login.set_username(username);
    }
    if let Some(password) = password.map(Secret::expose).filter(|password| !password.is_empty()) {
        login = login.set_password(password);
    }
    if login.username().is_some() && login.password().is_none() { login.set_password("") } else { login }
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
    // Not every user may send the name of the driver (CLIENT SETINFO), and twemproxy closes the connection at it.
    let login = login.clone().set_skip_set_lib_name();
    match MultiplexedConnection::new_with_config(&login, Metered::new(stream, meter.clone()), config).await {
        Ok((connection, driver)) => {
            let driver = tokio::spawn(driver).abort_handle();
            Ok(RespConnection {
                connection,
                driver: DriverTask(driver),
                meter,
                phases: Phases::new(),
                #[cfg(feature = "redis")]
                is_dropped: false,
            })
        }
        Err(error) => Err(explain(error, &meter)),
    }
}

/// Classifies an error by what the driver reports and what the server has sent.
fn explain(error: RedisError, meter: &Meter) -> Failure {
    // When the meter is empty, the driver reports only that the connection ended.
    if meter.is_empty() {
        return Failure::protocol(error).saying(TOO_LONG_MESSAGE);
    }
    let hides_reason = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::Io);
    let beginning = meter.beginning();
    let rejection = if hides_reason { failure::rejection(&beginning) } else { None };
    rejection.unwrap_or_else(|| {
        let failed = meter.explain(failure(error));
        if hides_reason && failure::is_foreign(&beginning) { failure::foreign(failed) } else { failed }
    })
}

/// A connection, and the task of the driver that reads it.
pub(crate) struct RespConnection {
    pub(crate) connection: MultiplexedConnection,
    /// Ends with the connection.
    #[expect(dead_code, reason = "it is held to be dropped")]
    driver: DriverTask,
    meter: Meter,
    phases: Phases,
    /// Whether the server has closed it.
    #[cfg(feature = "redis")]
    is_dropped: bool,
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

    /// Whether the server closed the connection while commands were sent or replies were read.
    #[cfg(feature = "redis")]
    pub(crate) const fn is_dropped(&self) -> bool {
        self.is_dropped
    }

    /// Sends commands and reads all replies, in one round trip.
    pub(crate) async fn query<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, Failure> {
        self.refill();
        let result = commands.query_async(&mut self.connection).await;
        result.map_err(|error| self.failed(error))
    }

    /// The same, if the replies to the first commands decide. When the other replies do not come within [`PATIENCE`], or the connection ends before
    /// them, it returns only those to the first `decisive` commands, and the connection must not be used again. No command may be ignored.
    #[cfg(feature = "redis")]
    pub(crate) async fn query_first<T: FromRedisValue>(&mut self, commands: &Pipeline, decisive: usize) -> Result<Vec<T>, Failure> {
        self.refill();
        let mut connection = self.connection.clone();
        let mut all = pin!(commands.query_async(&mut connection));
        loop {
            match timeout(PATIENCE, all.as_mut()).await {
                Ok(Ok(replies)) => return Ok(replies),
                Ok(Err(error)) => return first_replies(&self.meter, decisive).ok_or_else(|| self.failed(error)),
                Err(_) => {
                    if let Some(replies) = first_replies(&self.meter, decisive) {
                        return Ok(replies);
                    }
                }
            }
        }
    }

    /// Classifies an error.
    fn failed(&mut self, error: RedisError) -> Failure {
        #[cfg(feature = "redis")]
        {
            self.is_dropped = !self.meter.is_empty() && failure::is_dropped(&error);
        }
        explain(error, &self.meter)
    }
}

/// The first replies since the last refill, which the driver holds back until it has read all; `None` if there are fewer.
#[cfg(feature = "redis")]
fn first_replies<T: FromRedisValue>(meter: &Meter, number: usize) -> Option<Vec<T>> {
    let recent = meter.recent();
    let (mut parser, mut rest) = (redis::Parser::new(), recent.as_slice());
    let replies: Result<Vec<Value>, RedisError> = (0..number).map(|_| parser.parse_value(&mut rest)).collect();
    redis::from_redis_value(Value::Array(replies.ok()?)).ok()
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
