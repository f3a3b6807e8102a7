//! Checks a `PostgreSQL` database, or another server with its protocol: Aurora, `CockroachDB`, Timescale, or `PgBouncer` in front of any of
//! them.
//!
//! ```toml
//! [checks.db]
//! kind = "postgres"
//! url = "postgres://app@db.internal/orders?sslmode=verify-full"
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
use sqlx::{ConnectOptions, Connection, Error, Row, ValueRef};
use sqlx_postgres::{CleartextPasswordRefused, PgConnectOptions, PgConnection, PgRow, PgSslMode};
use std::{mem, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::Instant,
};

/// Runs a query, by default `SELECT 1`. Optionally checks the role, the replication lag, the share of connections in use and pending
/// migrations.
///
/// The connection is kept, and all statements travel in one round trip. They use the simple query protocol, which leaves no prepared
/// statement behind and works through `PgBouncer` in every pooling mode.
///
/// Required rights: to connect, `CREATE ROLE probe LOGIN PASSWORD '…'; GRANT CONNECT ON DATABASE orders TO probe;`, and for
/// `pending_migrations` `GRANT SELECT ON django_migrations TO probe;`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// URL with user, server and database: `postgres://user:password@host:5432/database?sslmode=verify-full`.
    pub url: Secret,
    /// User name. Default: the user in `url`.
    pub username: Option<String>,
    /// Password, not percent-encoded. Default: the password in `url`.
    pub password: Option<Secret>,
    /// TLS settings: trusted certificates, client certificate, verification. `verify` replaces the `sslmode` of the URL.
    #[serde(default)]
    pub tls: TlsKeys,
    /// Send the password in cleartext when the server asks for that and TLS does not verify the server. Over verified TLS and over a Unix
    /// socket this key is not needed.
    #[serde(default)]
    pub allow_cleartext_password: bool,
    /// One SQL statement that must return at least one row. The time zone of the session is UTC.
    pub query: Option<String>,
    /// Expected value, as text, of the first column of the first row that `query` returns.
    pub expect: Option<String>,
    /// Required role: `primary` accepts writes, `replica` follows another server, `any` accepts both.
    #[serde(default)]
    pub role: ServerRole,
    /// Warn when a replica lags further behind than this: `"30s"`. Transactions that the primary has not written yet do not count.
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
pub struct Postgres {
    options: PgConnectOptions,
    queries: SqlQueries,
    limits: ServerLimits,
    encryption: Encryption,
    tls: Tls,
    allow_cleartext_password: bool,
    warnings: Vec<ConfigWarning>,
    dialer: Dialer,
    kept: Kept<PostgresClient>,
}

impl Backend for Postgres {
    const KIND: &'static str = "postgres";
    const CATEGORY: Category = Category::Database;
    const EXAMPLE: &'static str = r#"
url = "postgres://app@db.internal:5432/orders?sslmode=verify-full"
password = "${DB_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] =
        &["postgres", "postgresql", "postgis", "pgsql", "psql", "timescale", "timescalegis", "cockroach", "cockroachdb", "ecto"];
    const DEFAULT_PORT: Option<u16> = Some(5432);
    const COMPOSE: Option<ComposeService> = Some(ComposeService {
        images: &["postgis", "postgres"],
        key: "url",
        value: "postgres://{user}@{host}:{port}/{database}",
        user: ComposeValue { variables: &["POSTGRES_USER"], default: "postgres" },
        database: ComposeValue { variables: &["POSTGRES_DB"], default: "{user}" },
        password: ComposePassword::Required,
    });
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let schemes: Vec<_> = Self::SCHEMES.iter().map(|scheme| (*scheme, "postgres")).collect();
        let url = url::parse("url", &config.url, &schemes)?;
        let mut options = PgConnectOptions::from_url(&url)
            .map_err(|_| InvalidConfig::new("url", "the PostgreSQL driver rejected a parameter"))?
            .application_name("allswell")
            // PgBouncer rejects this parameter.
            .extra_float_digits(None)
            .disable_statement_logging();
        let host = Address::new(options.get_host(), 0).host;
        options = options.host(&host);
        let is_key_written = config.tls.verify.is_some();
        let (encryption, tls) = encryption::merge(&mode(&url, &options), &files(&options), config.tls)?;
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
        let host = options.fetch_socket().is_none().then(|| options.get_host());
        let has_password = options.get_password().is_some();
        let warning = encryption::warning(host, has_password, (encryption, &tls), is_key_written, VERIFY_FULL);
        let warnings = url::without_effect("url", &url, PARAMETERS).into_iter().chain(warning).collect();
        let (tls, dialer) = (Tls::new(tls), Dialer::default());
        let allow_cleartext_password = config.allow_cleartext_password;
        Ok(Self { options, queries, limits, encryption, tls, allow_cleartext_password, warnings, dialer, kept })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

/// URL parameters that have an effect. <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// What to write in a URL for full verification.
const VERIFY_FULL: &str = "sslmode=verify-full";

/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS>
fn mode(url: &::url::Url, options: &PgConnectOptions) -> UrlMode {
    let (encryption, verify) = match options.get_ssl_mode() {
        PgSslMode::Disable | PgSslMode::Allow => (Encryption::Never, Verify::None),
        PgSslMode::Prefer => (Encryption::IfOffered, Verify::None),
        PgSslMode::Require => (Encryption::Always, Verify::None),
        PgSslMode::VerifyCa => (Encryption::Always, Verify::Ca),
        PgSslMode::VerifyFull => (Encryption::Always, Verify::Full),
    };
    UrlMode { encryption, verify, is_written: encryption::has_mode(url), is_implied_by_roots: false, remedy: VERIFY_FULL }
}

fn files(options: &PgConnectOptions) -> UrlFiles<'_> {
    UrlFiles { roots: options.get_ssl_root_cert(), certificate: options.get_ssl_client_cert(), key: options.get_ssl_client_key() }
}

#[async_trait]
impl Check for Postgres {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }

    fn secrets(&self) -> Vec<Secret> {
        // The driver may read it from a parameter of the URL, from `PGPASSWORD` or from a password file.
        self.options.get_password().map(Secret::new).into_iter().collect()
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.warnings.clone()
    }
}

/// Role, version, whether the server accepts writes, and its connections: plain functions and views that every user may use.
const SERVER_STATE: &str = "SELECT 1, pg_is_in_recovery(), current_setting('server_version'), current_setting('transaction_read_only'), \
                    (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections')";

/// A replica without a receiver may have replayed everything it received and still be behind: its lag is the age of the last transaction.
const REPLICATION_LAG_QUERY: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL \
                   WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT 1 FROM pg_stat_wal_receiver) THEN 0 \
                   ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END";

/// For the rest of the text, which is one transaction, the server checks every second whether the client is still connected. Otherwise the
/// query of a dropped probe would go on, and each probe would add another.
const CONNECTION_CHECK: &str = "SELECT set_config('client_connection_check_interval', '1s', true)";

/// A result without columns, in place of one that the server does not have.
const NO_COLUMNS: &str = "SELECT";

/// Readers of Aurora report no lag in this way, `PostgreSQL` before 14 and on Windows has no connection check, and some servers with this
/// protocol have neither connections, role nor version.
const SERVER: SqlServer<PgRow> = SqlServer {
    variants: &[
        &[SERVER_STATE, REPLICATION_LAG_QUERY, CONNECTION_CHECK],
        &[SERVER_STATE, NO_COLUMNS, CONNECTION_CHECK],
        &[SERVER_STATE, REPLICATION_LAG_QUERY, NO_COLUMNS],
        &[SERVER_STATE, NO_COLUMNS, NO_COLUMNS],
        &["SELECT 1, pg_is_in_recovery(), current_setting('server_version'), current_setting('transaction_read_only')"],
        &["SELECT 1"],
    ],
    quote: '"',
    text,
    failure,
    // Syntax and rights; unsupported features; a setting that this platform does not accept.
    is_refusal: |error| code(error).is_some_and(|code| code.starts_with("42") || code.starts_with("0A") || code == "22023"),
    is_no_table: |error| code(error).as_deref() == Some("42P01"),
};

/// Asks whether the server accepts TLS on this connection. A server of another protocol sends neither `S` nor `N`. The driver would read
/// the first bytes of another protocol as a length: on the port of a web server it would allocate gigabytes of memory.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
async fn takes_tls(stream: &mut TcpStream) -> Result<bool, Failure> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&SSL_REQUEST).await.map_err(Failure::network)?;
    match stream.read_u8().await.map_err(Failure::network)? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        other => Err(Failure::protocol(format!("the first byte is {other}"))),
    }
}

/// A connection, and the variant of `SERVER.variants` that its server accepts.
pub struct PostgresClient {
    connection: PgConnection,
    variant: usize,
    /// Observed by the first probe only.
    phases: Phases,
    tls_verify: Option<&'static str>,
}

impl Postgres {
    /// Opens a connection over the network, encrypted or not.
    async fn dial(&self, phases: &mut Phases) -> Result<(Stream, IsEncrypted), Failure> {
        let address = Address::new(self.options.get_host(), self.options.get_port());
        let (addresses, resolving) = self.dialer.look_up(&address).await?;
        phases.extend(resolving.map(|took| ("resolve_ms", took)));
        let mut stream = address::connect(&addresses).await?;
        match (takes_tls(&mut stream).await?, self.encryption) {
            (false, Encryption::Always) => Err(Failure::new(FailureClass::Tls, "the server does not offer TLS")),
            (false, _) => Ok((Box::new(stream), false)),
            // This connection now waits for a handshake.
            (true, Encryption::Never) => Ok((Box::new(address::connect(&addresses).await?), false)),
            (true, _) => {
                let connected = Instant::now();
                let stream = self.tls.handshake(&address.host, stream).await?;
                phases.push(("tls_ms", connected.elapsed()));
                Ok((Box::new(stream), true))
            }
        }
    }
}

type IsEncrypted = bool;

#[async_trait]
impl Session for Postgres {
    type Connection = PostgresClient;

    async fn open(&self) -> Result<PostgresClient, Failure> {
        let mut phases = Phases::new();
        let socket = self.options.fetch_socket();
        let is_local = socket.is_some();
        let (stream, is_encrypted): (Stream, _) = match socket {
            Some(path) => (Box::new(UnixStream::connect(path).await.map_err(Failure::network)?), false),
            None => self.dial(&mut phases).await?,
        };
        let may_reveal = self.allow_cleartext_password || is_local || is_encrypted && self.tls.keys().proves_identity();
        let connecting = self.options.connect_with_socket(DriverSocket::new(stream), may_reveal);
        let connection = guarded(connecting.map_err(failure)).await?;
        Ok(PostgresClient { connection, variant: 0, phases, tls_verify: self.tls.observed_verify().filter(|_| is_encrypted) })
    }

    async fn ask(&self, client: &mut PostgresClient) -> Result<Observation, Failure> {
        let seen = phase_values(mem::take(&mut client.phases)).with_some("tls_verify", client.tls_verify);
        let results = guarded(self.queries.ask::<sqlx_postgres::Postgres>(&mut client.connection, &mut client.variant, &SERVER)).await?;
        let row = |statement: usize| results.get(statement).and_then(|rows| rows.first());
        let info = row(0).map(|state| server_info(state, row(1))).unwrap_or_default();
        let role = info.replica.map(|replica| if replica { "replica" } else { "primary" });
        self.limits.judge(&info, seen.with_some("role", role).with_some("server_version", row(0).and_then(server_version)))
    }

    async fn hang_up(client: PostgresClient) {
        // An error does not matter here.
        let _ = client.connection.close().await;
    }
}

fn server_info(state: &PgRow, lag: Option<&PgRow>) -> ServerInfo {
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
fn server_version(state: &PgRow) -> Option<String> {
    text(state, 2).and_then(|version| version.split_whitespace().next().map(str::to_owned))
}

/// A column in the text form in which the simple protocol sends everything; `None` if it does not exist or is null.
fn text(row: &PgRow, column: usize) -> Option<String> {
    let value = row.try_get_raw(column).ok()?;
    if value.is_null() { None } else { value.as_str().ok().map(str::to_owned) }
}

fn code(error: &Error) -> Option<String> {
    error.as_database_error().and_then(|said| said.code().map(std::borrow::Cow::into_owned))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Configuration(said) if said.is::<CleartextPasswordRefused>() => Failure::rejected(
            "the server asks for the cleartext password, which is sent over verified TLS only: write `sslmode=verify-full`, or set \
             `allow_cleartext_password = true`",
        )
        .because(said),
        error if is_unknown_to_pgbouncer(&error) => Failure::rejected("the credentials are not accepted").because(error),
        error if is_full(&error) => Failure::exhausted("the server's connection limit is reached").because(error),
        error => sql::failure(error, classify),
    }
}

/// Whether `PgBouncer` has no connection left. Its code is that of any protocol violation, so the text decides.
fn is_full(error: &Error) -> bool {
    let words = ["no more connections", "client connections exceeded", "query_wait_timeout"];
    let says = |said: &str| words.iter().any(|words| said.contains(words));
    error.as_database_error().is_some_and(|said| said.code().as_deref() == Some("08P01") && says(said.message()))
}

/// Whether `PgBouncer` rejects the user; likewise.
fn is_unknown_to_pgbouncer(error: &Error) -> bool {
    let says = |said: &str| said.contains("authentication failed") || said.contains("no such user");
    error.as_database_error().is_some_and(|said| said.code().as_deref() == Some("08P01") && says(said.message()))
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify(code: &str) -> (FailureClass, &'static str) {
    match code {
        "28P01" => (FailureClass::Rejected, "the credentials are not accepted"),
        "28000" => (FailureClass::Rejected, "the server does not allow this user to connect from this host, or requires TLS"),
        "3D000" => (FailureClass::Rejected, "there is no such database"),
        "42501" => (FailureClass::Rejected, "the user does not have the required permission"),
        "53300" => (FailureClass::Exhausted, "the server's connection limit is reached"),
        "53100" => (FailureClass::Exhausted, "the server's disk is full"),
        _ if code.starts_with("53") => (FailureClass::Exhausted, "the server is out of resources"),
        "57P03" => (FailureClass::Unhealthy, "the server is starting up or in recovery"),
        "57P01" | "57P02" => (FailureClass::Unhealthy, "the server is shutting down"),
        "57014" => (FailureClass::Unhealthy, "the server cancelled the query"),
        "25006" => (FailureClass::Unhealthy, "the server is read-only"),
        "42601" | "42P01" | "42703" | "42883" => (FailureClass::Unhealthy, "the server rejected the query"),
        _ => (FailureClass::Unhealthy, "the server replied with an error"),
    }
}
