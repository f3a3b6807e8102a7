//! Redis Sentinel: each new connection asks the sentinels for the primary or the replicas, and the server must confirm its role:
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use super::{
    CommandReply, RedisRole,
    info::{InfoFields, text},
};
use crate::{
    contract::prelude::*,
    wire::{
        address::Address,
        race::{AttemptFailure, TriedAddresses, first_success},
        resp::{RespConnection, RespServer, failure},
    },
};
use redis::{FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, RedisResult};
use std::collections::HashMap;

/// Maximum number of replicas that are tried.
const MAX_REPLICAS: usize = 16;

/// The sentinels, and which server they are asked for.
pub(super) struct Sentinels {
    pub(super) addresses: Vec<Address>,
    /// The login to the sentinels.
    pub(super) login: RedisConnectionInfo,
    /// The name of the primary in their configuration.
    pub(super) name: String,
    /// The required role of the server.
    pub(super) role: RedisRole,
}

impl Sentinels {
    /// Connects to the server that the first working sentinel names.
    pub(super) async fn connect(&self, server: &RespServer) -> Result<RespConnection, Failure> {
        let tried = TriedAddresses::default();
        first_success(self.addresses.iter().map(|sentinel| self.find(server, sentinel, &tried)).collect()).await
    }

    async fn find(&self, server: &RespServer, sentinel: &Address, tried: &TriedAddresses) -> Result<RespConnection, AttemptFailure> {
        let prefixed = |failure: Failure| {
            let message = format!("sentinel: {}", failure.message());
            failure.saying(message)
        };
        let mut connection =
            server.open_at(sentinel, &self.login).await.map_err(|failure| AttemptFailure::not_reached(prefixed(failure)))?;
        let named = self.ask(&mut connection).await.map_err(|failure| AttemptFailure::replied(prefixed(failure)))?;
        drop(connection);
        // A server in trouble is tried once, however many sentinels name it.
        let others: Vec<Address> = named.into_iter().filter(|address| tried.is_new(address)).collect();
        if others.is_empty() {
            return Err(AttemptFailure::not_reached(Failure::unreachable("another sentinel named it already")));
        }
        first_success(others.iter().map(|address| self.open_verified(server, address)).collect()).await.map_err(AttemptFailure::replied)
    }

    /// The servers that a sentinel names: at least one.
    async fn ask(&self, connection: &mut RespConnection) -> Result<Vec<Address>, Failure> {
        let mut commands = redis::pipe();
        commands.ignore_errors().cmd("SENTINEL");
        if self.role == RedisRole::Replica {
            let replicas: Vec<HashMap<String, String>> = self.query(connection, commands.arg("REPLICAS").arg(&self.name)).await?;
            let up: Vec<Address> = replicas.iter().filter_map(reachable_address).take(MAX_REPLICAS).collect();
            if up.is_empty() { Err(Failure::unhealthy(format!("no replica of {} is up", self.name))) } else { Ok(up) }
        } else {
            let primary: Option<(String, u16)> = self.query(connection, commands.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name)).await?;
            let (host, port) = primary.ok_or_else(|| self.unknown())?;
            Ok(vec![Address::new(&host, port)])
        }
    }

    /// Runs a command. Sentinel has only the code `ERR` for these errors, so the text decides.
    async fn query<T: FromRedisValue>(&self, connection: &mut RespConnection, command: &Pipeline) -> Result<T, Failure> {
        let (reply,): (RedisResult<T>,) = connection.query(command).await?;
        reply.map_err(|error: RedisError| match error.detail() {
            Some(detail) if detail.contains("No such master") => self.unknown().because(error),
            Some(detail) if detail.contains("unknown command") => Failure::unhealthy("the server is not a sentinel").because(error),
            _ => failure(error),
        })
    }

    fn unknown(&self) -> Failure {
        Failure::unhealthy(format!("no primary named {} is known", self.name))
    }

    /// Connects to a server, which must confirm its role.
    async fn open_verified(&self, server: &RespServer, address: &Address) -> Result<RespConnection, AttemptFailure> {
        let mut connection = server.open_at(address, server.login()).await.map_err(AttemptFailure::not_reached)?;
        let (info,): (CommandReply,) =
            connection.query(redis::pipe().ignore_errors().cmd("INFO").arg("replication")).await.map_err(AttemptFailure::replied)?;
        let judged = text(Some(info)).and_then(|info| self.role.judge(&InfoFields::parse(&info)));
        judged.map(|()| connection).map_err(AttemptFailure::replied)
    }
}

/// The address of a replica that its sentinel can reach.
fn reachable_address(replica: &HashMap<String, String>) -> Option<Address> {
    let flags = replica.get("flags")?;
    let down = flags.split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"));
    let port = replica.get("port")?.parse().ok()?;
    (!down).then_some(Address::new(replica.get("ip")?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_its_sentinel_cannot_reach_is_passed_over() {
        let replica = |flags: &str| {
            let fields = [("ip", "::1"), ("port", "6380"), ("flags", flags)];
            reachable_address(&fields.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        };
        assert_eq!(replica("slave"), Some(Address::new("::1", 6380)));
        assert_eq!(replica("s_down,slave,disconnected"), None);
    }
}
