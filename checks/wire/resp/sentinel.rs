//! Redis Sentinel: each new connection asks the sentinels for the primary or the replicas:
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use super::{RespConnection, RespServer, failure, with_login};
use crate::{
    contract::{Failure, Secret},
    wire::{
        address::Address,
        race::{AttemptFailure, TriedAddresses, first_success},
    },
};
use futures_util::future::BoxFuture;
use redis::{FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, RedisResult};
#[cfg(feature = "redis")]
use std::collections::HashMap;

/// Maximum number of replicas that are tried.
#[cfg(feature = "redis")]
const MAX_REPLICAS: usize = 16;

/// The sentinels, and which server they are asked for.
pub(crate) struct Sentinels {
    pub(crate) addresses: Vec<Address>,
    /// The login to the sentinels.
    pub(crate) login: RedisConnectionInfo,
    /// The name of the primary in their configuration.
    pub(crate) name: String,
    pub(crate) wanted: WantedServer,
}

/// The server that the sentinels are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WantedServer {
    Primary,
    /// Any replica.
    #[cfg(feature = "redis")]
    Replica,
}

/// The login to the sentinels, which have their own users.
pub(crate) fn login(username: Option<&str>, password: Option<&Secret>) -> RedisConnectionInfo {
    with_login(RedisConnectionInfo::default(), username, password)
}

impl Sentinels {
    /// Connects, by `open`, to the server that the first working sentinel names.
    pub(crate) async fn connect<'a>(
        &'a self,
        server: &'a RespServer,
        open: &(dyn Fn(Address) -> BoxFuture<'a, Result<RespConnection, AttemptFailure>> + Send + Sync),
    ) -> Result<RespConnection, Failure> {
        let tried = TriedAddresses::default();
        first_success(self.addresses.iter().map(|sentinel| self.find(server, sentinel, &tried, open)).collect()).await
    }

    async fn find<'a>(
        &'a self,
        server: &'a RespServer,
        sentinel: &'a Address,
        tried: &TriedAddresses,
        open: &(dyn Fn(Address) -> BoxFuture<'a, Result<RespConnection, AttemptFailure>> + Send + Sync),
    ) -> Result<RespConnection, AttemptFailure> {
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
        first_success(others.into_iter().map(open).collect()).await.map_err(AttemptFailure::replied)
    }

    /// The servers that a sentinel names: at least one.
    async fn ask(&self, connection: &mut RespConnection) -> Result<Vec<Address>, Failure> {
        let mut commands = redis::pipe();
        commands.ignore_errors().cmd("SENTINEL");
        match self.wanted {
            #[cfg(feature = "redis")]
            WantedServer::Replica => {
                let replicas: Vec<HashMap<String, String>> = self.query(connection, commands.arg("REPLICAS").arg(&self.name)).await?;
                let up: Vec<Address> = replicas.iter().filter_map(reachable_address).take(MAX_REPLICAS).collect();
                if up.is_empty() { Err(Failure::unhealthy(format!("no replica of {} is up", self.name))) } else { Ok(up) }
            }
            WantedServer::Primary => {
                let primary: Option<(String, u16)> =
                    self.query(connection, commands.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name)).await?;
                let (host, port) = primary.ok_or_else(|| self.unknown())?;
                Ok(vec![Address::new(&host, port)])
            }
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
}

/// The address of a replica that its sentinel can reach.
#[cfg(feature = "redis")]
fn reachable_address(replica: &HashMap<String, String>) -> Option<Address> {
    let flags = replica.get("flags")?;
    let down = flags.split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"));
    let port = replica.get("port")?.parse().ok()?;
    (!down).then_some(Address::new(replica.get("ip")?, port))
}

#[cfg(all(test, feature = "redis"))]
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
