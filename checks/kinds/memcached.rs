//! Checks a memcached server, using its text protocol: <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.
//!
//! ```toml
//! [checks.cache]
//! kind = "memcached"
//! address = "cache.internal:11211"
//! write = true
//! ```

mod discovery;

use crate::{
    contract::prelude::*,
    wire::{
        address::{self, Address, Dialer},
        meter::{Meter, Metered, TOO_LONG_MESSAGE, is_too_long},
    },
};
use std::{collections::HashMap, io, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Requests the version, and with `write` sets, gets and deletes a key.
///
/// The connection is kept. `stats`, for the observed values, travels in the same round trip; the server may refuse it.
///
/// No rights are required. Servers that require authentication (SASL, or a file of users) are not supported.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Server as `host:port`. The port is usually 11211.
    pub address: Address,
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
    address: Address,
    write: bool,
    dialer: Dialer,
    kept: Kept<MemcachedClient>,
}

/// Maximum size of a reply: `stats` has a few thousand bytes.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// How long a key lives that could not be deleted.
const KEY_TTL_SECONDS: u8 = 10;

impl Backend for Memcached {
    const KIND: &'static str = "memcached";
    const CATEGORY: Category = Category::Cache;
    const EXAMPLE: &'static str = r#"
address = "cache.internal:11211"
write = true
"#;
    const SCHEMES: &'static [&'static str] =
        &["memcached", "memcache", "pymemcache", "pymemcached", "djangopylibmc", "pylibmc", "elasticache"];
    const DEFAULT_PORT: Option<u16> = Some(11_211);
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
        Ok(Self { address, write, dialer: Dialer::default(), kept: Kept::new(connection, max_connection_age) })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable, 11_211)
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
        let (addresses, resolving) = self.dialer.look_up(&self.address).await?;
        let (stream, meter) = (address::connect(&addresses).await?, Meter::new(MAX_REPLY_BYTES));
        Ok(MemcachedClient { stream: BufReader::new(Metered::new(Box::new(stream), meter.clone())), meter, resolving })
    }

    async fn ask(&self, client: &mut MemcachedClient) -> Result<Observation, Failure> {
        let round_trip = self.write.then(ItemRoundTrip::new);
        let commands = format!("version\r\nstats\r\n{}", round_trip.as_ref().map(ItemRoundTrip::commands).unwrap_or_default());
        client.send(&commands).await;
        let version = client.expect("VERSION ").await?;
        let stats = client.stats().await?;
        if let Some(round_trip) = round_trip {
            round_trip.judge(client).await?;
        }
        let number = |name| stats.get(name).and_then(|value| value.parse::<u64>().ok());
        Ok(Observation::pass()
            .took_some("resolve_ms", client.resolving.take())
            .with("server_version", version)
            .with_some("curr_connections", number("curr_connections"))
            .with_some("evictions", number("evictions"))
            .with_some("used_bytes", number("bytes"))
            .with_some("limit_bytes", number("limit_maxbytes")))
    }
}

/// A connection, and a limit on what is read from it.
pub struct MemcachedClient {
    stream: BufReader<Metered>,
    meter: Meter,
    /// How long the name took to resolve; observed once.
    resolving: Option<Duration>,
}

impl MemcachedClient {
    async fn send(&mut self, commands: &str) {
        self.meter.refill(MAX_REPLY_BYTES);
        // A server that closes the connection may have sent a reason: the error of reading says more than that of writing.
        let _ = self.stream.write_all(commands.as_bytes()).await;
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await;
        let failed = match read {
            Ok(_) if line.ends_with(b"\n") => return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
            Ok(_) => Failure::network(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_too_long(&error) => Failure::protocol(error).saying(TOO_LONG_MESSAGE),
            Err(error) => Failure::network(error),
        };
        Err(self.meter.explain(failed))
    }

    /// The rest of the next line, which must begin with `beginning`.
    async fn expect(&mut self, beginning: &str) -> Result<String, Failure> {
        let line = self.line().await?;
        line.strip_prefix(beginning).map(str::to_owned).ok_or_else(|| failure(&line))
    }

    /// The reply to `stats`; empty if the server refuses it.
    async fn stats(&mut self) -> Result<HashMap<String, String>, Failure> {
        let mut stats = HashMap::new();
        loop {
            let line = self.line().await?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["STAT", name, value] => {
                    stats.insert(name.to_owned(), value.to_owned());
                }
                // The values of interest are single words.
                ["STAT", ..] => {}
                ["END"] => return Ok(stats),
                _ if is_error(&line) => return Ok(HashMap::new()),
                _ => return Err(failure(&line)),
            }
        }
    }
}

fn is_error(line: &str) -> bool {
    matches!(line.split(' ').next(), Some("ERROR" | "CLIENT_ERROR" | "SERVER_ERROR"))
}

/// Classifies an unexpected line. Memcached has no error codes, so the text decides.
fn failure(line: &str) -> Failure {
    let failure = if line.starts_with("ERROR Too many open connections") {
        Failure::exhausted("the server's connection limit is reached")
    } else if line.starts_with("SERVER_ERROR out of memory") {
        Failure::exhausted("the server is out of memory")
    } else if line.starts_with("CLIENT_ERROR unauthenticated") {
        Failure::rejected("the server requires authentication, which this check does not support")
    } else if is_error(line) {
        Failure::unhealthy("the server replied with an error")
    } else {
        return Failure::protocol(line).saying("the reply is not in the memcached protocol");
    };
    failure.because(line)
}

/// A unique key and value: set, read, compared and deleted.
struct ItemRoundTrip {
    key: String,
    value: String,
}

impl ItemRoundTrip {
    fn new() -> Self {
        Self { key: format!("allswell:{:016x}", fastrand::u64(..)), value: format!("{:016x}", fastrand::u64(..)) }
    }

    /// The key is deleted whatever was read.
    fn commands(&self) -> String {
        let Self { key, value } = self;
        format!("set {key} 0 {KEY_TTL_SECONDS} {}\r\n{value}\r\nget {key}\r\ndelete {key}\r\n", value.len())
    }

    async fn judge(&self, client: &mut MemcachedClient) -> Result<(), Failure> {
        client.expect("STORED").await?;
        let found = client.line().await?;
        if is_error(&found) {
            return Err(failure(&found));
        }
        if found != format!("VALUE {} 0 {}", self.key, self.value.len()) || client.line().await? != self.value {
            return Err(Failure::unhealthy("the data read back is not the data written"));
        }
        client.expect("END").await?;
        // The cache may have been flushed in between.
        let deleted = client.line().await?;
        if matches!(deleted.as_str(), "DELETED" | "NOT_FOUND") { Ok(()) } else { Err(failure(&deleted)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a check for these replies of a server.
    async fn judged(words: &'static str, write: bool) -> Result<Observation, Failure> {
        let memcached = Memcached::build(Config {
            address: Address::new("localhost", 1),
            write,
            connection: Reuse::Kept,
            max_connection_age: MaxAge::default(),
        });
        let meter = Meter::new(MAX_REPLY_BYTES);
        let stream = Metered::new(Box::new(tokio::io::join(words.as_bytes(), tokio::io::sink())), meter.clone());
        memcached.expect("it builds").ask(&mut MemcachedClient { stream: BufReader::new(stream), meter, resolving: None }).await
    }

    #[tokio::test]
    async fn a_server_that_refuses_stats_passes() {
        let seen = judged("VERSION 1.6.18\r\nERROR\r\n", false).await.expect("it is well");
        assert_eq!((seen.values().len(), &seen.values()["server_version"]), (1, &"1.6.18".into()));
    }

    #[tokio::test]
    async fn every_reply_has_its_class() {
        for (words, class) in [
            ("ERROR Too many open connections\r\n", "exhausted"),
            ("CLIENT_ERROR unauthenticated\r\n", "rejected"),
            ("SERVER_ERROR busy\r\n", "unhealthy"),
            ("HTTP/1.1 400 Bad Request\r\n", "protocol"),
            ("VERSION 1\r\nwhat\r\n", "protocol"),
            ("VERSION 1\r\nSTAT pid 1\r\n", "protocol"),
            ("", "unreachable"),
            ("VERSION 1\r\nEND\r\nSERVER_ERROR out of memory storing object\r\n", "exhausted"),
            ("VERSION 1\r\nEND\r\nNOT_STORED\r\n", "protocol"),
            ("VERSION 1\r\nEND\r\nSTORED\r\nEND\r\n", "unhealthy"),
            ("VERSION 1\r\nEND\r\nSTORED\r\nVALUE another 0 1\r\nx\r\nEND\r\n", "unhealthy"),
        ] {
            let failure = judged(words, true).await.expect_err(words);
            assert_eq!(failure.class().as_str(), class, "{words}");
        }
    }
}
