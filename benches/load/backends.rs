//! The four real backends of the comparison.

use crate::servers::{Server, memcached, postgres, rabbitmq, redis};

const PASSWORD: &str = "of-the-benchmark";

pub(crate) struct Backends {
    pub(crate) postgres: Server,
    pub(crate) redis: Server,
    pub(crate) rabbitmq: Server,
    pub(crate) memcached: Server,
}

impl Backends {
    pub(crate) fn start() -> Self {
        Self { postgres: postgres(PASSWORD), redis: redis(PASSWORD), rabbitmq: rabbitmq(PASSWORD), memcached: memcached(&[]) }
    }

    pub(crate) const fn all(&self) -> [&Server; 4] {
        [&self.postgres, &self.redis, &self.rabbitmq, &self.memcached]
    }

    /// A configuration with a check of each backend, and the keys of `policy` below `[defaults]`.
    pub(crate) fn configuration(&self, policy: &str) -> String {
        format!(
            "[defaults]\n{policy}\n[checks.postgres]\nkind = \"postgres\"\nurl = \"{}\"\n[checks.redis]\nkind = \"redis\"\nurl = \"{}\"\n\
             [checks.rabbitmq]\nkind = \"rabbitmq\"\nurl = \"{}\"\n[checks.memcached]\nkind = \"memcached\"\naddress = \"{}\"\n",
            self.postgres_url(),
            self.redis_url(),
            self.rabbitmq_url(),
            self.memcached_address(),
        )
    }

    pub(crate) fn postgres_url(&self) -> String {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{}/orders", self.postgres.port)
    }

    pub(crate) fn redis_url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.redis.port)
    }

    pub(crate) fn rabbitmq_url(&self) -> String {
        format!("amqp://app:{PASSWORD}@127.0.0.1:{}/", self.rabbitmq.port)
    }

    pub(crate) fn memcached_address(&self) -> String {
        format!("127.0.0.1:{}", self.memcached.port)
    }

    /// How many `PING` commands Redis has received.
    pub(crate) fn pings(&self) -> u64 {
        let stats = self.redis.redis_cli(PASSWORD, &["INFO", "commandstats"]);
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls=")?.split(',').next()?.parse().ok());
        calls.unwrap_or_default()
    }
}
