//! The statements about the server itself, and what their results mean.

use super::reasons::{code, failure};
use crate::sql::server::{Lag, ServerInfo, SqlServer};
use sqlx::{Row, ValueRef};
use sqlx_postgres::PgRow;
use std::time::Duration;

/// Role, version, whether the server accepts writes, its connections, and whether commits wait for a standby that is not there: plain
/// functions and views that every user may use.
const SERVER_STATE: &str = "SELECT 1, pg_is_in_recovery(), current_setting('server_version'), current_setting('transaction_read_only'), \
                    (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections'), \
                    current_setting('synchronous_standby_names') <> '' AND NOT pg_is_in_recovery() \
                    AND current_setting('synchronous_commit') NOT IN ('off', 'local') AND NOT EXISTS (SELECT 1 FROM pg_stat_replication)";

/// A replica without a receiver may have replayed everything it received and still be behind: its lag is the age of the last transaction.
const REPLICATION_LAG_QUERY: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL \
                   WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT 1 FROM pg_stat_wal_receiver) THEN 0 \
                   ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END";

/// For the rest of the text, which is one transaction, the server checks every second whether the client is still connected. Otherwise the
/// query of a dropped probe would go on, and each probe would add another.
const CONNECTION_CHECK: &str = "SELECT set_config('client_connection_check_interval', '1s', true)";

/// A result without columns, in place of one that the server does not have.
const NO_COLUMNS: &str = "SELECT";

/// Role and whether the server accepts writes, with the columns of [`SERVER_STATE`].
pub(super) const ROLE: &str = "SELECT 1, pg_is_in_recovery(), current_setting('server_version'), current_setting('transaction_read_only')";

/// Readers of Aurora report no lag in this way, `PostgreSQL` before 14 and on Windows has no connection check, and some servers with this
/// protocol have neither connections, role nor version.
pub(super) const SERVER: SqlServer<PgRow> = SqlServer {
    variants: &[
        &[SERVER_STATE, REPLICATION_LAG_QUERY, CONNECTION_CHECK],
        &[SERVER_STATE, NO_COLUMNS, CONNECTION_CHECK],
        &[SERVER_STATE, REPLICATION_LAG_QUERY, NO_COLUMNS],
        &[SERVER_STATE, NO_COLUMNS, NO_COLUMNS],
        &[ROLE],
        &["SELECT 1"],
    ],
    quote: '"',
    text,
    failure,
    is_refusal,
    is_no_table: |error| code(error).as_deref() == Some("42P01"),
};

/// Whether an error may be about a statement that the check can do without. Errors about the connection, the login, missing resources and the
/// state of the server are not.
fn is_refusal(error: &sqlx::Error) -> bool {
    const TROUBLE: [&str; 6] = ["08", "28", "3D", "53", "57P", "58"];
    code(error).is_some_and(|code| !TROUBLE.iter().any(|class| code.starts_with(class)))
}

/// What the results of [`SERVER`] say.
pub(super) fn server_info(state: &PgRow, lag: Option<&PgRow>) -> ServerInfo {
    let replica = text(state, 1).map(|in_recovery| in_recovery == "t");
    let number = |column| text(state, column).and_then(|number| number.parse::<u64>().ok());
    let lag = lag.filter(|lag| !lag.is_empty()).map(|lag| match text(lag, 0).and_then(|seconds| seconds.parse::<f64>().ok()) {
        // The clock of the primary may be ahead of that of the replica.
        Some(seconds) => Lag::Behind(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)),
        None if replica == Some(true) => Lag::Stopped,
        None => Lag::None,
    });
    ServerInfo { replica, read_only: text(state, 3).map(|value| value == "on"), lag, connections: number(4).zip(number(5)) }
}

/// The version without the words of the packager: "15.18 (Debian 15.18-0+deb12u1)".
pub(super) fn server_version(state: &PgRow) -> Option<String> {
    text(state, 2).and_then(|version| version.split_whitespace().next().map(str::to_owned))
}

/// Whether commits wait for a synchronous standby while no standby is connected.
pub(super) fn is_waiting_for_standby(state: &PgRow) -> bool {
    text(state, 6).is_some_and(|waits| waits == "t")
}

/// A column in the text form in which the simple protocol sends everything; `None` if it does not exist or is null.
pub(super) fn text(row: &PgRow, column: usize) -> Option<String> {
    let value = row.try_get_raw(column).ok()?;
    if value.is_null() { None } else { value.as_str().ok().map(str::to_owned) }
}
