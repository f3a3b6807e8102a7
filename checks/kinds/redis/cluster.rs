//! Redis Cluster: any node reports the state of the cluster. With `write`, the connection goes to the node that has the slot of the key.

use super::{
    CommandReply, Node,
    info::{InfoFields, text},
    round_trip::KEY_PREFIX,
};
use crate::{
    contract::prelude::*,
    wire::{
        address::Address,
        race::{AttemptFailure, TriedAddresses, first_success},
        resp::{RespConnection, RespServer, failure},
    },
};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Maximum number of redirects between nodes: while slots are moved, what nodes know of each other is seconds old.
const MAX_HOPS: usize = 5;

/// Number of slots of every cluster: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
const SLOTS: u64 = 16_384;

/// Connects to the first node that works; with `write`, to the node that has the slot of the key.
pub(super) async fn connect(server: &RespServer, seeds: &[Address], write: bool) -> Result<Node, Failure> {
    let tried = TriedAddresses::default();
    first_success(seeds.iter().map(|seed| find(server, seed, write, &tried)).collect()).await
}

async fn find(server: &RespServer, seed: &Address, write: bool, tried: &TriedAddresses) -> Result<Node, AttemptFailure> {
    if !tried.is_new(seed) {
        return Err(AttemptFailure::not_reached(Failure::unreachable("this node was tried already")));
    }
    let connection = server.open_at(seed, server.login()).await.map_err(AttemptFailure::not_reached)?;
    follow_redirects(server, seed.clone(), connection, write).await.map_err(AttemptFailure::replied)
}

/// Follows the redirects of the nodes.
async fn follow_redirects(server: &RespServer, mut address: Address, mut connection: RespConnection, write: bool) -> Result<Node, Failure> {
    let mut asking = false;
    for _ in 0..MAX_HOPS {
        let mut commands = redis::pipe();
        commands.ignore_errors().cmd("CLUSTER").arg("INFO");
        if asking {
            commands.cmd("ASKING").ignore();
        }
        if write {
            commands.cmd("GET").arg(KEY_PREFIX);
        }
        let mut replies = connection.query::<Vec<CommandReply>>(&commands).await?.into_iter();
        judge(&InfoFields::parse(&text(replies.next())?), Observation::pass())?;
        let Some(Err(error)) = replies.next() else { return Ok(Node::new(connection, asking)) };
        let Some(there) = redirected(&error, &address) else { return Err(failure(error)) };
        asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
        connection = server.open_at(&there, server.login()).await?;
        address = there;
    }
    Err(Failure::unhealthy("the nodes of the cluster do not agree which of them has the key"))
}

/// The address to which a node redirects. A node that does not know its own name leaves it out: then it is the node that replied.
fn redirected(error: &RedisError, asked: &Address) -> Option<Address> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    let host = if matches!(host, "" | "?") { &asked.host } else { host };
    Some(Address::new(host, port.parse().ok()?))
}

/// Judges what a node reports about the cluster.
pub(super) fn judge(info: &InfoFields<'_>, seen: Observation) -> Result<Observation, Failure> {
    let state = info.get("cluster_state").ok_or_else(|| Failure::protocol("no cluster_state"))?;
    let seen = seen.with("cluster_state", state);
    if state != "ok" {
        return Err(super::failed(Failure::unhealthy("the cluster is down"), &seen));
    }
    // A cluster may be configured to go on without some of its keys.
    match info.number("cluster_slots_ok").map(|slots| SLOTS.saturating_sub(slots)) {
        Some(lost @ 1..) => Ok(seen.warned(format!("{lost} of the cluster's {SLOTS} slots have no working node"))),
        _ => Ok(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_some_slots_goes_on_with_a_warning() {
        let judged = |text| judge(&InfoFields::parse(text), Observation::pass());
        assert_eq!(judged("cluster_state:ok\r\ncluster_slots_ok:16384\r\n").expect("it is well").warning(), None);
        let partial = judged("cluster_state:ok\r\ncluster_slots_ok:16000\r\n").expect("it goes on");
        assert_eq!(partial.warning(), Some("384 of the cluster's 16384 slots have no working node"));
        let down = judged("cluster_state:fail\r\n").expect_err("it is down");
        assert_eq!((down.message(), &down.values()["cluster_state"]), ("the cluster is down", &"fail".into()));
        assert_eq!(judged("nonsense").expect_err("it is nonsense").class(), FailureClass::Protocol);
    }
}
