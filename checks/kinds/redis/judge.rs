//! Judges what a server reports about itself in `INFO`.

use super::{Redis, RedisRole, failed, info::InfoFields};
use crate::contract::prelude::*;

impl Redis {
    /// Whether something is required of `INFO`.
    pub(super) const fn needs_info(&self) -> bool {
        !matches!(self.role, RedisRole::Any) || self.require_replica_link || self.warn_memory.is_some() || self.fail_memory.is_some()
    }

    /// Judges the fields, and observes some of them.
    pub(super) fn judge_info(&self, info: &InfoFields<'_>, seen: Observation) -> Result<Observation, Failure> {
        let role = RedisRole::from_info(info);
        let mut seen = seen
            .with_some("server_version", info.server_version())
            .with_some("role", role.map(|role| if role == RedisRole::Primary { "primary" } else { "replica" }))
            .with_some("used_memory_bytes", info.number("used_memory"))
            .with_some("maxmemory_bytes", info.number("maxmemory").filter(|limit| *limit > 0))
            .with_some("connected_clients", info.number("connected_clients"));
        if info.get("redis_mode").or(info.get("server_mode")) == Some("sentinel") {
            return Err(failed(Failure::unhealthy("the server is a sentinel: set `mode = \"sentinel\"`"), &seen));
        }
        self.role.judge(info).map_err(|failure| failed(failure, &seen))?;
        if self.require_replica_link && role == Some(RedisRole::Replica) && info.get("master_link_status") != Some("up") {
            return Err(failed(Failure::unhealthy("the replica's link to its primary is down"), &seen));
        }
        // Valkey and Redis since version 6.2, during the command FAILOVER: writes wait until it ends.
        if info.get("master_failover_state").is_some_and(|state| state != "no-failover") {
            seen = seen.warned("a failover is in progress: writes wait until it ends");
        }
        self.judge_memory(info, seen)
    }

    fn judge_memory(&self, info: &InfoFields<'_>, seen: Observation) -> Result<Observation, Failure> {
        let (Some(used), Some(limit @ 1..)) = (info.number("used_memory"), info.number("maxmemory")) else { return Ok(seen) };
        let share = u128::from(used) * 100 / u128::from(limit);
        let passed = |threshold: Option<Share>| {
            let threshold = threshold.filter(|threshold| threshold.is_exceeded(used, limit))?;
            Some(format!("{share}% of the server's memory is used, more than {threshold}"))
        };
        if let Some(message) = passed(self.fail_memory) {
            return Err(failed(Failure::unhealthy(message), &seen));
        }
        Ok(match passed(self.warn_memory) {
            Some(message) => seen.warned(message),
            None => seen,
        })
    }
}
