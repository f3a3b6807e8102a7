//! What a server reports about itself, in every variant of the protocol's servers.

use super::{
    failure,
    reasons::{GALERA_NOT_READY, reason},
};
use crate::{
    contract::{Failure, Observation},
    sql::server::{Lag, ServerInfo, ServerRole, SqlServer},
};
use sqlx::{Column, Error, Row};
use sqlx_mysql::{MySqlDatabaseError, MySqlRow};
use std::time::Duration;

/// Every user may read the variables, but not the state of replication, and not every server with this protocol has either.
pub(super) const SERVER: SqlServer<MySqlRow> = SqlServer {
    variants: &[
        // MariaDB has one row for each source with `ALL`, MySQL without it.
        &[VARIABLES, STATUS, QUERY_TIMEOUT, "SHOW ALL REPLICAS STATUS"],
        &[VARIABLES, STATUS, QUERY_TIMEOUT, "SHOW REPLICA STATUS"],
        &[VARIABLES, STATUS, QUERY_TIMEOUT],
        &["SELECT 1"],
    ],
    quote: '`',
    text,
    failure,
    // Proxies and other servers with this protocol reject the optional statements in many ways. The last variant decides.
    is_refusal: |error| database_error(error).is_some_and(|error| reason(error.number(), error.message()).is_about_statement),
    is_no_table: |error| database_error(error).is_some_and(|error| error.number() == 1146),
};
const VARIABLES: &str = "SELECT 1, @@version, @@read_only, @@innodb_read_only, @@max_connections, @@innodb_force_recovery";
/// After a probe is dropped, the server goes on with its query, and each probe would add another. So the server ends each query after 30 s.
/// `MariaDB` and `MySQL` each run their own part.
const QUERY_TIMEOUT: &str =
    "SET @allswell = 1 /*M!100101 , SESSION max_statement_time = 30 */ /*!50708 , SESSION max_execution_time = 30000 */";
const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'wsrep_ready', 'wsrep_local_state_comment')";

/// The results of one of the variants.
pub(super) struct ServerState(pub(super) Vec<Vec<MySqlRow>>);

impl ServerState {
    /// A column of the first row of [`VARIABLES`].
    fn variable(&self, column: usize) -> Option<String> {
        self.0.first()?.first().and_then(|row| text(row, column))
    }

    fn status(&self, name: &str) -> Option<String> {
        let rows = self.0.get(1)?;
        rows.iter().find(|row| text(row, 0).is_some_and(|found| found == name)).and_then(|row| text(row, 1))
    }

    pub(super) fn version(&self) -> Option<String> {
        self.variable(1)
    }

    /// The state as the limits see it. A read-only server counts as a replica, unless `role` requires a primary: then it is one only if it
    /// follows a source, and otherwise just read-only.
    pub(super) fn info(&self, role: ServerRole) -> ServerInfo {
        // A word since MariaDB 12: OFF, ON, NO_LOCK, NO_LOCK_NO_ADMIN.
        let is_on = |value: &String| !matches!(value.as_str(), "0" | "OFF");
        let is_recovery_read_only = self.forced_recovery() >= READ_ONLY_RECOVERY;
        let read_only =
            self.variable(2).map(|value| is_on(&value) || self.variable(3).as_ref().is_some_and(is_on) || is_recovery_read_only);
        let in_use = self.status("Threads_connected").and_then(|connections| connections.parse().ok());
        let max = self.variable(4).and_then(|max| max.parse().ok());
        let lag = self.0.get(3).map(|sources| sources.iter().map(behind).max().unwrap_or(Lag::None));
        let follows = matches!(lag, Some(Lag::Behind(_) | Lag::Stopped));
        let replica = read_only.map(|read_only| read_only && (follows || role != ServerRole::Primary));
        ServerInfo { replica, read_only, lag, connections: in_use.zip(max) }
    }

    fn forced_recovery(&self) -> u8 {
        self.variable(5).and_then(|level| level.parse().ok()).unwrap_or(0)
    }

    /// Fails if the server replies, but could not run a query of the application.
    pub(super) fn judge_usable(&self) -> Result<(), Failure> {
        // Servers without Galera have `wsrep_ready`, too.
        let is_node = self.status("wsrep_local_state_comment").is_some();
        if is_node && self.status("wsrep_ready").is_some_and(|ready| ready != "ON") {
            return Err(Failure::unhealthy(GALERA_NOT_READY));
        }
        Ok(())
    }

    /// Adds warnings about a server that works, but not as it should.
    pub(super) fn warned(&self, seen: Observation) -> Observation {
        let seen = match self.status("wsrep_local_state_comment") {
            Some(state) if state != "Synced" => seen.warned("the Galera node is not in sync with its cluster"),
            _ => seen,
        };
        if self.forced_recovery() > 0 { seen.warned("the server runs with `innodb_force_recovery`") } else { seen }
    }
}

/// From this level on, tables are read-only: <https://mariadb.com/docs/server/server-usage/storage-engines/innodb/innodb-troubleshooting/innodb-recovery-modes>.
const READ_ONLY_RECOVERY: u8 = 4;

/// How far a server is behind one of its sources.
fn behind(source: &MySqlRow) -> Lag {
    let fields = source.columns().iter().enumerate().map(|(index, column)| (column.name(), text(source, index)));
    lag(fields.collect::<Vec<_>>().iter().map(|(name, value)| (*name, value.as_deref())))
}

/// The lag by the fields of `SHOW REPLICA STATUS`, old names and new ones. `MySQL` may report a lag of 0 without a connection to its source
/// (<https://bugs.mysql.com/bug.php?id=82499>), so both threads must run as well.
fn lag<'a>(fields: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Lag {
    let (mut seconds, mut is_running) = (None, true);
    for (name, value) in fields {
        match name {
            "Seconds_Behind_Source" | "Seconds_Behind_Master" => seconds = value.and_then(|seconds| seconds.parse().ok()),
            "Replica_IO_Running" | "Replica_SQL_Running" | "Slave_IO_Running" | "Slave_SQL_Running" => is_running &= value == Some("Yes"),
            _ => {}
        }
    }
    seconds.filter(|_| is_running).map_or(Lag::Stopped, |seconds| Lag::Behind(Duration::from_secs(seconds)))
}

/// A column in the text form in which this protocol sends everything.
fn text(row: &MySqlRow, column: usize) -> Option<String> {
    row.try_get_unchecked::<Option<String>, _>(column).ok().flatten()
}

/// The server's own error, which has a number: the SQLSTATE is too coarse (08004, HY000).
pub(super) fn database_error(error: &Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_counts_only_while_both_threads_run() {
        let row = |io, sql, seconds| {
            [
                ("Replica_IO_State", None),
                ("Replica_IO_Running", Some(io)),
                ("Replica_SQL_Running", Some(sql)),
                ("Seconds_Behind_Source", seconds),
            ]
        };
        assert_eq!(lag(row("Yes", "Yes", Some("7")).into_iter()), Lag::Behind(Duration::from_secs(7)));
        assert_eq!(lag(row("Connecting", "Yes", Some("0")).into_iter()), Lag::Stopped);
        assert_eq!(lag(row("Yes", "No", Some("0")).into_iter()), Lag::Stopped);
        assert_eq!(lag(row("Yes", "Yes", None).into_iter()), Lag::Stopped);
    }
}
