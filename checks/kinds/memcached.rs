//! Checks a memcached server, using its text protocol: <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.
//!
//! ```toml
//! [checks.cache]
//! kind = "memcached"
//! address = "cache.internal:11211"
//! write = true
//! ```

mod address;
mod client;
mod discovery;
mod item;

use crate::{
    contract::prelude::*,
    wire::{
        address::{self as network, Dialer},
        optional::{Asking, OptionalQuestion, PATIENCE, Refusal},
    },
};
use address::MemcachedAddress;
use client::{MemcachedClient, is_error};
use item::ItemRoundTrip;
use std::mem;
use tokio::{net::UnixStream, time::timeout};

/// Gets a key, and with `write` sets, gets and deletes one.
///
/// The connection is kept. `version` and `stats`, for the observed values, travel in the same round trip. A server or proxy that does not answer
/// them is asked again after 10 minutes.
///
/// No rights are required. Servers that require authentication (SASL, or a file of users) are not supported.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Server as `host:port`, or the path of a Unix socket as `unix:/path/to/socket`. Default of the port: 11211.
    pub address: MemcachedAddress,
    /// `set`, `get` and `delete` a unique key, `allswell:…`. It expires after 10 s in case it cannot be deleted.
    #[serde(default)]
    pub write: bool,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one server.
pub struct Memcached {
    address: MemcachedAddress,
    write: bool,
    dialer: Dialer,
    /// `version` and `stats`.
    statistics: OptionalQuestion,
    kept: Kept<MemcachedClient>,
}

impl Backend for Memcached {
    const KIND: &'static str = "memcached";
    const CATEGORY: Category = Category::Cache;
    const OTHER_NAMES: &'static [&'static str] = &["mcrouter", "cache"];
    const EXAMPLE: &'static str = r#"
address = "cache.internal:11211"
write = true
"#;
    const SCHEMES: &'static [&'static str] =
        &["memcached", "memcache", "pymemcache", "pymemcached", "djangopylibmc", "pylibmc", "elasticache"];
    const DEFAULT_PORT: Option<u16> = Some(address::DEFAULT_PORT);
    const COMPOSE: Option<ComposeService> = Some(ComposeService {
        images: &["memcached"],
        key: "address",
        value: "{host}:{port}",
        user: ComposeValue::NONE,
        database: ComposeValue::NONE,
        password: ComposePassword::Unsupported,
    });
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { address, write, connection, max_connection_age } = config;
        let kept = Kept::new(connection, max_connection_age);
        Ok(Self { address, write, dialer: Dialer::default(), statistics: OptionalQuestion::default(), kept })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable, address::DEFAULT_PORT)
    }
}

#[async_trait]
impl Check for Memcached {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }
}

#[async_trait]
impl Session for Memcached {
    type Connection = MemcachedClient;

    async fn open(&self) -> Result<MemcachedClient, Failure> {
        match &self.address {
            MemcachedAddress::Tcp(address) => {
                let (addresses, resolving) = self.dialer.look_up(address).await?;
                Ok(MemcachedClient::new(Box::new(network::connect(&addresses).await?), resolving))
            }
            MemcachedAddress::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(Failure::network)?;
                Ok(MemcachedClient::new(Box::new(stream), None))
            }
        }
    }

    async fn ask(&self, client: &mut MemcachedClient) -> Result<Observation, Failure> {
        if client.is_spent {
            return Err(Failure::unreachable("a reply on this connection was not waited for"));
        }
        let is_new = mem::replace(&mut client.is_new, false);
        let plan = self.statistics.plan();
        match self.ask_as_planned(client, plan).await {
            // A proxy closes the connection at `version` or `stats`, and takes the other replies with it.
            Err(_) if is_new && client.is_spent && plan == Asking::Together => {
                *client = self.open().await?;
                client.is_new = false;
                let seen = self.ask_as_planned(client, Asking::LeftOut(Refusal::Unanswered)).await?;
                self.statistics.failed(Refusal::Unanswered);
                Ok(seen)
            }
            result => result,
        }
    }
}

/// The commands for observed values.
const STATISTICS: &str = "version\r\nstats\r\n";

impl Memcached {
    async fn ask_as_planned(&self, client: &mut MemcachedClient, plan: Asking) -> Result<Observation, Failure> {
        let round_trip = self.write.then(ItemRoundTrip::new);
        let commands = round_trip.as_ref().map_or_else(item::get_command, ItemRoundTrip::commands);
        client.send(&if plan == Asking::Together { commands + STATISTICS } else { commands }).await;
        match round_trip {
            Some(round_trip) => round_trip.judge(client).await?,
            None => item::judge_get(client).await?,
        }
        let seen = Observation::pass().took_some("resolve_ms", client.resolving.take());
        if matches!(plan, Asking::LeftOut(_)) {
            return Ok(seen);
        }
        // Until the replies are read: the probe may be dropped while it waits.
        self.statistics.failed(Refusal::Unanswered);
        client.is_spent = true;
        if plan == Asking::Separately {
            client.send(STATISTICS).await;
        }
        match timeout(PATIENCE, observe(client, seen.clone())).await {
            Ok(Ok(observed)) => {
                self.statistics.answered();
                client.is_spent = false;
                Ok(observed)
            }
            _ => Ok(seen),
        }
    }
}

/// Reads the replies to the commands for observed values. The server may reply to each with an error.
async fn observe(client: &mut MemcachedClient, seen: Observation) -> Result<Observation, Failure> {
    let version = client.line().await?;
    let version = match version.strip_prefix("VERSION ") {
        Some(version) => Some(version.to_owned()),
        None if is_error(&version) => None,
        None => return Err(client::failure(&version)),
    };
    let stats = client.stats().await?;
    let number = |name| stats.get(name).and_then(|value| value.parse::<u64>().ok());
    let seen = seen
        .with_some("server_version", version)
        .with_some("curr_connections", number("curr_connections"))
        .with_some("evictions", number("evictions"))
        .with_some("used_bytes", number("bytes"))
        .with_some("limit_bytes", number("limit_maxbytes"));
    Ok(if number("accepting_conns") == Some(0) {
        seen.warned("the server accepts no new connections: its connection limit is reached")
    } else {
        seen
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: &str = "the value that was just written is gone: it was evicted, or another server replied";

    /// The result of a check for these replies of a server.
    async fn judged(words: &'static str, write: bool) -> Result<Observation, Failure> {
        let memcached = Memcached::build(Config {
            address: "localhost:1".parse().expect("an address"),
            write,
            connection: Reuse::Kept,
            max_connection_age: MaxAge::default(),
        });
        let stream = tokio::io::join(words.as_bytes(), tokio::io::sink());
        let mut client = MemcachedClient::new(Box::new(stream), None);
        client.is_new = false;
        memcached.expect("it builds").ask(&mut client).await
    }

    #[tokio::test]
    async fn a_server_that_refuses_stats_passes() {
        let seen = judged("END\r\nVERSION 1.6.18\r\nERROR\r\n", false).await.expect("it is well");
        assert_eq!((seen.values().len(), &seen.values()["server_version"]), (1, &"1.6.18".into()));
    }

    #[tokio::test]
    async fn the_decisive_reply_counts_whatever_follows() {
        for words in ["END\r\n", "END\r\nERROR\r\nERROR\r\n", "END\r\nVERSION 1\r\nSTAT pid 1\r\n", "END\r\nHTTP/1.1 400 Bad Request\r\n"] {
            assert!(judged(words, false).await.is_ok(), "{words}");
        }
        assert!(judged("VALUE allswell:probe 0 1\r\nx\r\nEND\r\n", false).await.is_ok());
    }

    #[tokio::test]
    async fn a_server_at_its_limit_of_connections_warns() {
        let seen = judged("END\r\nVERSION 1\r\nSTAT accepting_conns 0\r\nEND\r\n", false).await.expect("it is well");
        assert_eq!(seen.warning(), Some("the server accepts no new connections: its connection limit is reached"));
    }

    #[tokio::test]
    async fn every_reply_has_its_class_and_message() {
        let nonsense = "the reply is not in the memcached protocol";
        for (words, class, message) in [
            ("ERROR Too many open connections\r\n", "exhausted", "the server's connection limit is reached"),
            ("CLIENT_ERROR unauthenticated\r\n", "rejected", "the server requires authentication, which this check does not support"),
            ("SERVER_ERROR busy\r\n", "unhealthy", "the server replied with an error"),
            ("SERVER_ERROR Connection refused\r\n", "unhealthy", "the proxy cannot reach a memcached server"),
            ("SERVER_ERROR backend failure\r\n", "unhealthy", "the proxy cannot reach a memcached server"),
            ("HTTP/1.1 400 Bad Request\r\n", "protocol", nonsense),
            ("", "unreachable", "connection closed before a reply"),
            ("SERVER_ERROR out of memory storing object\r\n", "exhausted", "the server is out of memory"),
            ("NOT_STORED\r\n", "unhealthy", "the server did not store the value"),
            ("STORED\r\nEND\r\n", "unhealthy", GONE),
            ("STORED\r\nVALUE another 0 1\r\nx\r\nEND\r\n", "unhealthy", "the data read back is not the data written"),
        ] {
            let failure = judged(words, true).await.expect_err(words);
            assert_eq!((failure.class().as_str(), failure.message()), (class, message), "{words}");
        }
    }
}
