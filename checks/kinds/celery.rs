//! Checks the workers of a Celery app, which it asks over the broker as `celery inspect` does.
//!
//! ```toml
//! [checks.workers]
//! kind = "celery"
//! broker = "rediss://cache.internal:6379/1"
//! password = "${REDIS_PASSWORD}"
//! queues = ["celery", "mails"]
//! ```

mod amqp;
mod pidbox;
mod redis;

use crate::{
    contract::prelude::*,
    wire::{
        amqp::AmqpBroker,
        resp::{self, RespConnection, RespServer},
        tls::TlsKeys,
    },
};
use pidbox::{Heartbeats, Inspection, Requirements};
use redis::Mailbox;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Asks the workers of a Celery 5 app for a reply, over `RabbitMQ` or Redis. The command goes to all of them. With `queues`, a worker that
/// replies must consume each queue.
///
/// The probe ends as soon as the replies prove what is required. The connection is kept, and no task is sent or touched.
///
/// A worker that does not reply, but whose last heartbeat is no older than five of its intervals (at least 10 s), is busy: that is a
/// warning, not a failure. With the pools `solo`, `gevent` and `eventlet`, a task can delay replies and heartbeats alike: if yours do so
/// for longer, use another pool, or `hold`. Heartbeats are received while the connection is kept, so not with `connection = "fresh"`.
/// Workers without remote control are known by their heartbeats only. `workers` and `queues` are observed for the workers that replied
/// before the probe ended and those with a recent heartbeat. The app must use the default `control_exchange`, JSON, and on Redis no
/// `global_keyprefix`.
///
/// Nothing stays behind. On `RabbitMQ`, an exclusive queue `allswell.…` disappears with the connection. Required rights: `rabbitmqctl
/// set_permissions -p VHOST USER '^allswell\.' '^(allswell\..*|celery\.pidbox)$' '^(allswell\..*|celeryev)$'`; without heartbeats
/// `'^allswell\.' '^celery\.pidbox$' '^allswell\.'` is enough.
///
/// On Redis (version 6 or later), a list and a set for the replies expire one minute and `patience` after the last probe. Required rights,
/// for database 0: `ACL SETUSER USER on >PASSWORD resetchannels &/0.celery.pidbox &/0.celeryev/worker.* ~allswell.*
/// ~_kombu.binding.amq.allswell.* -@all +multi +exec +del +rpush +expire +sadd +publish +lrange +psubscribe`. Another database needs
/// `+select`, and the backlog needs `+llen` and the queues, such as `~celery*`. Without heartbeats, `+psubscribe` and its channel are not
/// needed. Redis 6.0 has no rights for channels: leave out `resetchannels` and everything that begins with `&`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Broker URL of the app: `amqp://user:password@host:5672/vhost` or `redis://user:password@host:6379/0`; `amqps://` or `rediss://` for
    /// TLS.
    pub broker: Secret,
    /// User name. Default: the user in `broker`.
    pub username: Option<String>,
    /// Password, not percent-encoded. Default: the password in `broker`.
    pub password: Option<Secret>,
    /// TLS settings: trusted certificates, client certificate, verification.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Workers that must reply, each by its full name: `celery@host`.
    #[serde(default)]
    pub workers: Vec<String>,
    /// Minimum number of workers that must reply.
    #[serde(default = "one")]
    pub min_workers: u32,
    /// Queues that must each be consumed by a worker.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Maximum time to wait for replies. Keep it at least half a second below the check's `timeout`; otherwise a missing worker is reported
    /// as a timeout.
    #[serde(default = "second")]
    pub patience: TimeSpan,
    /// Warn when more messages than this wait in one of `queues`, or in `celery` if `queues` is empty. Messages that a worker has
    /// prefetched do not count.
    pub warn_backlog: Option<u64>,
    /// Fail when more messages than this wait there.
    pub fail_backlog: Option<u64>,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

const fn one() -> u32 {
    1
}

const fn second() -> TimeSpan {
    TimeSpan::seconds(1)
}

/// The queue of an app that names none.
const DEFAULT_QUEUE: &str = "celery";

/// How much longer than `patience` a kept connection may be silent before a new one is tried in parallel.
const EXTRA_SILENCE: Duration = Duration::from_millis(250);

/// A check of one app's workers.
pub struct Celery {
    broker: BrokerClient,
    requirements: Requirements,
    warn_backlog: Option<u64>,
    fail_backlog: Option<u64>,
    heartbeats: Arc<Heartbeats>,
    /// The inspection of the current probe, once it has ended.
    inspection: Mutex<Option<Inspection>>,
    kept: Kept<BrokerConnection>,
}

/// The broker that carries commands and replies.
enum BrokerClient {
    Amqp(AmqpBroker),
    Redis(RespServer, Mailbox),
}

/// A connection to either broker.
pub enum BrokerConnection {
    /// To `RabbitMQ`.
    Amqp(Box<amqp::AmqpControl>),
    /// To Redis.
    Redis(RespConnection),
}

impl Backend for Celery {
    const KIND: &'static str = "celery";
    const CATEGORY: Category = Category::Queue;
    const EXAMPLE: &'static str = r#"
broker = "amqps://app@mq.internal:5671/orders"
password = "${MQ_PASSWORD}"
queues = ["celery", "mails"]
min_workers = 2
warn_backlog = 1000
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { broker, username, password, tls, workers, min_workers, queues, patience, warn_backlog, fail_backlog, .. } = config;
        if patience.0.is_zero() {
            return Err(InvalidConfig::new("patience", "must be greater than zero"));
        }
        if min_workers == 0 && workers.is_empty() && queues.is_empty() {
            return Err(InvalidConfig::new("min_workers", "is 0, and neither `workers` nor `queues` are named: nothing would be checked"));
        }
        let scheme = broker.expose().trim().split(['+', ':']).next().unwrap_or_default().to_ascii_lowercase();
        let client = if resp::SCHEMES.contains(&&*scheme) || scheme == "unix" {
            let server = RespServer::new("broker", &broker, username.as_deref(), password.as_ref(), tls)?;
            let mailbox = Mailbox::new(server.database());
            BrokerClient::Redis(server, mailbox)
        } else {
            BrokerClient::Amqp(AmqpBroker::new("broker", &broker, username, password.as_ref(), tls)?)
        };
        let counted_queues = if queues.is_empty() { vec![DEFAULT_QUEUE.to_owned()] } else { queues.clone() };
        let min_workers = min_workers.try_into().unwrap_or(usize::MAX);
        let limits_backlog = warn_backlog.is_some() || fail_backlog.is_some();
        Ok(Self {
            broker: client,
            requirements: Requirements { workers, min_workers, queues, patience, counted_queues, limits_backlog },
            warn_backlog,
            fail_backlog,
            heartbeats: Arc::default(),
            inspection: Mutex::default(),
            kept: Kept::new(config.connection, config.max_connection_age),
        })
    }
}

#[async_trait]
impl Check for Celery {
    async fn probe(&self) -> Result<Observation, Failure> {
        let seen = self.kept.probe(self).await?;
        // Judged here and not in `ask`: a silent worker is no reason to doubt the broker and repeat everything on a new connection.
        let inspection = self.inspection.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(Inspection::new);
        self.judge(seen, &inspection)
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        match &self.broker {
            BrokerClient::Redis(server, _) => server.warnings("broker", server.has_password(), &[]),
            BrokerClient::Amqp(broker) => broker.warnings("broker"),
        }
    }
}

#[async_trait]
impl Session for Celery {
    type Connection = BrokerConnection;

    async fn open(&self) -> Result<BrokerConnection, Failure> {
        match &self.broker {
            BrokerClient::Amqp(broker) => {
                amqp::open(broker, &self.requirements, &self.heartbeats).await.map(Box::new).map(BrokerConnection::Amqp)
            }
            BrokerClient::Redis(server, mailbox) => redis::open(server, mailbox, &self.heartbeats).await.map(BrokerConnection::Redis),
        }
    }

    async fn ask(&self, connection: &mut BrokerConnection) -> Result<Observation, Failure> {
        let (inspection, seen, tls_verify) = match (&self.broker, connection) {
            (BrokerClient::Redis(server, mailbox), BrokerConnection::Redis(connection)) => {
                (redis::ask(connection, mailbox, &self.requirements).await?, connection.take_phases(), server.tls_verify())
            }
            (BrokerClient::Amqp(broker), BrokerConnection::Amqp(connection)) => {
                (amqp::ask(connection, &self.requirements).await?, connection.take_phases(), broker.tls_verify())
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

/// Workers, and the queues that each consumes.
type Workers = BTreeMap<String, BTreeSet<String>>;

impl Celery {
    fn judge(&self, seen: Observation, inspection: &Inspection) -> Result<Observation, Failure> {
        let (replied, silent) = (&inspection.replies, self.heartbeats.silent(inspection));
        let consumers = |queue: &String, workers: &Workers| -> Vec<String> {
            workers.iter().filter(|(_, queues)| queues.contains(queue)).map(|(worker, _)| worker.clone()).collect()
        };
        let (mut problems, mut busy) = (Vec::new(), BTreeSet::new());

        let is_empty = replied.is_empty() && silent.is_empty();
        if is_empty {
            problems.push(self.explain_no_reply(inspection));
        } else if replied.len() + silent.len() < self.requirements.min_workers {
            problems.push(format!("{} workers replied, fewer than {}", replied.len(), self.requirements.min_workers));
        } else if replied.len() < self.requirements.min_workers {
            busy.extend(silent.keys().cloned());
        }
        let missing: Vec<_> = self.requirements.workers.iter().filter(|worker| !replied.contains_key(*worker)).collect();
        busy.extend(missing.iter().filter(|worker| silent.contains_key(**worker)).map(|worker| (*worker).clone()));
        let gone: Vec<_> = missing.into_iter().filter(|worker| !silent.contains_key(*worker)).collect();
        if !gone.is_empty() {
            problems.push(format!("no reply within {} from the {}", self.requirements.patience, listed("worker", &gone)));
        }
        let unconsumed: Vec<_> = self.requirements.queues.iter().filter(|queue| consumers(queue, replied).is_empty()).collect();
        busy.extend(unconsumed.iter().flat_map(|queue| consumers(queue, &silent)));
        let unconsumed: Vec<_> = unconsumed.into_iter().filter(|queue| consumers(queue, &silent).is_empty()).collect();
        // Without any worker, this says nothing new.
        if !unconsumed.is_empty() && !is_empty {
            problems.push(format!("no worker consumes the {}", listed("queue", &unconsumed)));
        }
        let over = |limit: Option<u64>| -> Vec<String> {
            let over = inspection
                .backlog
                .iter()
                .filter_map(|(queue, waits)| limit.filter(|limit| waits > limit).map(|limit| (queue, waits, limit)));
            over.map(|(queue, waits, limit)| format!("{waits} messages wait in the queue {queue}, more than {limit}")).collect()
        };
        problems.extend(over(self.fail_backlog));

        let workers: BTreeSet<&String> = replied.keys().chain(silent.keys()).collect();
        let queues: BTreeMap<&String, Vec<String>> =
            self.requirements.queues.iter().map(|queue| (queue, [consumers(queue, replied), consumers(queue, &silent)].concat())).collect();
        let values = [
            ("workers", Some(serde_json::json!(workers))),
            ("queues", (!queues.is_empty()).then(|| serde_json::json!(queues))),
            ("backlog", (!inspection.backlog.is_empty()).then(|| serde_json::json!(inspection.backlog))),
        ];
        let values = values.into_iter().filter_map(|(name, value)| Some((name, value?)));
        if !problems.is_empty() {
            return Err(values.fold(Failure::unhealthy(problems.join("; ")), |failure, (name, value)| failure.with(name, value)));
        }
        let seen = values.fold(seen, |seen, (name, value)| seen.with(name, value));
        let busy: Vec<_> = busy.iter().collect();
        let warning = (!busy.is_empty()).then(|| {
            let workers = listed("worker", &busy);
            if inspection.has_no_listener {
                format!("a recent heartbeat, but no mailbox for the {workers}")
            } else {
                format!("a recent heartbeat, but no reply within {} from the {workers}", self.requirements.patience)
            }
        });
        Ok(warning.into_iter().chain(over(self.warn_backlog)).fold(seen, Observation::warned))
    }

    /// Why no worker replied, as far as the broker knows.
    fn explain_no_reply(&self, inspection: &Inspection) -> String {
        match inspection {
            Inspection { has_no_listener: true, .. } => "no worker replied: none is connected".to_owned(),
            Inspection { has_unreadable_reply: true, .. } => "no worker replied in JSON".to_owned(),
            _ => format!("no worker replied within {}", self.requirements.patience),
        }
    }
}

/// One name, or several with a plural.
fn listed(noun: &str, names: &[&String]) -> String {
    const MAX_LISTED: usize = 10;
    let plural = if names.len() == 1 { "" } else { "s" };
    let first = names.iter().take(MAX_LISTED).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MAX_LISTED);
    if more == 0 { format!("{noun}{plural} {first}") } else { format!("{noun}{plural} {first} and {more} more") }
}
