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

mod discovery;

use crate::{
    contract::prelude::*,
    wire::{
        amqp::{self, AmqpBroker, AmqpConnection, failure, queue_failure},
        tls::TlsKeys,
    },
};
use futures_util::future::{join, try_join_all};
use lapin::{Channel, Queue, options::QueueDeclareOptions, types::FieldTable};
use serde_json::{Map, Value, json};

/// Opens a channel, and checks that the named queues exist. Observes the number of messages and consumers of each queue, with optional
/// limits.
///
/// The connection is kept. The check creates nothing and touches no message. It therefore does not notice when the broker blocks publishers
/// because memory or disk space runs out; the kind `celery`, which publishes, does.
///
/// Required rights: to log in to the vhost, `rabbitmqctl set_permissions -p VHOST USER '^$' '^$' '^$'`.
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
    /// Queues that must exist.
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
    kept: Kept<RabbitmqClient>,
}

impl Backend for Rabbitmq {
    const KIND: &'static str = "rabbitmq";
    const CATEGORY: Category = Category::Queue;
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
        Ok(Self { broker, queues, warn_messages, fail_messages, min_consumers, kept })
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

/// A connection, and the channel of the last probe.
pub struct RabbitmqClient {
    amqp: AmqpConnection,
    channel: Channel,
}

#[async_trait]
impl Session for Rabbitmq {
    type Connection = RabbitmqClient;

    async fn open(&self) -> Result<RabbitmqClient, Failure> {
        let amqp = self.broker.open().await?;
        let channel = amqp.connection.create_channel().await.map_err(failure)?;
        Ok(RabbitmqClient { amqp, channel })
    }

    async fn ask(&self, client: &mut RabbitmqClient) -> Result<Observation, Failure> {
        client.amqp.refill();
        if !client.channel.status().connected() {
            // A missing queue closes the channel only.
            client.channel = client.amqp.connection.create_channel().await.map_err(broken)?;
        }
        let seen = client.amqp.take_phases().with_some("server_version", client.amqp.server_version.clone());
        let seen = seen.with_some("tls_verify", self.broker.tls_verify());
        if self.queues.is_empty() {
            // Opening a channel shows that the broker works. The old channel is closed in the same round trip.
            let (opened, closed) = join(client.amqp.connection.create_channel(), client.channel.close(200, "".into())).await;
            closed.map_err(broken)?;
            client.channel = opened.map_err(broken)?;
            return Ok(seen);
        }
        // All at once: one round trip for all queues.
        let queues = try_join_all(self.queues.iter().map(|name| look_at(&client.channel, name))).await?;
        self.judge(seen, &queues)
    }

    async fn hang_up(client: RabbitmqClient) {
        client.amqp.hang_up(client.channel);
    }
}

impl Rabbitmq {
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

/// Declares a queue passively: it must exist already.
async fn look_at(channel: &Channel, name: &str) -> Result<Queue, Failure> {
    let options = QueueDeclareOptions::default().passive();
    let declared = channel.queue_declare(name.into(), options, FieldTable::default()).await;
    declared.map_err(|error| {
        let failure = queue_failure(name, error).truncated();
        // An error of a queue closes the channel only: the connection can be reused.
        if matches!(failure.class(), FailureClass::Unhealthy | FailureClass::Rejected) { failure.reusable_connection() } else { failure }
    })
}

/// After the login, an end is a truncated reply.
fn broken(error: lapin::Error) -> Failure {
    failure(error).truncated()
}
