//! What databases with a server share: running all statements in one round trip, and judging role, lag and connections.

pub(crate) mod encryption;
pub(crate) mod socket;

use crate::{
    contract::{Failure, FailureClass, InvalidConfig, Observation, Share, TimeSpan, milliseconds},
    sql::{
        self,
        migrations::{Framework, MAX_MIGRATIONS, Migrations},
    },
    wire::meter::{TOO_LONG_MESSAGE, is_too_long},
};
use futures_util::{FutureExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Database, Either, Error, Executor};
use std::{panic::AssertUnwindSafe, path::PathBuf, time::Duration};

/// Runs the driver, which panics on inconsistent lengths of a hostile or broken server. That is a failure of the server and the end of the
/// connection, not a defect of the check.
pub(crate) async fn guarded<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|_| Err(Failure::protocol("the driver could not parse the server's reply")))
}

/// Maximum size of everything that is read in a login or a probe: drivers keep a message until it is complete.
pub(crate) const MAX_REPLY_BYTES: usize = 16 << 20;

/// Classifies an error of a server's driver. The kind classifies the error codes of the database itself.
pub(crate) fn failure(error: Error, classify: fn(code: &str) -> (FailureClass, &'static str)) -> Failure {
    match error {
        Error::Io(error) if is_too_long(&error) => Failure::protocol(error).saying(TOO_LONG_MESSAGE),
        error => sql::failure(error, classify),
    }
}

/// The statements of a check, apart from those about the server itself: the user's query and the applied migrations.
pub(crate) struct SqlQueries {
    query: Option<String>,
    expect: Option<String>,
    migrations: Option<Migrations>,
}

/// How a check talks to one kind of server.
pub(crate) struct SqlServer<R> {
    /// Status statements, from the most to the least detailed. If the server rejects those of one variant, the next is tried.
    pub(crate) variants: &'static [&'static [&'static str]],
    /// Encloses names.
    pub(crate) quote: char,
    /// A column as text; `None` if it does not exist or is null.
    pub(crate) text: fn(&R, usize) -> Option<String>,
    /// Classifies an error.
    pub(crate) failure: fn(Error) -> Failure,
    /// Whether an error says that the server does not support or permit a statement.
    pub(crate) is_refusal: fn(&Error) -> bool,
    /// Whether an error says that a table does not exist.
    pub(crate) is_no_table: fn(&Error) -> bool,
}

impl SqlQueries {
    /// As configured.
    pub(crate) fn new(
        query: Option<String>,
        expect: Option<String>,
        pending_migrations: Framework,
        migration_paths: Vec<PathBuf>,
    ) -> Result<Self, InvalidConfig> {
        sql::needs_query(query.as_ref(), expect.as_ref())?;
        Ok(Self { query, expect, migrations: Migrations::new(pending_migrations, migration_paths)? })
    }

    /// Runs all statements in one round trip, and judges the user's query and the migrations. Returns the rows of each statement of
    /// `server.variants[variant]`; `variant` grows until the server accepts one.
    pub(crate) async fn ask<DB>(
        &self,
        connection: &mut DB::Connection,
        variant: &mut usize,
        server: &SqlServer<DB::Row>,
    ) -> Result<Vec<Vec<DB::Row>>, Failure>
    where
        DB: Database,
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    {
        let mut applied = Vec::new();
        let (mut info, error) = loop {
            let statements = server.variants[*variant];
            applied.clear();
            // Only the names of migrations are kept: there may be very many.
            let mut keep = |statement: usize, row: DB::Row| {
                if self.migrations.is_none() || statement != statements.len() {
                    return Some(row);
                }
                if applied.len() <= MAX_MIGRATIONS {
                    applied.extend((server.text)(&row, 0).zip((server.text)(&row, 1)));
                }
                None
            };
            let (results, error) = exchange::<DB>(connection, &self.statement(statements, server.quote), server.failure, &mut keep).await?;
            match error {
                Some(error) if results.len() < statements.len() => {
                    if !(server.is_refusal)(&error) || *variant + 1 == server.variants.len() {
                        return Err((server.failure)(error));
                    }
                    *variant += 1;
                }
                error => break (results, error),
            }
        };
        let asked = info.split_off(server.variants[*variant].len().min(info.len()));
        self.judge(asked, applied, error, server).await?;
        Ok(info)
    }

    /// All statements in one text, and so in one round trip. The user's query comes last, because it may be anything.
    fn statement(&self, statements: &[&str], quote: char) -> String {
        let migrations = self.migrations.as_ref().map(|migrations| migrations.statement(quote));
        let info = statements.iter().map(|&statement| statement.to_owned());
        info.chain(migrations).chain(self.query.clone()).collect::<Vec<_>>().join(";\n")
    }

    async fn judge<R>(
        &self,
        results: Vec<Vec<R>>,
        applied: Vec<(String, String)>,
        error: Option<Error>,
        server: &SqlServer<R>,
    ) -> Result<(), Failure> {
        let (mut results, mut error) = (results.into_iter(), error);
        let text = server.text;
        let mut next = || results.next().ok_or_else(|| error.take());
        let missing_result =
            |error: Option<Error>| error.map_or_else(|| Failure::protocol("fewer results than statements"), server.failure);
        if let Some(migrations) = &self.migrations {
            match next() {
                Ok(_) => migrations.judge(applied).await.map_err(Failure::reusable_connection)?,
                Err(Some(error)) if (server.is_no_table)(&error) => return Err(Migrations::not_migrated()),
                Err(error) => return Err(missing_result(error)),
            }
        }
        if self.query.is_some() {
            // A query of nothing but a comment has no result.
            let no_result = |error: Option<Error>| error.map_or_else(sql::no_row, server.failure);
            let rows = next().map_err(no_result)?;
            // Of a query with several statements, a later one may fail.
            if let Some(error) = error {
                return Err((server.failure)(error));
            }
            let first = rows.first().and_then(|row| text(row, 0));
            sql::expect(!rows.is_empty(), first.as_deref(), self.expect.as_deref()).map_err(Failure::reusable_connection)?;
        }
        Ok(())
    }
}

/// Maximum number of rows kept of one result.
const MAX_ROWS: usize = 10_000;

/// The rows of each completed statement, as far as `keep` returns them, and the error of the next one.
async fn exchange<DB>(
    connection: &mut DB::Connection,
    statement: &str,
    failure: fn(Error) -> Failure,
    keep: &mut (dyn FnMut(usize, DB::Row) -> Option<DB::Row> + Send),
) -> Result<(Vec<Vec<DB::Row>>, Option<Error>), Failure>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let mut stream = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(statement)));
    let (mut results, mut rows) = (Vec::new(), Vec::new());
    loop {
        match stream.try_next().await {
            Ok(Some(Either::Right(row))) => rows.extend(keep(results.len(), row).filter(|_| rows.len() < MAX_ROWS)),
            Ok(Some(Either::Left(_))) => results.push(std::mem::take(&mut rows)),
            Ok(None) => return Ok((results, None)),
            Err(error @ Error::Database(_)) => return Ok((results, Some(error))),
            Err(error) => return Err(failure(error).truncated()),
        }
    }
}

/// The required role of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ServerRole {
    /// Both.
    #[default]
    Any,
    /// Accepts writes.
    Primary,
    /// Follows another server.
    Replica,
}

/// Requirements on the state of a server.
pub(crate) struct ServerLimits {
    pub(crate) role: ServerRole,
    pub(crate) warn_lag: Option<TimeSpan>,
    pub(crate) fail_lag: Option<TimeSpan>,
    pub(crate) warn_connections: Option<Share>,
    pub(crate) fail_connections: Option<Share>,
}

/// The state of a server; `None` for what it does not report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ServerInfo {
    pub(crate) replica: Option<bool>,
    pub(crate) read_only: Option<bool>,
    pub(crate) lag: Option<Lag>,
    /// The number of connections in use, and the maximum.
    pub(crate) connections: Option<(u64, u64)>,
}

/// How far a server is behind its primary, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lag {
    /// It follows no server.
    None,
    /// This far.
    Behind(Duration),
    /// Replication is broken or was never started.
    Stopped,
}

impl ServerLimits {
    /// Adds the state of the server to what was observed, and compares it with the requirements. If the server does not report a required
    /// value, that is a failure: otherwise the check would seem to verify it.
    pub(crate) fn judge(&self, info: &ServerInfo, seen: Observation) -> Result<Observation, Failure> {
        let lag = info.lag.and_then(|lag| if let Lag::Behind(lag) = lag { Some(milliseconds(lag)) } else { None });
        let (connections, most) = info.connections.unzip();
        let seen = seen.with_some("lag_ms", lag).with_some("connections", connections).with_some("max_connections", most);
        let judged = self.judge_role(info).and_then(|()| Ok([self.judge_lag(info)?, self.judge_connections(info)?]));
        match judged {
            Ok(warnings) => Ok(warnings.into_iter().flatten().fold(seen, Observation::warned)),
            Err(failure) => Err(failure.observing(seen).reusable_connection()),
        }
    }

    fn judge_role(&self, info: &ServerInfo) -> Result<(), Failure> {
        match (self.role, info.replica) {
            (ServerRole::Primary, Some(false)) if info.read_only == Some(true) => Err(Failure::unhealthy("the server is read-only")),
            (ServerRole::Any, _) | (ServerRole::Primary, Some(false)) | (ServerRole::Replica, Some(true)) => Ok(()),
            (ServerRole::Primary, Some(true)) => Err(Failure::unhealthy("this is a replica, not the primary")),
            (ServerRole::Replica, Some(false)) => Err(Failure::unhealthy("this is the primary, not a replica")),
            (_, None) => Err(Failure::unhealthy("the server does not report its role")),
        }
    }

    fn judge_lag(&self, info: &ServerInfo) -> Result<Option<String>, Failure> {
        let (warn, fail) = (self.warn_lag, self.fail_lag);
        let passed = |limit: Option<TimeSpan>, lag: Duration| limit.filter(|limit| lag > limit.0);
        let sentence = |lag: Duration, limit: TimeSpan| format!("{} behind its primary, more than {limit}", TimeSpan(lag).whole_millis());
        match info.lag {
            _ if warn.is_none() && fail.is_none() => Ok(None),
            None => Err(Failure::rejected("the server does not report its replication lag to this user")),
            Some(Lag::None) if info.replica != Some(true) => Ok(None),
            Some(Lag::None | Lag::Stopped) if fail.is_none() => Ok(Some("replication is not running".to_owned())),
            Some(Lag::None | Lag::Stopped) => Err(Failure::unhealthy("replication is not running")),
            Some(Lag::Behind(lag)) => match passed(fail, lag) {
                Some(limit) => Err(Failure::unhealthy(sentence(lag, limit))),
                None => Ok(passed(warn, lag).map(|limit| sentence(lag, limit))),
            },
        }
    }

    fn judge_connections(&self, info: &ServerInfo) -> Result<Option<String>, Failure> {
        let (warn, fail) = (self.warn_connections, self.fail_connections);
        if warn.is_none() && fail.is_none() {
            return Ok(None);
        }
        let Some((connections, most)) = info.connections else {
            return Err(Failure::rejected("the server does not report its connection count to this user"));
        };
        let passed = |limit: Option<Share>| limit.filter(|limit| limit.is_exceeded(connections, most));
        let sentence = |limit: Share| format!("{connections} of {most} connections are in use, more than {limit}");
        match passed(fail) {
            Some(limit) => Err(Failure::unhealthy(sentence(limit))),
            None => Ok(passed(warn).map(sentence)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: ServerLimits =
        ServerLimits { role: ServerRole::Any, warn_lag: None, fail_lag: None, warn_connections: None, fail_connections: None };

    fn judged(limits: &ServerLimits, info: ServerInfo) -> Result<Option<String>, String> {
        match limits.judge(&info, Observation::pass()) {
            Ok(seen) => Ok(seen.warning().map(str::to_owned)),
            Err(failure) => Err(failure.to_string()),
        }
    }

    fn share(text: &str) -> Share {
        text.parse().expect("a share")
    }

    #[test]
    fn nothing_is_judged_without_requirements() {
        assert_eq!(judged(&NONE, ServerInfo::default()), Ok(None));
        assert_eq!(judged(&NONE, ServerInfo { lag: Some(Lag::Stopped), connections: Some((9, 9)), ..ServerInfo::default() }), Ok(None));
    }

    #[test]
    fn a_required_role_must_be_reported_and_match() {
        let primary = ServerLimits { role: ServerRole::Primary, ..NONE };
        assert_eq!(judged(&primary, ServerInfo { replica: Some(false), ..ServerInfo::default() }), Ok(None));
        for (info, message) in [
            (ServerInfo::default(), "unhealthy: the server does not report its role"),
            (ServerInfo { replica: Some(true), ..ServerInfo::default() }, "unhealthy: this is a replica, not the primary"),
            (ServerInfo { replica: Some(false), read_only: Some(true), ..ServerInfo::default() }, "unhealthy: the server is read-only"),
        ] {
            assert_eq!(judged(&primary, info), Err(message.to_owned()));
        }
        let replica = ServerLimits { role: ServerRole::Replica, ..NONE };
        assert_eq!(
            judged(&replica, ServerInfo { replica: Some(false), ..ServerInfo::default() }),
            Err("unhealthy: this is the primary, not a replica".to_owned())
        );
    }

    #[test]
    fn lag_warns_and_fails() {
        let limits = ServerLimits { warn_lag: Some(TimeSpan::seconds(1)), fail_lag: Some(TimeSpan::seconds(5)), ..NONE };
        let behind = |millis| ServerInfo { lag: Some(Lag::Behind(Duration::from_millis(millis))), ..ServerInfo::default() };
        assert_eq!(judged(&limits, behind(900)), Ok(None));
        assert_eq!(judged(&limits, behind(1500)), Ok(Some("1s 500ms behind its primary, more than 1s".to_owned())));
        assert_eq!(judged(&limits, behind(6000)), Err("unhealthy: 6s behind its primary, more than 5s".to_owned()));
        assert_eq!(judged(&limits, ServerInfo { lag: Some(Lag::None), ..ServerInfo::default() }), Ok(None));
        assert_eq!(
            judged(&limits, ServerInfo { lag: Some(Lag::Stopped), ..ServerInfo::default() }),
            Err("unhealthy: replication is not running".to_owned())
        );
        assert_eq!(
            judged(&limits, ServerInfo::default()),
            Err("rejected: the server does not report its replication lag to this user".to_owned())
        );
    }

    #[test]
    fn connections_warn_and_fail_and_are_observed_in_both_cases() {
        let limits = ServerLimits { warn_connections: Some(share("50%")), fail_connections: Some(share("90%")), ..NONE };
        let taken = |count| ServerInfo { connections: Some((count, 100)), ..ServerInfo::default() };
        assert_eq!(judged(&limits, taken(50)), Ok(None));
        assert_eq!(judged(&limits, taken(51)), Ok(Some("51 of 100 connections are in use, more than 50%".to_owned())));
        let failure = limits.judge(&taken(91), Observation::pass()).expect_err("too many");
        assert_eq!(failure.to_string(), "unhealthy: 91 of 100 connections are in use, more than 90%");
        assert_eq!(failure.values()["connections"], 91);
    }
}
