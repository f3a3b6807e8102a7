//! Redis and Valkey.

use crate::{
    contract::prelude::*,
    endpoint,
    meter::{Meter, Metered, TOO_LONG},
    net::{Address, Dialer, Stream},
    tls,
};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, RedisResult, ServerErrorKind,
    aio::MultiplexedConnection,
};
use std::{collections::HashMap, io};
use tokio::{net::UnixStream, task::AbortHandle};

/// Sends `PING`. The connection is kept; `INFO` travels in the same round trip for what is observed, and may be forbidden.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where and which database: `redis://user:password@host:6379/0`; `rediss://` for TLS; `redis+unix:///path/to/socket`.
    pub url: Secret,
    /// The user, when it does not stand in `url`.
    pub username: Option<String>,
    /// The password, when it does not stand in `url`; it needs no escaping here.
    pub password: Option<Secret>,
    /// Whether the connection is kept between probes.
    #[serde(default)]
    pub connection: Reuse,
    /// A kept connection is renewed after this time.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one server.
pub struct Redis {
    info: ConnectionInfo,
    dialer: Dialer,
    kept: Kept<Link>,
}

/// A connection, and the task of the driver's that reads it.
pub struct Link {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    meter: Meter,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The longest answer that is read: `INFO` has a few thousand bytes, and a peer that sends without end must not fill our memory.
const ANSWER: usize = 1 << 20;

/// As people write it, as the driver knows it.
const SCHEMES: &[(&str, &str)] = &[("redis", "redis"), ("rediss", "rediss"), ("valkey", "redis"), ("valkeys", "rediss"), ("unix", "unix")];

impl Backend for Redis {
    const KIND: &'static str = "redis";
    const CATEGORY: Category = Category::Cache;
    const EXAMPLE: &'static str = r#"
url = "rediss://cache.internal:6379/0"
password = "${REDIS_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] = &["redis", "rediss", "valkey", "valkeys"];
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        // `redis+unix://` would lose its `+unix` as if it were a driver's name.
        let written = Secret::new(config.url.expose().trim().replacen("redis+unix://", "unix://", 1));
        let url = endpoint::parse(&written, SCHEMES)?;
        let unusable =
            |_: RedisError| InvalidConfig::new("url", "not a Redis URL: write `redis://host:6379/0`, where 0 is a database's number");
        let mut info = url.as_str().into_connection_info().map_err(unusable)?;
        let mut settings = info.redis_settings().clone();
        if let Some(username) = &config.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &config.password {
            settings = settings.set_password(password.expose());
        }
        info = info.set_redis_settings(settings);
        let kept = Kept::new(config.connection, config.max_connection_age);
        Ok(Self { info, dialer: Dialer::default(), kept })
    }
}

#[async_trait]
impl Check for Redis {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }
}

#[async_trait]
impl Session for Redis {
    type Connection = Link;

    async fn open(&self) -> Result<Link, Failure> {
        let meter = Meter::new(ANSWER);
        let stream: Stream = match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => tls::open(&self.dialer, &Address::new(host, *port), false).await?,
            ConnectionAddr::TcpTls { host, port, .. } => tls::open(&self.dialer, &Address::new(host, *port), true).await?,
            ConnectionAddr::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(Failure::network)?),
            _ => return Err(Failure::internal("an address of another sort")),
        };
        // The driver's own limits of 1 s and 500 ms would speak before ours.
        let unlimited = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let metered = Metered::new(stream, meter.clone());
        match MultiplexedConnection::new_with_config(self.info.redis_settings(), metered, unlimited).await {
            Ok((connection, driver)) => {
                let driver = tokio::spawn(driver).abort_handle();
                Ok(Link { connection, driver, meter })
            }
            // A server without a free slot says so and hangs up, while the driver still sends; it sees only the end.
            Err(_) if meter.began_with(b"-ERR max number of clients") => Err(Failure::exhausted("no more connections are allowed there")),
            Err(error) => Err(failure(error)),
        }
    }

    async fn ask(&self, link: &mut Link) -> Result<Observation, Failure> {
        link.meter.refill(ANSWER);
        let (pong, info): (RedisResult<String>, RedisResult<String>) =
            redis::pipe().cmd("PING").cmd("INFO").ignore_errors().query_async(&mut link.connection).await.map_err(failure)?;
        let pong = pong.map_err(failure)?;
        if pong != "PONG" {
            return Err(Failure::protocol("another answer than PONG"));
        }
        let info = info.unwrap_or_default();
        let info: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let number = |name| info.get(name).and_then(|value: &&str| value.parse::<u64>().ok());
        let version = info.get("valkey_version").or_else(|| info.get("redis_version")).copied();
        Ok(Observation::pass()
            .with_some("server_version", version)
            .with_some("role", info.get("role").copied())
            .with_some("used_memory_bytes", number("used_memory"))
            .with_some("connected_clients", number("connected_clients")))
    }
}

fn failure(error: RedisError) -> Failure {
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
