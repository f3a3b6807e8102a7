//! The brokers of an app: how to reach them, and what their workers replied.

use super::{
    amqp::{self, AmqpControl},
    config::Config,
    heartbeats::Heartbeats,
    naming::NamingKeys,
    pidbox::{Inspection, Requirements},
    redis::{RedisBroker, RedisControl},
};
use crate::{
    contract::prelude::*,
    wire::{
        amqp::AmqpBroker,
        resp::{
            self, RespServer,
            sentinel::{self, Sentinels, WantedServer},
            sentinel_url::SentinelUrl,
        },
    },
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Other transports of kombu (`kombu/transport/__init__.py`), in lower case.
const OTHER_TRANSPORTS: &[&str] = &[
    "sqs",
    "sqla",
    "sqlalchemy",
    "mongodb",
    "filesystem",
    "memory",
    "azureservicebus",
    "azurestoragequeues",
    "confluentkafka",
    "kafka",
    "gcpubsub",
    "pgmq",
    "zookeeper",
    "consul",
    "etcd",
    "qpid",
    "pyro",
    "slmq",
];

/// How much longer than `patience` a kept connection may be silent before a new one is tried in parallel.
const EXTRA_SILENCE: Duration = Duration::from_millis(250);

/// A broker, and the workers that were heard of on it.
pub(super) struct Broker {
    client: BrokerClient,
    requirements: Arc<Requirements>,
    pub(super) heartbeats: Arc<Heartbeats>,
    /// The inspection of the current probe, once it has ended.
    inspection: Mutex<Option<Inspection>>,
    kept: Kept<BrokerConnection>,
}

/// The broker that carries commands and replies.
enum BrokerClient {
    Amqp(Box<AmqpBroker>, NamingKeys),
    Redis(Box<RedisBroker>),
}

/// A connection to either broker.
pub(super) enum BrokerConnection {
    /// To `RabbitMQ`.
    Amqp(Box<AmqpControl>),
    /// To Redis.
    Redis(RedisControl),
}

impl Broker {
    /// The brokers of the app, in the order of the URLs.
    pub(super) fn all(config: &Config, requirements: &Arc<Requirements>) -> Result<Vec<Self>, InvalidConfig> {
        let names = config.naming();
        names.validate()?;
        let clients = if let Some(url) = SentinelUrl::parse("broker", &config.broker)? {
            vec![BrokerClient::by_sentinels(config, url, names)?]
        } else {
            let sentinel_keys = [
                ("master_name", config.master_name.is_some()),
                ("sentinel_username", config.sentinel_username.is_some()),
                ("sentinel_password", config.sentinel_password.is_some()),
            ];
            if let Some((key, _)) = sentinel_keys.into_iter().find(|(_, given)| *given) {
                return Err(InvalidConfig::new(key, "applies only to sentinels: write `sentinel://host:26379` in `broker`"));
            }
            let urls = config.broker.expose().trim().split(';').filter(|url| !url.trim().is_empty());
            urls.map(|url| BrokerClient::at(config, url.trim(), names.clone())).collect::<Result<Vec<_>, _>>()?
        };
        if clients.is_empty() {
            return Err(InvalidConfig::new("broker", "is empty: write `amqp://…`, `redis://…` or `sentinel://…`"));
        }
        let broker = |client| Self {
            client,
            requirements: Arc::clone(requirements),
            heartbeats: Arc::default(),
            inspection: Mutex::default(),
            kept: Kept::new(config.connection, config.max_connection_age),
        };
        Ok(clients.into_iter().map(broker).collect())
    }

    pub(super) fn warnings(&self) -> Vec<ConfigWarning> {
        match &self.client {
            BrokerClient::Redis(redis) => redis.warnings(),
            BrokerClient::Amqp(broker, names) => [broker.warnings("broker"), names.warnings_for_rabbitmq()].concat(),
        }
    }

    /// Asks the workers on this broker. That they are silent is no failure of the broker, so the connection to it is not doubted.
    pub(super) async fn inspect(&self) -> Result<(Observation, Inspection), Failure> {
        let seen = self.kept.probe(self).await?;
        let inspection = self.inspection.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        Ok((seen, inspection))
    }

    /// Whether any worker replied, or has sent a heartbeat.
    pub(super) fn has_workers(&self, inspection: &Inspection) -> bool {
        !inspection.replies.is_empty() || !self.heartbeats.silent(inspection).is_empty()
    }
}

impl BrokerClient {
    fn at(config: &Config, url: &str, names: NamingKeys) -> Result<Self, InvalidConfig> {
        let scheme = url.split(['+', ':']).next().unwrap_or_default().to_ascii_lowercase();
        if OTHER_TRANSPORTS.contains(&&*scheme) {
            let message = format!("the transport `{scheme}` is not supported: this kind asks workers over RabbitMQ or Redis only");
            return Err(InvalidConfig::new("broker", message));
        }
        if scheme.ends_with("sentinel") {
            return Err(InvalidConfig::new("broker", "names brokers and sentinels: name either sentinels or brokers between `;`"));
        }
        let url = Secret::new(if scheme == "librabbitmq" { format!("amqp{}", &url[scheme.len()..]) } else { url.to_owned() });
        if resp::SCHEMES.contains(&&*scheme) || scheme == "unix" {
            let server = RespServer::new("broker", &url, config.username.as_deref(), config.password.as_ref(), config.tls.clone())?;
            return Ok(Self::Redis(Box::new(RedisBroker::new(server, None, Vec::new(), names))));
        }
        let broker = AmqpBroker::new("broker", &url, config.username.clone(), config.password.as_ref(), config.tls.clone())?;
        Ok(Self::Amqp(Box::new(broker), names))
    }

    fn by_sentinels(config: &Config, url: SentinelUrl, names: NamingKeys) -> Result<Self, InvalidConfig> {
        let missing = || InvalidConfig::new("master_name", "is missing: name the primary as in the app's `broker_transport_options`");
        let name = config.master_name.clone().or(url.master_name).ok_or_else(missing)?;
        let server = RespServer::new("broker", &url.server, config.username.as_deref(), config.password.as_ref(), config.tls.clone())?;
        let addresses = server.nodes().iter().cloned().chain(url.others).collect();
        let login = sentinel::login(config.sentinel_username.as_deref(), config.sentinel_password.as_ref());
        let sentinels = Sentinels { addresses, login, name, wanted: WantedServer::Primary };
        Ok(Self::Redis(Box::new(RedisBroker::new(server, Some(sentinels), url.warnings, names))))
    }
}

#[async_trait]
impl Session for Broker {
    type Connection = BrokerConnection;

    async fn open(&self) -> Result<BrokerConnection, Failure> {
        match &self.client {
            BrokerClient::Amqp(broker, names) => {
                amqp::open(broker, names, &self.requirements, &self.heartbeats).await.map(Box::new).map(BrokerConnection::Amqp)
            }
            BrokerClient::Redis(redis) => redis.open(&self.heartbeats).await.map(BrokerConnection::Redis),
        }
    }

    async fn ask(&self, connection: &mut BrokerConnection) -> Result<Observation, Failure> {
        let (requirements, heartbeats) = (&self.requirements, &self.heartbeats);
        let (inspection, seen, tls_verify) = match (&self.client, connection) {
            (BrokerClient::Redis(redis), BrokerConnection::Redis(connection)) => {
                (redis.ask(connection, requirements, heartbeats).await?, connection.take_phases(), redis.server.tls_verify())
            }
            (BrokerClient::Amqp(broker, names), BrokerConnection::Amqp(connection)) => {
                (amqp::ask(connection, names, requirements, heartbeats).await?, connection.take_phases(), broker.tls_verify())
            }
            _ => return Err(Failure::internal("a connection to another broker")),
        };
        *self.inspection.lock().unwrap_or_else(PoisonError::into_inner) = Some(inspection);
        Ok(seen.with_some("tls_verify", tls_verify))
    }

    async fn hang_up(connection: BrokerConnection) {
        if let BrokerConnection::Amqp(connection) = connection {
            connection.hang_up();
        }
    }

    fn silence_limit(&self) -> Duration {
        self.requirements.patience.0 + EXTRA_SILENCE
    }
}
