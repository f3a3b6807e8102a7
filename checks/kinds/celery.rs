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
mod broker;
mod config;
mod envelope;
mod heartbeats;
mod naming;
mod pidbox;
mod redis;
mod verdict;

use crate::contract::prelude::*;
use broker::Broker;
pub use config::Config;
use pidbox::Requirements;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A check of one app's workers.
pub struct Celery {
    /// At least one.
    brokers: Vec<Broker>,
    /// The broker that is asked first.
    current: AtomicUsize,
    requirements: Arc<Requirements>,
    warn_backlog: Option<u64>,
    fail_backlog: Option<u64>,
}

impl Backend for Celery {
    const KIND: &'static str = "celery";
    const CATEGORY: Category = Category::Queue;
    const OTHER_NAMES: &'static [&'static str] = &["worker", "workers", "kombu", "flower"];
    const EXAMPLE: &'static str = r#"
broker = "amqps://app@mq.internal:5671/orders"
password = "${MQ_PASSWORD}"
queues = ["celery", "mails"]
min_workers = 2
warn_backlog = 1000
"#;
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let requirements = Arc::new(config.requirements()?);
        let brokers = Broker::all(&config, &requirements)?;
        let Config { warn_backlog, fail_backlog, .. } = config;
        Ok(Self { brokers, current: AtomicUsize::new(0), requirements, warn_backlog, fail_backlog })
    }
}

#[async_trait]
impl Check for Celery {
    /// Asks on one broker after the other, as the app's workers try them, until one has workers.
    async fn probe(&self) -> Result<Observation, Failure> {
        let (first, count) = (self.current.load(Ordering::Relaxed), self.brokers.len());
        let mut reason: Option<(bool, Failure)> = None;
        for index in (first..first + count).map(|turn| turn % count) {
            let broker = &self.brokers[index];
            // If this probe is dropped because the broker is silent, the next one begins with the next broker.
            self.current.store((index + 1) % count, Ordering::Relaxed);
            let (replied, has_workers, result) = match broker.inspect().await {
                Ok((seen, inspection)) => (true, broker.has_workers(&inspection), self.judge(broker, seen, inspection)),
                Err(failure) => (false, false, Err(failure)),
            };
            match result {
                // A broker that replied says more than one that is gone.
                Err(failure) if !has_workers => {
                    let is_better = reason.as_ref().is_none_or(|(earlier, _)| replied && !earlier);
                    reason = if is_better { Some((replied, failure)) } else { reason };
                }
                result => {
                    self.current.store(index, Ordering::Relaxed);
                    return result;
                }
            }
        }
        self.current.store(first, Ordering::Relaxed);
        Err(reason.map_or_else(|| Failure::internal("no broker to ask"), |(_, failure)| failure))
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        let mut warnings: Vec<ConfigWarning> = Vec::new();
        for warning in self.brokers.iter().flat_map(Broker::warnings) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }
}
