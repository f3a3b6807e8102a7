//! The keys of the kind.

use super::{
    naming::NamingKeys,
    pidbox::{DEFAULT_QUEUE, Requirements},
};
use crate::{contract::prelude::*, wire::tls::TlsKeys};

/// Asks the workers of a Celery 5 app for a reply, over `RabbitMQ` or Redis. The command goes to all of them. With `queues`, a worker that
/// replies must consume each queue.
///
/// The probe ends as soon as the replies prove what is required. The connection is kept, and no task is sent or touched.
///
/// A worker that does not reply, but whose last heartbeat is no older than five of its intervals (at least 10 s), is busy: that is a
/// warning, not a failure. With the pools `solo`, `gevent` and `eventlet`, a task can delay replies and heartbeats alike: if yours do so
/// for longer, use another pool, or `hold`. Heartbeats are received while the connection is kept, so not with `connection = "fresh"`.
/// `workers` and `queues` are observed for the workers that replied before the probe ended and those with a recent heartbeat. Commands and
/// replies are JSON.
///
/// Nothing stays behind. On `RabbitMQ`, an exclusive queue `allswell.…` disappears with the connection. Required rights: `rabbitmqctl
/// set_permissions -p VHOST USER '^allswell\.' '^(allswell\..*|celery\.pidbox)$' '^(allswell\..*|celeryev)$'`; without heartbeats
/// `'^allswell\.' '^celery\.pidbox$' '^allswell\.'` is enough.
///
/// On Redis (version 6 or later), a list and a set for the replies expire one minute and `patience` after the last probe. Required rights,
/// for database 0: `ACL SETUSER USER on >PASSWORD resetchannels &/0.celery.pidbox &/0.celeryev/worker.* ~allswell.*
/// ~_kombu.binding.amq.allswell.* -@all +multi +exec +del +rpush +expire +sadd +publish +lrange +psubscribe`. Another database needs
/// `+select`, and the backlog needs `+llen` and the queues, such as `~celery*`. Without heartbeats, `+psubscribe` and its channel are not
/// needed. With `+srandmember ~_kombu.binding.celery.pidbox`, a wrong `separator` is reported before a command reaches the workers. Redis
/// 6.0 has no rights for channels: leave out `resetchannels` and everything that begins with `&`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Broker URL of the app: `amqp://user:password@host:5672/vhost` or `redis://user:password@host:6379/0`; `amqps://` or `rediss://` for
    /// TLS; `sentinel://a:26379;sentinel://b:26379` for Redis Sentinel, `rediss+sentinel://` with TLS. Several brokers are separated by `;`,
    /// as in Celery: the check uses the first one that has workers.
    pub broker: Secret,
    /// User name. Default: the user in `broker`.
    pub username: Option<String>,
    /// Password, not percent-encoded. Default: the password in `broker`.
    pub password: Option<Secret>,
    /// Name of the primary in the sentinels' configuration, as in the app's `broker_transport_options`.
    pub master_name: Option<String>,
    /// User name for the sentinels, if they require one: `username` in `sentinel_kwargs`.
    pub sentinel_username: Option<String>,
    /// Password for the sentinels, if they require one: `password` in `sentinel_kwargs`.
    pub sentinel_password: Option<Secret>,
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
    /// Warn when a worker has had reserved tasks for this long and started none: its pool hangs. Longer than any task of the app, because a
    /// pool whose processes are all busy starts none either. Workers without heartbeats are not judged.
    pub warn_stuck: Option<TimeSpan>,
    /// Whether workers take commands, as in Celery. With `false` none is sent: a recent heartbeat is enough, and `queues` cannot be checked.
    /// Set `patience` to more than the interval of heartbeats, which is 2 s by default.
    #[serde(default = "yes")]
    pub worker_enable_remote_control: bool,
    /// The app's `control_exchange`.
    #[serde(default = "control_exchange")]
    pub control_exchange: String,
    /// The app's `event_exchange`.
    #[serde(default = "event_exchange")]
    pub event_exchange: String,
    /// `sep` in the app's `broker_transport_options` (Redis).
    #[serde(default = "separator")]
    pub separator: String,
    /// `priority_steps` in the app's `broker_transport_options` (Redis).
    #[serde(default = "priority_steps")]
    pub priority_steps: Vec<u8>,
    /// `global_keyprefix` in the app's `broker_transport_options` (Redis).
    #[serde(default)]
    pub global_keyprefix: String,
    /// `fanout_prefix` in the app's `broker_transport_options` (Redis). `""` for `False`.
    #[serde(default = "fanout_prefix")]
    pub fanout_prefix: String,
    /// `fanout_patterns` in the app's `broker_transport_options` (Redis).
    #[serde(default = "yes")]
    pub fanout_patterns: bool,
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

const fn yes() -> bool {
    true
}

fn control_exchange() -> String {
    NamingKeys::default().control_exchange
}

fn event_exchange() -> String {
    NamingKeys::default().event_exchange
}

fn separator() -> String {
    NamingKeys::default().separator
}

fn priority_steps() -> Vec<u8> {
    NamingKeys::default().priority_steps
}

fn fanout_prefix() -> String {
    NamingKeys::default().fanout_prefix
}

impl Config {
    /// The settings of the app on which names depend.
    pub(super) fn naming(&self) -> NamingKeys {
        NamingKeys {
            control_exchange: self.control_exchange.clone(),
            event_exchange: self.event_exchange.clone(),
            separator: self.separator.clone(),
            priority_steps: self.priority_steps.clone(),
            global_keyprefix: self.global_keyprefix.clone(),
            fanout_prefix: self.fanout_prefix.clone(),
            fanout_patterns: self.fanout_patterns,
        }
    }

    /// What the replies must prove.
    pub(super) fn requirements(&self) -> Result<Requirements, InvalidConfig> {
        if self.patience.0.is_zero() {
            return Err(InvalidConfig::new("patience", "must be greater than zero"));
        }
        if self.min_workers == 0 && self.workers.is_empty() && self.queues.is_empty() {
            return Err(InvalidConfig::new("min_workers", "is 0, and neither `workers` nor `queues` are named: nothing would be checked"));
        }
        let requirements = Requirements {
            workers: self.workers.clone(),
            min_workers: self.min_workers.try_into().unwrap_or(usize::MAX),
            queues: self.queues.clone(),
            patience: self.patience,
            counted_queues: if self.queues.is_empty() { vec![DEFAULT_QUEUE.to_owned()] } else { self.queues.clone() },
            limits_backlog: self.warn_backlog.is_some() || self.fail_backlog.is_some(),
            remote_control: self.worker_enable_remote_control,
            warn_stuck: self.warn_stuck,
        };
        if requirements.needs_heartbeats() && self.connection == Reuse::Fresh {
            return Err(InvalidConfig::new("connection", "must be \"kept\" for the heartbeats that this check needs"));
        }
        let needing = [("queues", !self.queues.is_empty()), ("warn_stuck", self.warn_stuck.is_some())];
        match needing.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) if !self.worker_enable_remote_control => {
                Err(InvalidConfig::new(key, "needs replies of workers: remove it, or `worker_enable_remote_control = false`"))
            }
            _ => Ok(requirements),
        }
    }
}
