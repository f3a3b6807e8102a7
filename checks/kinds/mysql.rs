//! Checks a `MySQL`, `MariaDB` or Aurora database.
//!
//! ```toml
//! [checks.db]
//! kind = "mysql"
//! url = "mysql://app@db.internal/orders?ssl-mode=VERIFY_IDENTITY"
//! password = "${DB_PASSWORD}"
//! role = "primary"
//! ```

mod discovery;

use crate::{
    contract::prelude::*,
    sql::{
        self,
        migrations::Framework,
        server::{
            Lag, ServerInfo, ServerLimits, ServerRole, SqlQueries, SqlServer,
            encryption::{self, Encryption, UrlFiles, UrlMode},
            guarded,
            socket::DriverSocket,
        },
    },
    wire::{
        address::{self, Address, Dialer, Stream},
        connect::{Phases, phase_values},
        tls::{Tls, TlsKeys, Verify},
        url,
    },
};
use futures_util::TryFutureExt;
use sqlx::{Column, ConnectOptions, Connection, Error, Row};
use sqlx_mysql::{CleartextPassword, CleartextPasswordRefused, MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use std::{
    mem,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::net::UnixStream;

/// Runs a query, by default `SELECT 1`. Optionally checks the role, the replication lag, the share of connections in use and pending
/// migrations.
///
/// The connection is kept, and all statements travel in one round trip.
///
/// Required rights: to connect, `CREATE USER probe IDENTIFIED BY '…';`, for `warn_lag` and `fail_lag` `GRANT REPLICATION CLIENT ON *.* TO
/// probe;` (`MariaDB`: `GRANT REPLICA MONITOR ON *.* TO probe;`), and for `pending_migrations` `GRANT SELECT ON orders.django_migrations TO
/// probe;`. The user needs some right on the database in the URL, if there is one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// URL with user, server and database: `mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY`.
    pub url: Secret,
    /// User name. Default: the user in `url`.
    pub username: Option<String>,
    /// Password, not percent-encoded. Default: the password in `url`.
    pub password: Option<Secret>,
    /// TLS settings: trusted certificates, client certificate, verification. `verify` replaces the `ssl-mode` of the URL.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Send the password in cleartext when the server asks for that and TLS does not verify the server. Over verified TLS and over a Unix
    /// socket this key is not needed.
    #[serde(default)]
    pub allow_cleartext_password: bool,
    /// One SQL statement that must return at least one row. The server cancels it after 30 s.
    pub query: Option<String>,
    /// Expected value, as text, of the first column of the first row that `query` returns.
    pub expect: Option<String>,
    /// Required role: `primary` accepts writes, `replica` is read-only, `any` accepts both.
    #[serde(default)]
    pub role: ServerRole,
    /// Warn when a replica lags further behind than this: `"30s"`.
    pub warn_lag: Option<TimeSpan>,
    /// Fail when a replica lags further behind than this, or when its replication does not run.
    pub fail_lag: Option<TimeSpan>,
    /// Warn when more than this share of the server's `max_connections` is in use: `"80%"`.
    pub warn_connections: Option<Share>,
    /// Fail when more than this share of the server's `max_connections` is in use.
    pub fail_connections: Option<Share>,
    /// Fail while migrations are pending: those of `django` or `sqlx`. Any other value is the name of a table with one row for each applied
    /// migration, which must not be empty. `none` turns this off.
    #[serde(default)]
    pub pending_migrations: Framework,
    /// Folders with the application's migrations, such as `/srv/orders/billing/migrations`. Without them the check only requires that the
    /// table of applied migrations has rows, and for `sqlx` that every migration finished.
    #[serde(default)]
    pub migration_paths: Vec<PathBuf>,
    /// `kept` reuses the connection for the next probe, `fresh` opens a new one for each probe.
    #[serde(default)]
    pub connection: Reuse,
    /// Maximum age of a kept connection. The next probe after that opens a new one.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one database.
pub struct Mysql {
    options: MySqlConnectOptions,
    queries: SqlQueries,
    limits: ServerLimits,
    tls: Tls,
    warnings: Vec<ConfigWarning>,
    dialer: Dialer,
    kept: Kept<MysqlClient>,
}

impl Backend for Mysql {
    const KIND: &'static str = "mysql";
    const CATEGORY: Category = Category::Database;
    const EXAMPLE: &'static str = r#"
url = "mysql://app@db.internal:3306/orders?ssl-mode=VERIFY_IDENTITY"
password = "${DB_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] =
        &["mysql", "mysql2", "mysqlgis", "mysql-connector", "mysql-pymysql", "trilogy", "mariadb", "aurora"];
    const DEFAULT_PORT: Option<u16> = Some(3306);
    const SPEAKS_FIRST: bool = true;
    const COMPOSE: Option<ComposeService> = Some(ComposeService {
        images: &["mariadb", "mysql"],
        key: "url",
        value: "mysql://{user}@{host}:{port}/{database}",
        user: ComposeValue { variables: &["MARIADB_USER", "MYSQL_USER"], default: "root" },
        database: ComposeValue { variables: &["MARIADB_DATABASE", "MYSQL_DATABASE"], default: "" },
        password: ComposePassword::Required,
    });
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let schemes: Vec<_> = Self::SCHEMES.iter().map(|scheme| (*scheme, "mysql")).collect();
        let url = url::parse("url", &config.url, &schemes)?;
        let mut options = MySqlConnectOptions::from_url(&url)
            .map_err(|_| InvalidConfig::new("url", "the MySQL driver rejected a parameter"))?
            // The session has the modes and time zone of the server, like that of the application.
            .timezone(None)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        let host = Address::new(options.get_host(), 0).host;
        options = options.host(&host);
        let is_key_written = config.tls.verify.is_some();
        let (encryption, tls) = encryption::merge(&mode(&url, &options), &files(&options), config.tls)?;
        let cleartext_password = match options.get_socket() {
            Some(_) => CleartextPassword::Always,
            None if config.allow_cleartext_password => CleartextPassword::Always,
            None if tls.proves_identity() => CleartextPassword::OverTls,
            None => CleartextPassword::Never,
        };
        options = options.ssl_mode(driver_mode(encryption)).cleartext_password(cleartext_password);
        if let Some(username) = &config.username {
            options = options.username(username);
        }
        if let Some(password) = &config.password {
            options = options.password(password.expose());
        }
        let queries = SqlQueries::new(config.query, config.expect, config.pending_migrations, config.migration_paths)?;
        let Config { role, warn_lag, fail_lag, warn_connections, fail_connections, .. } = config;
        let limits = ServerLimits { role, warn_lag, fail_lag, warn_connections, fail_connections };
        let kept = Kept::new(config.connection, config.max_connection_age);
        let host = options.get_socket().is_none().then(|| options.get_host());
        let has_password = config.password.is_some() || url.password().is_some();
        let warning = encryption::warning(host, has_password, (encryption, &tls), is_key_written, VERIFY_IDENTITY);
        let warnings = url::without_effect("url", &url, PARAMETERS).into_iter().chain(warning).collect();
        let (tls, dialer) = (Tls::new(tls), Dialer::default());
        Ok(Self { options, queries, limits, tls, warnings, dialer, kept })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

/// URL parameters that have an effect.
const PARAMETERS: &[&str] = &[
    "charset",
    "collation",
    "socket",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "sslca",
    "sslcert",
    "sslkey",
    "sslmode",
    "statement-cache-capacity",
    "time-zone",
    "timezone",
];

/// What to write in a URL for full verification.
const VERIFY_IDENTITY: &str = "ssl-mode=VERIFY_IDENTITY";

/// <https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode>. A Unix socket needs no TLS unless the URL
/// requires it.
fn mode(url: &::url::Url, options: &MySqlConnectOptions) -> UrlMode {
    let (encryption, verify) = match options.get_ssl_mode() {
        MySqlSslMode::Disabled => (Encryption::Never, Verify::None),
        MySqlSslMode::Preferred if options.get_socket().is_some() => (Encryption::Never, Verify::None),
        MySqlSslMode::Preferred => (Encryption::IfOffered, Verify::None),
        MySqlSslMode::Required => (Encryption::Always, Verify::None),
        MySqlSslMode::VerifyCa => (Encryption::Always, Verify::Ca),
        MySqlSslMode::VerifyIdentity => (Encryption::Always, Verify::Full),
    };
    UrlMode { encryption, verify, is_written: encryption::has_mode(url), is_implied_by_roots: true, remedy: VERIFY_IDENTITY }
}

fn files(options: &MySqlConnectOptions) -> UrlFiles<'_> {
    UrlFiles { roots: options.get_ssl_ca(), certificate: options.get_ssl_client_cert(), key: options.get_ssl_client_key() }
}

/// The mode for the driver: TLS itself is ours.
const fn driver_mode(encryption: Encryption) -> MySqlSslMode {
    match encryption {
        Encryption::Never => MySqlSslMode::Disabled,
        Encryption::IfOffered => MySqlSslMode::Preferred,
        Encryption::Always => MySqlSslMode::Required,
    }
}

#[async_trait]
impl Check for Mysql {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.warnings.clone()
    }
}

/// Every user may read the variables, but not the state of replication, and not every server with this protocol has either.
const SERVER: SqlServer<MySqlRow> = SqlServer {
    variants: &[
        // MariaDB has one row for each source with `ALL`, MySQL without it.
        &[VARIABLES, CONNECTIONS, QUERY_TIMEOUT, "SHOW ALL REPLICAS STATUS"],
        &[VARIABLES, CONNECTIONS, QUERY_TIMEOUT, "SHOW REPLICA STATUS"],
        &[VARIABLES, CONNECTIONS, QUERY_TIMEOUT],
        &["SELECT 1"],
    ],
    quote: '`',
    text,
    failure,
    // Syntax, rights, unknown variables and unknown statements.
    is_refusal: |error| matches!(number(error), Some(1064 | 1142 | 1193 | 1227 | 1295)),
    is_no_table: |error| number(error) == Some(1146),
};
const VARIABLES: &str = "SELECT 1, @@version, @@read_only, @@innodb_read_only, @@max_connections";
/// After a probe is dropped, the server goes on with its query, and each probe would add another. So the server ends each query after 30 s.
/// `MariaDB` and `MySQL` each run their own part.
const QUERY_TIMEOUT: &str =
    "SET @allswell = 1 /*M!100101 , SESSION max_statement_time = 30 */ /*!50708 , SESSION max_execution_time = 30000 */";
const CONNECTIONS: &str = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";

/// A connection, and the variant of `SERVER.variants` that its server accepts.
pub struct MysqlClient {
    connection: MySqlConnection,
    variant: usize,
    /// Observed by the first probe only.
    phases: Phases,
    tls_verify: Option<&'static str>,
}

impl Mysql {
    async fn dial(&self, phases: &mut Phases) -> Result<Stream, Failure> {
        if let Some(path) = self.options.get_socket() {
            return Ok(Box::new(UnixStream::connect(path).await.map_err(Failure::network)?));
        }
        let (addresses, resolving) = self.dialer.look_up(&Address::new(self.options.get_host(), self.options.get_port())).await?;
        phases.extend(resolving.map(|took| ("resolve_ms", took)));
        Ok(Box::new(address::connect(&addresses).await?))
    }

    /// Starts TLS on a connection after the greeting of the server, and measures it.
    async fn encrypt(&self, socket: DriverSocket) -> Result<(DriverSocket, Duration), Failure> {
        let began = Instant::now();
        let stream = socket.into_stream().ok_or_else(|| Failure::protocol("the server sent data between its greeting and our reply"))?;
        let stream = self.tls.handshake(self.options.get_host(), stream).await?;
        Ok((DriverSocket::new(Box::new(stream)), began.elapsed()))
    }
}

#[async_trait]
impl Session for Mysql {
    type Connection = MysqlClient;

    async fn open(&self) -> Result<MysqlClient, Failure> {
        let mut phases = Phases::new();
        let socket = DriverSocket::new(self.dial(&mut phases).await?);
        let mut encrypting = None;
        let upgrade = async |socket| {
            let (socket, took) = self.encrypt(socket).await.map_err(|failure| Error::Tls(Box::new(failure)))?;
            encrypting = Some(took);
            Ok(socket)
        };
        let connection = guarded(self.options.connect_with_socket(socket, upgrade).map_err(open_failure)).await?;
        phases.extend(encrypting.map(|took| ("tls_ms", took)));
        Ok(MysqlClient { connection, variant: 0, phases, tls_verify: self.tls.observed_verify().filter(|_| encrypting.is_some()) })
    }

    async fn ask(&self, client: &mut MysqlClient) -> Result<Observation, Failure> {
        let seen = phase_values(mem::take(&mut client.phases)).with_some("tls_verify", client.tls_verify);
        let results = guarded(self.queries.ask::<sqlx_mysql::MySql>(&mut client.connection, &mut client.variant, &SERVER)).await?;
        let info = server_info(&results);
        let seen = seen.with_some("server_version", variable(&results, 1)).with_some("read_only", info.read_only);
        self.limits.judge(&info, seen)
    }

    async fn hang_up(client: MysqlClient) {
        // Otherwise the server logs an aborted connection. An error does not matter here.
        let _ = client.connection.close().await;
    }
}

/// A column of the first row of [`VARIABLES`].
fn variable(results: &[Vec<MySqlRow>], column: usize) -> Option<String> {
    results.first()?.first().and_then(|row| text(row, column))
}

fn server_info(results: &[Vec<MySqlRow>]) -> ServerInfo {
    // A word since MariaDB 12: OFF, ON, NO_LOCK, NO_LOCK_NO_ADMIN.
    let is_on = |value: &String| !matches!(value.as_str(), "0" | "OFF");
    let read_only = variable(results, 2).map(|value| is_on(&value) || variable(results, 3).as_ref().is_some_and(is_on));
    let in_use = results.get(1).and_then(|rows| text(rows.first()?, 1)?.parse().ok());
    let max = variable(results, 4).and_then(|max| max.parse().ok());
    let lag = results.get(3).map(|sources| sources.iter().map(behind).max().unwrap_or(Lag::None));
    ServerInfo { replica: read_only, read_only, lag, connections: in_use.zip(max) }
}

/// How far a server is behind one of its sources: `NULL` while replication does not run.
fn behind(source: &MySqlRow) -> Lag {
    let column = source.columns().iter().position(|column| matches!(column.name(), "Seconds_Behind_Source" | "Seconds_Behind_Master"));
    let seconds = column.and_then(|column| text(source, column)).and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Lag::Stopped, |seconds| Lag::Behind(Duration::from_secs(seconds)))
}

/// A column in the text form in which this protocol sends everything.
fn text(row: &MySqlRow, column: usize) -> Option<String> {
    row.try_get_unchecked::<Option<String>, _>(column).ok().flatten()
}

/// The number of the error: the SQLSTATE is too coarse (08004, HY000).
fn number(error: &Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<sqlx_mysql::MySqlDatabaseError>().map(sqlx_mysql::MySqlDatabaseError::number)
}

/// Classifies an error while a connection is opened. A TLS error contains our own failure.
fn open_failure(error: Error) -> Failure {
    match error {
        Error::Tls(error) => match error.downcast() {
            Ok(failure) => *failure,
            Err(error) => failure(Error::Tls(error)),
        },
        error => failure(error),
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Configuration(said) if said.is::<CleartextPasswordRefused>() => {
            return Failure::rejected(
                "the server asks for the cleartext password, which is sent over verified TLS only: write `ssl-mode=VERIFY_IDENTITY`, or set \
                 `allow_cleartext_password = true`",
            )
            .because(said);
        }
        _ => {}
    }
    let Some(number) = number(&error) else {
        return sql::failure(error, |_| (FailureClass::Unhealthy, "the server replied with an error"));
    };
    let (class, message) = classify(number);
    Failure::new(class, message).because(error)
}

/// By error number: <https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference>.
const fn classify(number: u16) -> (FailureClass, &'static str) {
    match number {
        1044 | 1049 => (FailureClass::Rejected, "the database does not exist, or the user may not access it"),
        1045 | 1698 => (FailureClass::Rejected, "the credentials are not accepted"),
        1129 | 1130 => (FailureClass::Rejected, "the server does not allow connections from this host"),
        1142 | 1143 | 1227 => (FailureClass::Rejected, "the user does not have the required permission"),
        1040 | 1203 | 1226 => (FailureClass::Exhausted, "the server's connection limit is reached"),
        1021 | 1114 => (FailureClass::Exhausted, "the server's disk is full"),
        1037 | 1038 | 1041 => (FailureClass::Exhausted, "the server is out of memory"),
        1053 | 1927 => (FailureClass::Unhealthy, "the server is shutting down"),
        1290 | 1836 => (FailureClass::Unhealthy, "the server is read-only"),
        1054 | 1064 | 1146 => (FailureClass::Unhealthy, "the server rejected the query"),
        _ => (FailureClass::Unhealthy, "the server replied with an error"),
    }
}
