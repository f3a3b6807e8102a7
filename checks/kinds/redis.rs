//! Checks a Redis or Valkey server, one behind Sentinel, or a cluster.
//!
//! ```toml
//! [checks.cache]
//! kind = "redis"
//! url = "rediss://cache.internal:6379/0"
//! password = "${REDIS_PASSWORD}"
//! write = true
//! ```

mod cluster;
mod discovery;
mod info;
mod judge;
mod probe;
mod round_trip;

use crate::{
    contract::prelude::*,
    wire::{
        address::Address,
        optional::OptionalQuestion,
        resp::{
            self, RespServer,
            sentinel::{self, Sentinels, WantedServer},
            sentinel_url::SentinelUrl,
        },
        tls::TlsKeys,
    },
};
use info::InfoFields;
use probe::Node;
use redis::RedisResult;
use serde::Serialize;

/// Sends `PING`, and with `write` sets, gets and deletes a key of its own. Checks one server, one behind Sentinel, or a whole cluster.
///
/// The connection is kept. `INFO`, for the observed values, travels in the same round trip. A server or proxy that does not answer it is asked
/// again after 10 minutes, and meanwhile must answer `GET` of a key, because a proxy answers `PING` itself.
///
/// Required rights: `ACL SETUSER probe on >PASSWORD +ping +info`. `+info` may be missing unless the check uses Sentinel, `role`,
/// `require_replica_link`, `warn_memory` or `fail_memory`. Further rights: for a database other than 0 `+select`; for a cluster
/// `+cluster|info`; for `write` `+set +get +del ~allswell:*`, in a cluster also `+asking`. A Sentinel user needs
/// `+sentinel|get-master-addr-by-name`, or with `role = "replica"` `+sentinel|replicas`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// URL with server and database: `redis://user:password@host:6379/0`, `rediss://` for TLS, `unix:///path/to/socket?db=0` for a Unix
    /// socket; also the other forms and parameters of the client libraries. With `mode = "sentinel"` the host
    /// and port (usually 26379) are those of a sentinel, and everything else applies to the monitored servers;
    /// `sentinel://a:26379;sentinel://b:26379/0` and `redis+sentinel://a,b/master_name/0` (`rediss+sentinel://` for TLS) name several
    /// sentinels and need no `mode`. With `mode = "cluster"` it is any node of the cluster. With both it may name several hosts:
    /// `redis://a:6379,b:6379`.
    pub url: Secret,
    /// User name. Default: the user in `url`.
    pub username: Option<String>,
    /// Password, not percent-encoded. Default: the password in `url`.
    pub password: Option<Secret>,
    /// TLS settings, for every server, sentinel and node.
    #[serde(default)]
    pub tls: TlsKeys,
    /// How the servers work together: `standalone` (one server), `sentinel` or `cluster`.
    #[serde(default)]
    pub mode: RedisMode,
    /// Further sentinels, or further nodes of the cluster, as `host:port`. The check tries the next one when one fails, and in parallel
    /// when one does not reply within 250 ms.
    #[serde(default)]
    pub nodes: Vec<Address>,
    /// Name of the primary in the sentinels' configuration. Required with `mode = "sentinel"`.
    pub master_name: Option<String>,
    /// User name for the sentinels, if they require one.
    pub sentinel_username: Option<String>,
    /// Password for the sentinels, if they require one.
    pub sentinel_password: Option<Secret>,
    /// Required role of the server. With Sentinel it also selects the server, and `any` means the primary. Not allowed for a cluster, which
    /// has both roles.
    #[serde(default)]
    pub role: RedisRole,
    /// Fail when the server is a replica whose link to its primary is down.
    #[serde(default)]
    pub require_replica_link: bool,
    /// Warn when more than this share of `maxmemory` is used: `"80%"`. No effect without `maxmemory`. With an eviction policy, full memory
    /// is normal.
    pub warn_memory: Option<Share>,
    /// Fail when more than this share of `maxmemory` is used: `"95%"`.
    pub fail_memory: Option<Share>,
    /// `SET`, `GET` and `DEL` a unique key, `allswell:{probe}:…`. It expires after 10 s in case it cannot be deleted.
    #[serde(default)]
    pub write: bool,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// How servers work together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RedisMode {
    /// Check the server in `url` only.
    #[default]
    Standalone,
    /// Ask sentinels for the server.
    Sentinel,
    /// Ask any node about the whole cluster; with `write`, the node that holds the key.
    Cluster,
}

/// What a server is to those that have the same data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RedisRole {
    /// Both.
    #[default]
    Any,
    /// Accepts writes.
    Primary,
    /// Follows a primary.
    Replica,
}

impl RedisRole {
    fn from_info(info: &InfoFields<'_>) -> Option<Self> {
        match info.get("role")? {
            "master" => Some(Self::Primary),
            "slave" => Some(Self::Replica),
            _ => None,
        }
    }

    /// Verifies that a server has this role.
    fn judge(self, info: &InfoFields<'_>) -> Result<(), Failure> {
        match (self, Self::from_info(info)) {
            (Self::Any, _) | (Self::Primary, Some(Self::Primary)) | (Self::Replica, Some(Self::Replica)) => Ok(()),
            (Self::Primary, Some(_)) => Err(Failure::unhealthy("the server is a replica, not a primary")),
            (Self::Replica, Some(_)) => Err(Failure::unhealthy("the server is a primary, not a replica")),
            (_, None) => Err(Failure::unhealthy("the server does not report its role")),
        }
    }
}

/// The reply to one of several commands: a text, null, or an error.
type CommandReply = RedisResult<Option<String>>;

/// A check of one server, or of several that work together.
pub struct Redis {
    server: RespServer,
    topology: Topology,
    role: RedisRole,
    require_replica_link: bool,
    warn_memory: Option<Share>,
    fail_memory: Option<Share>,
    write: bool,
    /// About parts of a Sentinel URL without effect.
    url_warnings: Vec<ConfigWarning>,
    /// `INFO`, where nothing is required of it.
    info: OptionalQuestion,
    kept: Kept<Node>,
}

enum Topology {
    Standalone,
    Sentinel(Sentinels),
    Cluster(Vec<Address>),
}

impl Backend for Redis {
    const KIND: &'static str = "redis";
    const CATEGORY: Category = Category::Cache;
    const OTHER_NAMES: &'static [&'static str] = &[
        "elasticache",
        "sentinel",
        "redis_sentinel",
        "redis_cluster",
        "keydb",
        "dragonfly",
        "dragonflydb",
        "memorydb",
        "upstash",
        "cache",
    ];
    const EXAMPLE: &'static str = r#"
url = "rediss://cache.internal:6379/0"
password = "${REDIS_PASSWORD}"
role = "primary"
warn_memory = "90%"
write = true
"#;
    const SCHEMES: &'static [&'static str] = resp::SCHEMES;
    const DEFAULT_PORT: Option<u16> = Some(6379);
    const COMPOSE: Option<ComposeService> = Some(ComposeService {
        images: &["redis", "valkey"],
        key: "url",
        value: "redis://{host}:{port}/0",
        user: ComposeValue::NONE,
        database: ComposeValue::NONE,
        password: ComposePassword::Optional,
    });
    type Config = Config;

    fn build(mut config: Config) -> Result<Self, InvalidConfig> {
        let url_warnings = match SentinelUrl::parse("url", &config.url)? {
            Some(_) if config.mode == RedisMode::Cluster => {
                return Err(InvalidConfig::new("mode", "is `cluster`, but the URL names sentinels: remove `mode`"));
            }
            Some(SentinelUrl { server, others, master_name, warnings }) => {
                config.mode = RedisMode::Sentinel;
                config.url = server;
                config.nodes.splice(0..0, others);
                config.master_name = config.master_name.or(master_name);
                warnings
            }
            None => Vec::new(),
        };
        let Config { mode, role, require_replica_link, warn_memory, fail_memory, write, .. } = config;
        let sentinel_keys = [
            ("master_name", config.master_name.is_some()),
            ("sentinel_username", config.sentinel_username.is_some()),
            ("sentinel_password", config.sentinel_password.is_some()),
        ];
        if let Some((key, _)) = sentinel_keys.into_iter().find(|(_, given)| *given && mode != RedisMode::Sentinel) {
            return Err(InvalidConfig::new(key, "applies only with `mode = \"sentinel\"`"));
        }
        let server = RespServer::with_nodes("url", &config.url, config.username.as_deref(), config.password.as_ref(), config.tls)?;
        let addresses = || match server.nodes() {
            [] => Err(InvalidConfig::new("url", "a socket leads to one server: with this `mode` write `redis://host:port`")),
            nodes => Ok([nodes, &config.nodes].concat()),
        };
        let (topology, role) = match mode {
            RedisMode::Standalone if server.nodes().len() > 1 => {
                let message = "the URL has several hosts: configure a check for each, or set `mode = \"cluster\"` or `mode = \"sentinel\"`";
                return Err(InvalidConfig::new("url", message));
            }
            RedisMode::Standalone if !config.nodes.is_empty() => {
                return Err(InvalidConfig::new("nodes", "applies only with `mode = \"sentinel\"` or `mode = \"cluster\"`"));
            }
            RedisMode::Standalone => (Topology::Standalone, role),
            RedisMode::Sentinel => {
                let missing = || InvalidConfig::new("master_name", "is missing: name the primary as the sentinels do");
                let name = config.master_name.ok_or_else(missing)?;
                let login = sentinel::login(config.sentinel_username.as_deref(), config.sentinel_password.as_ref());
                let role = if role == RedisRole::Any { RedisRole::Primary } else { role };
                let wanted = if role == RedisRole::Replica { WantedServer::Replica } else { WantedServer::Primary };
                (Topology::Sentinel(Sentinels { addresses: addresses()?, login, name, wanted }), role)
            }
            RedisMode::Cluster if role != RedisRole::Any => {
                return Err(InvalidConfig::new("role", "has no effect in a cluster, which has primaries and replicas"));
            }
            RedisMode::Cluster => (Topology::Cluster(addresses()?), role),
        };
        let kept = Kept::new(config.connection, config.max_connection_age);
        let info = OptionalQuestion::default();
        Ok(Self { server, topology, role, require_replica_link, warn_memory, fail_memory, write, url_warnings, info, kept })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

#[async_trait]
impl Check for Redis {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        let (others, has_another_password): (&[Address], _) = match &self.topology {
            Topology::Standalone => (&[], false),
            Topology::Sentinel(sentinels) => (&sentinels.addresses, sentinels.login.password().is_some()),
            Topology::Cluster(nodes) => (nodes, false),
        };
        let mut warnings = self.server.warnings("url", self.server.has_password() || has_another_password, others);
        warnings.extend(self.url_warnings.iter().cloned());
        warnings
    }
}

/// Adds what was observed before the failure.
fn failed(failure: Failure, seen: &Observation) -> Failure {
    failure.observing(seen.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(table: &[(&str, &str)]) -> Option<&'static str> {
        let mut keys = serde_json::json!({ "url": "redis://cache" });
        for (key, value) in table {
            keys[*key] = serde_json::from_str(value).unwrap_or_else(|_| (*value).into());
        }
        Redis::build(serde_json::from_value(keys).expect("keys")).err().map(|error| error.key)
    }

    #[test]
    fn contradicting_keys_are_reported() {
        let (sentinel, cluster) = (("mode", "sentinel"), ("mode", "cluster"));
        for (table, key) in [
            (&[sentinel, ("master_name", "orders"), ("role", "replica"), ("nodes", r#"["b:1"]"#)][..], None),
            (&[cluster, ("nodes", r#"["b:1", "c:1"]"#), ("write", "true")], None),
            (&[("url", "redis+unix:///run/redis.sock")], None),
            (&[sentinel], Some("master_name")),
            (&[("url", "sentinel://a:26379;sentinel://b:26379")], Some("master_name")),
            (&[("url", "sentinel://a:26379;sentinel://b:26379"), ("master_name", "orders")], None),
            (&[("url", "redis+sentinel://a,b/orders/0"), sentinel], None),
            (&[("url", "redis+sentinel://a,b/orders/0"), cluster], Some("mode")),
            (&[("master_name", "orders")], Some("master_name")),
            (&[cluster, ("sentinel_password", "x")], Some("sentinel_password")),
            (&[("nodes", r#"["b:1"]"#)], Some("nodes")),
            (&[cluster, ("role", "primary")], Some("role")),
            (&[cluster, ("url", "redis://a:1,b:2")], None),
            (&[("url", "redis://a:1,b:2")], Some("url")),
            (&[cluster, ("url", "redis+unix:///run/redis.sock")], Some("url")),
        ] {
            assert_eq!(key_of(table), key, "{table:?}");
        }
    }
}
