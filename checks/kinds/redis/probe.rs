//! Asks a server: the decisive commands, and `INFO` so that it does not spoil their replies.

use super::{
    CommandReply, Redis, Topology, cluster, failed,
    info::{InfoFields, text},
    round_trip::{KEY_PREFIX, KeyRoundTrip},
};
use crate::{
    contract::prelude::*,
    wire::{
        address::Address,
        optional::{Asking, PATIENCE, Refusal},
        race::AttemptFailure,
        resp::{RespConnection, failure},
    },
};
use redis::{ErrorKind, Pipeline, RedisError, ServerErrorKind};
use std::mem;
use tokio::time::timeout;

/// A connection to the server that is probed.
pub struct Node {
    /// The connection itself.
    pub(super) connection: RespConnection,
    /// Whether the slot of the key is being moved to this node, which then needs `ASKING`.
    asking: bool,
    /// Whether no probe has used it yet.
    is_new: bool,
    /// Whether a reply on it was not waited for, so that it must not be used again.
    is_spent: bool,
}

impl Node {
    pub(super) const fn new(connection: RespConnection, asking: bool) -> Self {
        Self { connection, asking, is_new: true, is_spent: false }
    }
}

/// The commands whose replies decide: `PING`; in a cluster `CLUSTER INFO`; `GET`, if a proxy may have answered `PING`; and the round trip of
/// a key.
struct Decisive {
    commands: Pipeline,
    in_cluster: bool,
    reads_key: bool,
    round_trip: Option<KeyRoundTrip>,
}

impl Decisive {
    fn new(check: &Redis, node: &Node, is_info_left_out: bool) -> Self {
        let in_cluster = check.is_cluster();
        let reads_key = is_info_left_out && check.reads_key();
        let round_trip = check.write.then(|| KeyRoundTrip::new(node.asking));
        let mut commands = pipeline();
        commands.cmd("PING");
        if in_cluster {
            commands.cmd("CLUSTER").arg("INFO");
        }
        if reads_key {
            commands.cmd("GET").arg(KEY_PREFIX);
        }
        if let Some(round_trip) = &round_trip {
            round_trip.add_to(&mut commands);
        }
        Self { commands, in_cluster, reads_key, round_trip }
    }
}

/// Commands of which each may fail without the others.
fn pipeline() -> Pipeline {
    let mut commands = redis::pipe();
    commands.ignore_errors();
    commands
}

#[async_trait]
impl Session for Redis {
    type Connection = Node;

    async fn open(&self) -> Result<Node, Failure> {
        match &self.topology {
            Topology::Standalone => self.server.open().await.map(|connection| Node::new(connection, false)),
            Topology::Sentinel(sentinels) => {
                let connection = sentinels.connect(&self.server, &|address| Box::pin(self.open_verified(address))).await?;
                Ok(Node::new(connection, false))
            }
            Topology::Cluster(seeds) => cluster::connect(&self.server, seeds, self.write).await,
        }
    }

    async fn ask(&self, node: &mut Node) -> Result<Observation, Failure> {
        if node.is_spent {
            return Err(Failure::unreachable("a reply on this connection was not waited for"));
        }
        let is_new = mem::replace(&mut node.is_new, false);
        let judged = if self.needs_info() { self.ask_with_info(node, is_new).await } else { self.ask_optionally(node, is_new).await };
        judged.map_err(|failure| {
            // With Sentinel, another server may be the primary by now: a new connection asks the sentinels again.
            let may_have_moved = matches!(self.topology, Topology::Sentinel(_));
            // Otherwise all replies were read, or the class says otherwise.
            if may_have_moved || node.is_spent { failure } else { failure.reusable_connection() }
        })
    }
}

impl Redis {
    /// Connects to a server that the sentinels named, which must confirm its role.
    async fn open_verified(&self, address: Address) -> Result<RespConnection, AttemptFailure> {
        let mut connection = self.server.open_at(&address, self.server.login()).await.map_err(AttemptFailure::not_reached)?;
        let (info,): (CommandReply,) =
            connection.query(redis::pipe().ignore_errors().cmd("INFO").arg("replication")).await.map_err(AttemptFailure::replied)?;
        let judged = text(Some(info)).and_then(|info| self.role.judge(&InfoFields::parse(&info)));
        judged.map(|()| connection).map_err(AttemptFailure::replied)
    }

    const fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster(_))
    }

    /// Whether `GET` shows that there is a server, where `INFO` does not: in a cluster and with `write` other commands do.
    const fn reads_key(&self) -> bool {
        !self.write && !self.is_cluster()
    }

    /// Sends everything in one round trip. `INFO` must be answered.
    async fn ask_with_info(&self, node: &mut Node, is_new: bool) -> Result<Observation, Failure> {
        let decisive = Decisive::new(self, node, false);
        let mut commands = decisive.commands.clone();
        commands.cmd("INFO");
        let mut replies = match node.connection.query::<Vec<CommandReply>>(&commands).await {
            Ok(replies) => replies,
            // A proxy closes the connection at INFO, and takes the other replies with it.
            Err(_) if is_new && node.connection.is_dropped() => {
                *node = self.open().await?;
                node.is_new = false;
                self.ask_without_info(node).await?;
                return Err(Failure::unhealthy("the server or a proxy closes the connection at INFO, which this check needs"));
            }
            Err(failure) => return Err(failure),
        };
        let info = text(replies.pop()).map_err(|failure| match failure.class() {
            FailureClass::Rejected => failure.saying("the user may not run INFO, which this check needs: grant `+info`"),
            _ => failure,
        });
        self.judge(decisive, replies, Some(info), self.observed_of(node))
    }

    /// Sends `INFO` as well, unless it has failed. Its reply only adds observed values, and warnings.
    async fn ask_optionally(&self, node: &mut Node, is_new: bool) -> Result<Observation, Failure> {
        let plan = self.info.plan();
        let decisive = Decisive::new(self, node, plan == Asking::LeftOut(Refusal::Unanswered));
        let unanswered = || self.info.failed(Refusal::Unanswered);
        let (replies, info): (Vec<CommandReply>, Option<CommandReply>) = match plan {
            Asking::Together => {
                let (mut commands, number) = (decisive.commands.clone(), decisive.commands.len());
                commands.cmd("INFO");
                match node.connection.query_first(&commands, number).await {
                    Ok(mut replies) => {
                        let info = replies.drain(number..).next();
                        (replies, info)
                    }
                    // A proxy closes the connection at INFO, and takes the other replies with it.
                    Err(_) if is_new && node.connection.is_dropped() => {
                        *node = self.open().await?;
                        node.is_new = false;
                        let seen = self.ask_without_info(node).await?;
                        unanswered();
                        return Ok(seen);
                    }
                    Err(failure) => return Err(failure),
                }
            }
            Asking::Separately => {
                let replies = node.connection.query(&decisive.commands).await?;
                // This probe may be dropped while it waits.
                unanswered();
                let mut commands = pipeline();
                let info = timeout(PATIENCE, node.connection.query::<(CommandReply,)>(commands.cmd("INFO"))).await;
                (replies, info.ok().and_then(Result::ok).map(|(info,)| info))
            }
            Asking::LeftOut(_) => {
                let replies = node.connection.query(&decisive.commands).await?;
                return self.judge(decisive, replies, None, self.observed_of(node));
            }
        };
        let seen = self.observed_of(node);
        if !is_pong(&replies) {
            // The server rejects both, and INFO is not to blame.
            self.info.answered();
            return self.judge(decisive, replies, None, seen);
        }
        let Some(info) = info else {
            unanswered();
            node.is_spent = true;
            return self.judge(decisive, replies, None, seen);
        };
        match text(Some(info)) {
            Ok(info) if InfoFields::parse(&info).server_version().is_some() => {
                self.info.answered();
                self.judge(decisive, replies, Some(Ok(info)), seen)
            }
            Err(failure) if failure.class() == FailureClass::Rejected => {
                self.info.failed(Refusal::Right);
                self.judge(decisive, replies, None, seen)
            }
            // A proxy replies itself, or has no server to ask.
            _ => {
                unanswered();
                let seen = self.judge(decisive, replies, None, seen)?;
                if self.reads_key() {
                    let (key,) = node.connection.query(pipeline().cmd("GET").arg(KEY_PREFIX)).await?;
                    judge_key(key).map_err(|failure| failed(failure, &seen))?;
                }
                Ok(seen)
            }
        }
    }

    /// Asks again on a new connection what `INFO` may have spoiled.
    async fn ask_without_info(&self, node: &mut Node) -> Result<Observation, Failure> {
        let decisive = Decisive::new(self, node, true);
        let replies = node.connection.query(&decisive.commands).await?;
        self.judge(decisive, replies, None, self.observed_of(node))
    }

    /// What was observed while a connection was opened.
    fn observed_of(&self, node: &mut Node) -> Observation {
        node.connection.take_phases().with_some("tls_verify", self.server.tls_verify())
    }

    /// Judges all replies, in the order of the commands.
    fn judge(
        &self,
        decisive: Decisive,
        replies: Vec<CommandReply>,
        info: Option<Result<String, Failure>>,
        mut seen: Observation,
    ) -> Result<Observation, Failure> {
        let mut replies = replies.into_iter();
        if text(replies.next())? != "PONG" {
            return Err(Failure::protocol("unexpected reply to PING"));
        }
        if let Some(info) = info.transpose()? {
            seen = self.judge_info(&InfoFields::parse(&info), seen)?;
        }
        if decisive.in_cluster {
            seen = cluster::judge(&InfoFields::parse(&text(replies.next())?), seen)?;
        }
        if decisive.reads_key {
            replies.next().map_or(Ok(()), judge_key).map_err(|failure| failed(failure, &seen))?;
        }
        if let Some(round_trip) = decisive.round_trip {
            round_trip.judge(replies).map_err(|failure| failed(failure, &seen))?;
        }
        Ok(seen)
    }
}

fn is_pong(replies: &[CommandReply]) -> bool {
    matches!(replies.first(), Some(Ok(Some(pong))) if pong == "PONG")
}

/// Judges the reply to `GET`, which shows whether a proxy reaches a server. The user may lack the right, and another node may have the key:
/// then a server replied.
fn judge_key(reply: CommandReply) -> Result<(), Failure> {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    let is_redirect = |error: &RedisError| matches!(error.kind(), ErrorKind::Server(Moved | Ask | TryAgain));
    match reply {
        Err(error) if !is_redirect(&error) => {
            let failure = failure(error);
            if failure.class() == FailureClass::Rejected { Ok(()) } else { Err(failure) }
        }
        _ => Ok(()),
    }
}
