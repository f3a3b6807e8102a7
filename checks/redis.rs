//! Redis and Valkey.

use crate::{
    contract::prelude::*,
    resp::{self, Link, Server, failure},
    tls::TlsKeys,
};
use redis::RedisResult;
use std::collections::HashMap;

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
    /// Whom TLS trusts, and how it proves who we are.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Whether the connection is kept between probes.
    #[serde(default)]
    pub connection: Reuse,
    /// A kept connection is renewed after this time.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one server.
pub struct Redis {
    server: Server,
    kept: Kept<Link>,
}

impl Backend for Redis {
    const KIND: &'static str = "redis";
    const CATEGORY: Category = Category::Cache;
    const EXAMPLE: &'static str = r#"
url = "rediss://cache.internal:6379/0"
password = "${REDIS_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] = resp::SCHEMES;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let server = Server::new("url", &config.url, config.username.as_deref(), config.password.as_ref(), config.tls)?;
        let kept = Kept::new(config.connection, config.max_connection_age);
        Ok(Self { server, kept })
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
        self.server.open().await
    }

    async fn ask(&self, link: &mut Link) -> Result<Observation, Failure> {
        link.refill();
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
