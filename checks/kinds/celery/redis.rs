//! Celery's remote control over Redis: the lists, sets and channels of kombu.
//!
//! A worker pushes its reply to a list, and a late one would create that list again after we have gone, forever. So the replies go to an
//! exchange of our own, whose only binding is a set that expires; without a binding kombu drops the reply. The list expires later than the
//! binding, and always contains a placeholder, because an empty list loses its expiry. Each command creates both again, in one transaction.
//!
//! A worker that splits the binding at another separator logs a traceback. So the bindings of the workers' own mailboxes are looked at first,
//! if the rights permit it.

mod backlog;

use super::{
    envelope::{pack, unpack},
    heartbeats::Heartbeats,
    naming::NamingKeys,
    pidbox::{Inspection, Requirements, unique},
};
use crate::{
    contract::{ConfigWarning, Failure, Observation},
    wire::{
        race::AttemptFailure,
        resp::{self, RespConnection, RespServer, sentinel::Sentinels},
    },
};
use redis::{PushInfo, PushKind, RedisError, RedisResult, Value};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Seconds that a binding outlives `patience`.
const BINDING_EXTRA_SECONDS: u64 = 10;
/// Seconds that the list of replies outlives the binding.
const LIST_EXTRA_SECONDS: u64 = 50;

/// The routing key of replies, on our own exchange.
const ROUTE: &str = "reply";

/// The first pause between two looks for replies; each pause is twice as long as the last.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause between two looks for replies.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Number of replies that are read at once.
const PAGE_SIZE: isize = 20;

/// Maximum size of that many replies. A list of reserved tasks contains their arguments.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// Number of bindings of mailboxes that are looked at. If there are more, nothing is concluded: dead workers leave theirs behind.
const MAX_BINDINGS: usize = 200;

/// A Redis server as a broker, or the one that sentinels name.
pub(super) struct RedisBroker {
    pub(super) server: RespServer,
    pub(super) sentinels: Option<Sentinels>,
    /// About parts of a Sentinel URL without effect.
    pub(super) url_warnings: Vec<ConfigWarning>,
    names: NamingKeys,
    mailbox: Mailbox,
}

/// Where this check receives replies. The names belong to the check, not to a connection, so that a very late worker finds a key that is
/// about to expire.
struct Mailbox {
    /// `amq.`: kombu takes such an exchange for one of the broker, and does not remember it.
    exchange: String,
    list: String,
    bindings: String,
    binding: String,
    command_channel: String,
}

/// A connection to Redis.
pub(super) struct RedisControl {
    connection: RespConnection,
    /// Whether heartbeats arrive.
    is_listening: bool,
    /// Whether the workers are known to use our separator, or nothing can be known.
    is_separator_checked: bool,
}

impl RedisControl {
    pub(super) fn take_phases(&mut self) -> Observation {
        self.connection.take_phases()
    }
}

impl RedisBroker {
    pub(super) fn new(server: RespServer, sentinels: Option<Sentinels>, url_warnings: Vec<ConfigWarning>, names: NamingKeys) -> Self {
        let id = unique();
        let (exchange, queue) = (format!("amq.allswell.{id}"), names.own_queue(&id));
        let mailbox = Mailbox {
            list: names.list(&queue),
            bindings: names.bindings(&exchange),
            binding: names.binding(ROUTE, &queue),
            command_channel: names.command_channel(server.database()),
            exchange,
        };
        Self { server, sentinels, url_warnings, names, mailbox }
    }

    pub(super) fn warnings(&self) -> Vec<ConfigWarning> {
        let sentinels = self.sentinels.as_ref();
        let has_password = self.server.has_password() || sentinels.is_some_and(|sentinels| sentinels.login.password().is_some());
        let others = sentinels.map_or(&[][..], |sentinels| &sentinels.addresses);
        let mut warnings = self.server.warnings("broker", has_password, others);
        warnings.extend(self.url_warnings.iter().cloned());
        warnings
    }

    /// Connects, and subscribes to heartbeats if the rights permit it.
    pub(super) async fn open(&self, heartbeats: &Arc<Heartbeats>) -> Result<RedisControl, Failure> {
        let listener = || {
            let heartbeats = Arc::clone(heartbeats);
            move |push: PushInfo| record_event(&push, &heartbeats)
        };
        let connection = match &self.sentinels {
            None => self.server.open_listening(listener()).await?,
            Some(sentinels) => {
                let open = |address| {
                    let listener = listener();
                    let opened =
                        async move { self.server.open_listening_at(&address, listener).await.map_err(AttemptFailure::not_reached) };
                    Box::pin(opened) as _
                };
                sentinels.connect(&self.server, &open).await?
            }
        };
        let mut control = RedisControl { connection, is_listening: false, is_separator_checked: false };
        self.listen(&mut control).await?;
        Ok(control)
    }

    /// Subscribes to the events of workers about themselves. A second subscription changes nothing.
    async fn listen(&self, control: &mut RedisControl) -> Result<(), Failure> {
        control.connection.refill();
        match control.connection.connection.psubscribe(self.names.event_pattern(self.server.database())).await {
            Err(error) if error.is_io_error() => return Err(refused(error)),
            subscribed => control.is_listening = subscribed.is_ok(),
        }
        Ok(())
    }

    /// Sends the commands to the workers, and collects replies until they prove enough.
    pub(super) async fn ask(
        &self,
        control: &mut RedisControl,
        requirements: &Requirements,
        heartbeats: &Heartbeats,
    ) -> Result<Inspection, Failure> {
        if requirements.needs_heartbeats() && !control.is_listening {
            return Err(super::heartbeats::forbidden());
        }
        control.connection.refill();
        if !requirements.remote_control {
            return self.listen_only(control, requirements, heartbeats).await;
        }
        if !control.is_separator_checked {
            self.check_separator(control).await?;
        }
        let idle = requirements.warn_stuck.map_or_else(BTreeSet::new, |limit| heartbeats.to_ask(limit));
        let mut inspection = Inspection::new(idle);
        let commands = inspection.commands(requirements, &self.mailbox.exchange, ROUTE);
        let lasting = requirements.patience.0.as_secs() + BINDING_EXTRA_SECONDS;
        let Mailbox { list, bindings, binding, command_channel, .. } = &self.mailbox;
        let mut pipe = redis::pipe();
        // All in one round trip. The driver's own transactions do not work if `MULTI` is forbidden.
        pipe.ignore_errors().cmd("MULTI");
        pipe.cmd("DEL").arg(list);
        pipe.cmd("RPUSH").arg(list).arg("");
        pipe.cmd("EXPIRE").arg(list).arg(lasting + LIST_EXTRA_SECONDS);
        pipe.cmd("SADD").arg(bindings).arg(binding);
        pipe.cmd("EXPIRE").arg(bindings).arg(lasting);
        for command in &commands {
            pipe.cmd("PUBLISH").arg(command_channel).arg(pack(command, &self.names.command_exchange()));
        }
        pipe.cmd("EXEC");
        let asked = pipe.len();
        // After the transaction, because a missing right would undo it.
        let lists = backlog::add_to(&mut pipe, &self.names, requirements);
        let mut replies: Vec<RedisResult<Value>> = pipe.query_async(&mut control.connection.connection).await.map_err(refused)?;
        let waits = replies.split_off(asked.min(replies.len()));
        // The first rejection is the reason for those after it.
        let done = replies.into_iter().map(|reply| reply?.extract_error()).collect::<RedisResult<Vec<_>>>().map_err(refused)?;
        let done: Vec<u64> =
            done.into_iter().last().map(redis::from_redis_value).transpose().map_err(Failure::protocol)?.unwrap_or_default();
        backlog::count(&mut inspection, requirements, &lists, waits)?;
        let listeners = done.last().copied().unwrap_or_default();
        inspection.has_no_listener = listeners == 0;
        if inspection.has_no_listener {
            return Ok(inspection);
        }
        self.collect(control, requirements, &mut inspection).await?;
        Ok(inspection)
    }

    /// Waits for heartbeats instead of replies. The subscription is repeated, which shows that the connection works.
    async fn listen_only(
        &self,
        control: &mut RedisControl,
        requirements: &Requirements,
        heartbeats: &Heartbeats,
    ) -> Result<Inspection, Failure> {
        self.listen(control).await?;
        control.connection.refill();
        let mut inspection = Inspection::default();
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        let lists = backlog::add_to(&mut pipe, &self.names, requirements);
        let waits: Vec<RedisResult<Value>> = pipe.query_async(&mut control.connection.connection).await.map_err(refused)?;
        backlog::count(&mut inspection, requirements, &lists, waits)?;
        heartbeats.wait_until(Inspection::deadline(requirements), |workers| requirements.are_met_by(workers)).await;
        Ok(inspection)
    }

    /// Looks at the bindings of the workers' mailboxes, which the workers made with their separator.
    async fn check_separator(&self, control: &mut RedisControl) -> Result<(), Failure> {
        let mut look = redis::pipe();
        look.ignore_errors().cmd("SRANDMEMBER").arg(self.names.bindings(&self.names.command_exchange())).arg(MAX_BINDINGS);
        let (bindings,): (RedisResult<Vec<Vec<u8>>>,) = look.query_async(&mut control.connection.connection).await.map_err(refused)?;
        control.connection.refill();
        // Without the right, nothing is known.
        let Ok(bindings) = bindings else {
            control.is_separator_checked = true;
            return Ok(());
        };
        if bindings.len() < MAX_BINDINGS && self.names.contradicts(&bindings) {
            let message = "the workers use another separator: set `separator` to `sep` in the app's `broker_transport_options`";
            return Err(Failure::unhealthy(message).reusable_connection());
        }
        control.is_separator_checked = !bindings.is_empty();
        Ok(())
    }

    /// Reads replies as they arrive. They are pushed to the left, so those read already are at the right, and the placeholder is last.
    async fn collect(&self, control: &mut RedisControl, requirements: &Requirements, inspection: &mut Inspection) -> Result<(), Failure> {
        let deadline = Inspection::deadline(requirements);
        let (mut read, mut pause) = (1, MIN_PAUSE);
        while !inspection.proves(requirements) && Instant::now() < deadline {
            // The last look is at the deadline, so that everything that has arrived by then counts.
            sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(MAX_PAUSE);
            loop {
                control.connection.refill_to(MAX_PAGE_BYTES);
                let page = redis::cmd("LRANGE").arg(&self.mailbox.list).arg(-read - PAGE_SIZE).arg(-read - 1).to_owned();
                let page: Vec<Vec<u8>> = page.query_async(&mut control.connection.connection).await.map_err(refused)?;
                for reply in page.iter().filter_map(|reply| unpack(reply)) {
                    inspection.record(&reply, requirements);
                }
                let found = page.len().try_into().unwrap_or(PAGE_SIZE);
                read += found;
                if found < PAGE_SIZE {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// `pmessage`: the pattern, the channel and the message.
fn record_event(push: &PushInfo, heartbeats: &Heartbeats) {
    if push.kind == PushKind::PMessage
        && let Some(Value::BulkString(published)) = push.data.get(2)
        && let Some(event) = unpack(published)
    {
        heartbeats.record(&event.body);
    }
}

/// After the login, a rejection concerns rights, and an end is a truncated reply.
fn refused(error: RedisError) -> Failure {
    match error.code() {
        Some("NOPERM") => Failure::rejected("the user may not send commands to the workers").because(error),
        Some("READONLY") => Failure::unhealthy("the server is a replica, and read-only").because(error),
        _ => resp::failure(error).truncated(),
    }
}
