//! Checks a `RabbitMQ` vhost and its queues, or another broker with AMQP 0-9-1.
//!
//! ```toml
//! [checks.mq]
//! kind = "rabbitmq"
//! url = "amqps://app@mq.internal:5671/orders"
//! password = "${MQ_PASSWORD}"
//! queues = ["invoices"]
//! min_consumers = 1
//! ```

mod client;
mod discovery;

use crate::{
    contract::{RecentRefusal, prelude::*},
    wire::{
        amqp::{self, AmqpBroker, AmqpConnection, failure, queue_failure},
        tls::TlsKeys,
    },
};
use client::{RabbitmqClient, broken, look_at, publish_nothing, read};
use futures_util::future::{join, join_all, try_join_all};
use lapin::{ErrorKind, Queue};
use serde_json::{Map, Value, json};

/// Checks that the broker accepts messages and that the named queues work. Observes the number of messages and consumers of each queue, with
/// optional limits.
///
/// The connection is kept. The check creates nothing and leaves no message behind: the one that it publishes, to notice when the broker
/// blocks publishers because memory or disk space runs out, is rolled back. A queue that reports neither messages nor consumers is read,
/// because a quorum queue without a leader reports the same.
///
/// Required rights: to log in to the vhost, `rabbitmqctl set_permissions -p VHOST USER '^$' '^$' '^$'`. Without the right to write to
/// `amq.default` and to read the queues (`'^$' '^amq\.default$' '.*'`), blocked publishers and queues without a leader go unnoticed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// URL with user, server and vhost: `amqp://user:password@host:5672/vhost`, `amqps://` for TLS. Without a path: the vhost `/`.
    pub url: Secret,
    /// User name. Default: the user in `url`.
    pub username: Option<String>,
    /// Password, not percent-encoded. Default: the password in `url`.
    pub password: Option<Secret>,
    /// TLS settings: trusted certificates, client certificate, verification.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Queues that must exist and work.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Warn when more messages than this wait in one of `queues`.
    pub warn_messages: Option<u32>,
    /// Fail when more messages than this wait in one of `queues`.
    pub fail_messages: Option<u32>,
    /// Fail when one of `queues` has fewer consumers than this.
    pub min_consumers: Option<u32>,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one vhost.
pub struct Rabbitmq {
    broker: AmqpBroker,
    queues: Vec<String>,
    warn_messages: Option<u32>,
    fail_messages: Option<u32>,
    min_consumers: Option<u32>,
    /// Whether the user may not publish.
    publishing: RecentRefusal<()>,
    /// For each queue, whether it cannot be read.
    reading: Vec<RecentRefusal<()>>,
    kept: Kept<RabbitmqClient>,
}

impl Backend for Rabbitmq {
    const KIND: &'static str = "rabbitmq";
    const CATEGORY: Category = Category::Queue;
    const OTHER_NAMES: &'static [&'static str] = &["rabbit", "amazonmq", "cloudamqp", "lavinmq", "amqp091"];
    const EXAMPLE: &'static str = r#"
url = "amqps://app@mq.internal:5671/orders"
password = "${MQ_PASSWORD}"
queues = ["invoices"]
warn_messages = 1000
min_consumers = 1
"#;
    const SCHEMES: &'static [&'static str] = amqp::SCHEMES;
    const DEFAULT_PORT: Option<u16> = Some(5672);
    const COMPOSE: Option<ComposeService> = Some(ComposeService {
        images: &["rabbitmq"],
        key: "url",
        value: "amqp://{user}@{host}:{port}/",
        user: ComposeValue { variables: &["RABBITMQ_DEFAULT_USER"], default: "guest" },
        database: ComposeValue::NONE,
        password: ComposePassword::Required,
    });
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let Config { queues, warn_messages, fail_messages, min_consumers, .. } = config;
        let limits = [("warn_messages", warn_messages), ("fail_messages", fail_messages), ("min_consumers", min_consumers)];
        if let Some((key, _)) = limits.iter().find(|(_, limit)| queues.is_empty() && limit.is_some()) {
            return Err(InvalidConfig::new(key, "applies to `queues`, but none is named"));
        }
        let broker = AmqpBroker::new("url", &config.url, config.username, config.password.as_ref(), config.tls)?;
        let kept = Kept::new(config.connection, config.max_connection_age);
        let reading = queues.iter().map(|_| RecentRefusal::default()).collect();
        Ok(Self { broker, queues, warn_messages, fail_messages, min_consumers, publishing: RecentRefusal::default(), reading, kept })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

#[async_trait]
impl Check for Rabbitmq {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.broker.warnings("url")
    }
}

#[async_trait]
impl Session for Rabbitmq {
    type Connection = RabbitmqClient;

    async fn open(&self) -> Result<RabbitmqClient, Failure> {
        let amqp = self.broker.open().await?;
        let channel = amqp.connection.create_channel().await.map_err(failure)?;
        if !amqp.is_rabbitmq || self.publishing.recent().is_some() {
            return Ok(RabbitmqClient { amqp, channel, publishes: false });
        }
        // On its own, because without the right this closes the channel, and with it the answers to all other questions.
        let asked = async {
            channel.tx_select().await?;
            publish_nothing(&channel).await
        };
        let published = amqp.unless_blocked(asked).await;
        let client = RabbitmqClient { amqp, channel, publishes: true };
        match published {
            Ok(Ok(())) => Ok(client),
            Ok(Err(error)) if client.is_refused(&error) => {
                let status = client.amqp.connection.status();
                let amqp = if status.connected() && !status.blocked() { client.amqp } else { self.broker.open().await? };
                self.without_publishing(amqp).await
            }
            Ok(Err(error)) => Err(broken(error)),
            // The broker blocks the connection before it examines the right to publish: its refusal arrives while another connection is opened.
            Err(_) => match self.broker.open().await {
                Ok(other) if client.channel.status().connected() => {
                    other.hang_up(());
                    Ok(client)
                }
                Ok(other) => self.without_publishing(other).await,
                // `ask` says that this one is blocked.
                Err(_) => Ok(client),
            },
        }
    }

    async fn ask(&self, client: &mut RabbitmqClient) -> Result<Observation, Failure> {
        client.amqp.refill();
        if !client.amqp.connection.status().blocked() {
            client.renew_channel().await?;
        }
        let seen = client.amqp.take_phases().with_some("server_version", client.amqp.server_version.clone());
        let seen = seen.with_some("tls_verify", self.broker.tls_verify());
        if self.queues.is_empty() && !client.publishes {
            client.replace_channel().await?;
            return Ok(seen);
        }
        // The broker says when this ends; until then, another connection would be blocked as well.
        let asked = client.amqp.unless_blocked(self.look(client)).await.map_err(Failure::reusable_connection)?;
        let queues = asked?;
        self.require_replies(client, &queues).await?;
        self.judge(seen, &queues)
    }

    async fn hang_up(client: RabbitmqClient) {
        client.amqp.hang_up(client.channel);
    }
}

impl Rabbitmq {
    /// Goes on without the right to publish.
    async fn without_publishing(&self, amqp: AmqpConnection) -> Result<RabbitmqClient, Failure> {
        self.publishing.record(());
        let channel = amqp.connection.create_channel().await.map_err(broken)?;
        Ok(RabbitmqClient { amqp, channel, publishes: false })
    }

    /// Looks at all queues, and at whether the broker accepts messages, in one round trip.
    async fn look(&self, client: &RabbitmqClient) -> Result<Vec<Queue>, Failure> {
        let looking = try_join_all(self.queues.iter().map(|name| look_at(&client.channel, name)));
        if !client.publishes {
            return looking.await;
        }
        let (queues, published) = join(looking, publish_nothing(&client.channel)).await;
        // The error of a queue closes the channel, and so ends the other question as well.
        let queues = queues?;
        published.map_err(broken)?;
        Ok(queues)
    }

    /// Reads the queues that report neither messages nor consumers: that is also the broker's reply for a quorum queue without a leader. From
    /// a queue that is really empty, this takes nothing.
    async fn require_replies(&self, client: &mut RabbitmqClient, queues: &[Queue]) -> Result<(), Failure> {
        let is_silent = |at: &usize| queues[*at].message_count() == 0 && queues[*at].consumer_count() == 0;
        let mut silent: Vec<usize> = (0..queues.len()).filter(is_silent).filter(|at| self.reading[*at].recent().is_none()).collect();
        while !silent.is_empty() {
            let replies = join_all(silent.iter().map(|at| read(&client.channel, &self.queues[*at]))).await;
            if replies.iter().any(|reply| matches!(reply, Ok(true))) {
                // A message that arrived in between: closing the channel returns it to the queue.
                client.channel.close(200, "".into()).await.map_err(broken)?;
            }
            let Some((position, Err(error))) = replies.into_iter().enumerate().find(|(_, reply)| reply.is_err()) else { break };
            // An error closes the channel, so that the replies for the queues that follow are missing.
            let at = silent[position];
            silent.drain(..=position);
            match error.kind() {
                ErrorKind::ProtocolError(said) if matches!(said.get_id(), NO_RIGHT | IS_STREAM) => self.reading[at].record(()),
                // The leader of a queue with a single active consumer replies that it has none.
                ErrorKind::ProtocolError(said) if said.get_id() == IS_LOCKED => {}
                _ => return Err(queue_failure(&self.queues[at], error).truncated()),
            }
            if client.amqp.connection.status().connected() {
                client.renew_channel().await?;
            } else {
                *client = self.open().await?;
            }
        }
        Ok(())
    }

    fn judge(&self, seen: Observation, queues: &[Queue]) -> Result<Observation, Failure> {
        let counts: Map<String, Value> = self
            .queues
            .iter()
            .zip(queues)
            .map(|(name, queue)| (name.clone(), json!({ "messages": queue.message_count(), "consumers": queue.consumer_count() })))
            .collect();
        let mut seen = seen.with("queues", counts.clone());
        let failed = |message: String| Err(Failure::unhealthy(message).with("queues", counts.clone()).reusable_connection());
        for (name, queue) in self.queues.iter().zip(queues) {
            let (messages, consumers) = (queue.message_count(), queue.consumer_count());
            if let Some(limit) = self.min_consumers.filter(|limit| consumers < *limit) {
                return failed(format!("{consumers} consumers of the queue {name}, fewer than {limit}"));
            }
            if let Some(limit) = self.fail_messages.filter(|limit| messages > *limit) {
                return failed(format!("{messages} messages wait in the queue {name}, more than {limit}"));
            }
            if let Some(limit) = self.warn_messages.filter(|limit| messages > *limit) {
                seen = seen.warned(format!("{messages} messages wait in the queue {name}, more than {limit}"));
            }
        }
        Ok(seen)
    }
}

/// Reply codes to reading a queue: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>.
const NO_RIGHT: u16 = 403;
const IS_LOCKED: u16 = 405;
const IS_STREAM: u16 = 540;
