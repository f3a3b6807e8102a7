//! `PostgreSQL`, and what speaks its protocol: Aurora, Cockroach, Timescale, `PgBouncer` in front of any of them.

use crate::{
    contract::prelude::*,
    endpoint,
    migrations::Framework,
    net::{self, Address, Dialer},
    sql,
    sql_server::{Lag, Limits, Questions, Role, Server, Told, guarded, open_failure},
    tls::{Tls, TlsFiles, TlsKeys},
};
use futures_util::TryFutureExt;
use sqlx::{
    ConnectOptions, Connection, Error, PgConnection, Row, ValueRef,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};
use std::{io, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Asks a query, by default `SELECT 1`. On demand it judges the role, the replication lag, the share of connections and pending migrations. The
/// connection is kept, and all is asked in one round trip; the protocol's simple form leaves no prepared statement behind and works through `PgBouncer`
/// in every pooling mode.
///
/// Needs a user who may connect, and no more: `CREATE ROLE probe LOGIN PASSWORD '…'; GRANT CONNECT ON DATABASE orders TO probe;` for
/// `pending_migrations` also `GRANT SELECT ON django_migrations TO probe;`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where, as whom, and which database: `postgres://user:password@host:5432/database?sslmode=verify-full`.
    pub url: Secret,
    /// The user, when it does not stand in `url`.
    pub username: Option<String>,
    /// The password, when it does not stand in `url`; it needs no escaping here.
    pub password: Option<Secret>,
    /// Whom TLS trusts, and how it proves who we are.
    #[serde(default)]
    pub tls: TlsFiles,
    /// A query of your own: one statement that returns at least one row. The session's time zone is UTC.
    pub query: Option<String>,
    /// What the first column of the first row of `query` must be, as text.
    pub expect: Option<String>,
    /// What the server must be: `primary` takes writes, `replica` follows another.
    #[serde(default)]
    pub role: Role,
    /// Warn when a replica is further behind than this; what its primary has not yet written does not count.
    pub warn_lag: Option<TimeSpan>,
    /// Fail when a replica is further behind than this, or its replication is broken.
    pub fail_lag: Option<TimeSpan>,
    /// Warn when more than this share of the server's `max_connections` is taken.
    pub warn_connections: Option<Share>,
    /// Fail when more than this share of the server's `max_connections` is taken.
    pub fail_connections: Option<Share>,
    /// Fail while migrations wait to be applied: those of `django` or `sqlx`; another name is a table that holds a row for each that was
    /// applied, and must not be empty; `none` for not looking.
    #[serde(default)]
    pub pending_migrations: Framework,
    /// Folders of migrations that the application brings, such as `/srv/orders/billing/migrations`. Without them it only counts that there is
    /// an account of migrations, and for `sqlx` that none stopped half-way.
    #[serde(default)]
    pub migration_paths: Vec<PathBuf>,
    /// Whether the connection is kept between probes.
    #[serde(default)]
    pub connection: Reuse,
    /// A kept connection is renewed after this time.
    #[serde(default)]
    pub max_connection_age: MaxAge,
}

/// A check of one database.
pub struct Postgres {
    options: PgConnectOptions,
    questions: Questions,
    limits: Limits,
    /// The server must prove itself, and the URL names no roots: then the check's own or the system's count, as everywhere here.
    gives_roots: bool,
    tls: Tls,
    dialer: Dialer,
    kept: Kept<Link>,
}

impl Backend for Postgres {
    const KIND: &'static str = "postgres";
    const CATEGORY: Category = Category::Database;
    const EXAMPLE: &'static str = r#"
url = "postgres://app@db.internal:5432/orders?sslmode=require"
password = "${DB_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] = &["postgres", "postgresql", "postgis", "pgsql", "psql", "timescale"];
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let schemes: Vec<_> = Self::SCHEMES.iter().map(|scheme| (*scheme, "postgres")).collect();
        let url = endpoint::parse("url", &config.url, &schemes)?;
        let mut options = PgConnectOptions::from_url(&url)
            .map_err(|_| InvalidConfig::new("url", "PostgreSQL's driver does not take a parameter of it"))?
            .application_name("allswell")
            // PgBouncer refuses to pass it on.
            .extra_float_digits(None)
            .disable_statement_logging();
        let host = Address::new(options.get_host(), 0).host;
        options = options.host(&host);
        let says = |keys: &[&str]| url.query_pairs().any(|(key, _)| keys.contains(&&*key));
        let tls = TlsKeys::from(config.tls);
        tls.examine(!matches!(options.get_ssl_mode(), PgSslMode::Disable), "sslmode=verify-full")?;
        if tls.ca_file.is_some() {
            options = match options.get_ssl_mode() {
                PgSslMode::Allow | PgSslMode::Prefer if !says(&["sslmode", "ssl-mode"]) => options.ssl_mode(PgSslMode::VerifyFull),
                // As libpq does, once it has a root certificate.
                PgSslMode::Require => options.ssl_mode(PgSslMode::VerifyCa),
                _ => options,
            };
        }
        let named = tls.ca_file.is_none() && says(&["sslrootcert", "ssl-root-cert", "ssl-ca"]);
        let gives_roots = !named && matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        if let Some(username) = &config.username {
            options = options.username(username);
        }
        if let Some(password) = &config.password {
            options = options.password(password.expose());
        }
        let questions = Questions::new(config.query, config.expect, config.pending_migrations, config.migration_paths)?;
        let Config { role, warn_lag, fail_lag, warn_connections, fail_connections, .. } = config;
        let limits = Limits { role, warn_lag, fail_lag, warn_connections, fail_connections };
        let kept = Kept::new(config.connection, config.max_connection_age);
        let (tls, dialer) = (Tls::new(tls), Dialer::default());
        Ok(Self { options, questions, limits, gives_roots, tls, dialer, kept })
    }
}

impl Postgres {
    /// Whether the server is reached by a Unix socket: by its own option, or as a folder in place of a host.
    fn local(&self) -> bool {
        self.options.get_socket().is_some() || self.options.get_host().starts_with('/')
    }
}

#[async_trait]
impl Check for Postgres {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }
}

/// Its role, its version, whether it takes writes, and its connections: plain functions and views that everybody may use.
const BASE: &str = "SELECT 1, pg_is_in_recovery(), current_setting('server_version'), current_setting('transaction_read_only'), \
                    (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections')";

/// A replica without a receiver has not caught up, though it has replayed all that it received: its lag is the age of the last transaction.
const LAG: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL \
                   WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT 1 FROM pg_stat_wal_receiver) THEN 0 \
                   ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END";

/// For the rest of the text, which is one transaction, the server looks each second whether we are still there: else the query of a probe that
/// was dropped would go on, and one more with each probe.
const GUARD: &str = "SELECT set_config('client_connection_check_interval', '1s', true)";

/// An answer without columns, in place of one that cannot be had.
const NOTHING: &str = "SELECT";

/// Aurora's readers know no lag of this sort, before PostgreSQL 14 and on Windows there is no guard, and some that speak the protocol have
/// neither connections, role nor version.
const SERVER: Server<PgRow> = Server {
    tell: &[
        &[BASE, LAG, GUARD],
        &[BASE, NOTHING, GUARD],
        &[BASE, LAG, NOTHING],
        &[BASE, NOTHING, NOTHING],
        &["SELECT 1, pg_is_in_recovery(), current_setting('server_version'), current_setting('transaction_read_only')"],
        &["SELECT 1"],
    ],
    quote: '"',
    text,
    failure,
    // Syntax and rights; what is not supported; a setting that this platform does not take.
    is_refusal: |error| code(error).is_some_and(|code| code.starts_with("42") || code.starts_with("0A") || code == "22023"),
    is_no_table: |error| code(error).as_deref() == Some("42P01"),
};

/// Asks for TLS, as the driver does when it is to use it, and is content with a yes or a no. The driver believes whatever length another
/// protocol's first words happen to spell: at a web server's port it would ask for gigabytes of memory.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
async fn is_postgres(addresses: &[SocketAddr]) -> Result<(), Failure> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut stream = net::connect(addresses).await?;
    stream.write_all(&SSL_REQUEST).await.map_err(Failure::network)?;
    match stream.read_u8().await.map_err(Failure::network)? {
        b'S' | b'N' => Ok(()),
        other => Err(Failure::protocol(format!("the first byte is {other}"))),
    }
}

/// A connection, and what of `SERVER.tell` its server answers.
pub struct Link {
    connection: PgConnection,
    tells: usize,
    /// How long it took to resolve the name; told once.
    resolving: Option<Duration>,
}

#[async_trait]
impl Session for Postgres {
    type Connection = Link;

    async fn open(&self) -> Result<Link, Failure> {
        let mut resolving = None;
        if !self.local() {
            let address = Address::new(self.options.get_host(), self.options.get_port());
            let (addresses, took) = self.dialer.look_up(&address).await?;
            resolving = took;
            // With other modes the driver asks this first, too.
            if matches!(self.options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow) {
                is_postgres(&addresses).await?;
            }
        }
        let mut options = self.options.clone();
        if self.gives_roots {
            options = options.ssl_root_cert_from_pem(self.tls.roots_pem().await?);
        }
        if let Some((certificate, key)) = self.tls.identity_pem().await? {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
        }
        let connection = guarded(options.connect().map_err(|error| open_failure(error, self.local(), failure))).await?;
        Ok(Link { connection, tells: 0, resolving })
    }

    async fn ask(&self, link: &mut Link) -> Result<Observation, Failure> {
        let resolving = link.resolving.take();
        let told = guarded(self.questions.ask::<sqlx::Postgres>(&mut link.connection, &mut link.tells, &SERVER)).await?;
        let row = |answer: usize| told.get(answer).and_then(|rows| rows.first());
        let told = row(0).map(|base| Telling::of(base, row(1))).unwrap_or_default();
        self.limits.judge(
            &told.told,
            Observation::pass().took_some("resolve_ms", resolving).with_some("role", told.role).with_some("server_version", told.version),
        )
    }

    async fn hang_up(link: Link) {
        // The server may be gone already, and nobody is interested.
        let _ = link.connection.close().await;
    }
}

/// What one row tells beside the verdict.
#[derive(Default)]
struct Telling {
    role: Option<&'static str>,
    version: Option<String>,
    told: Told,
}

impl Telling {
    fn of(base: &PgRow, lag: Option<&PgRow>) -> Self {
        let replica = text(base, 1).map(|in_recovery| in_recovery == "t");
        let number = |column| text(base, column).and_then(|number| number.parse::<u64>().ok());
        let lag = lag.filter(|lag| !lag.is_empty()).map(|lag| match text(lag, 0).and_then(|seconds| seconds.parse::<f64>().ok()) {
            // The primary's clock may be ahead of the replica's.
            Some(seconds) => Lag::Behind(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)),
            None if replica == Some(true) => Lag::Stopped,
            None => Lag::None,
        });
        Self {
            role: replica.map(|replica| if replica { "replica" } else { "primary" }),
            // "15.18 (Debian 15.18-0+deb12u1)": the packager's words are not the version.
            version: text(base, 2).and_then(|version| version.split_whitespace().next().map(str::to_owned)),
            told: Told { replica, read_only: text(base, 3).map(|value| value == "on"), lag, connections: number(4).zip(number(5)) },
        }
    }
}

/// A column in the text form in which the simple protocol sends everything; nothing where there is none.
fn text(row: &PgRow, column: usize) -> Option<String> {
    let value = row.try_get_raw(column).ok()?;
    if value.is_null() { None } else { value.as_str().ok().map(str::to_owned) }
}

fn code(error: &Error) -> Option<String> {
    error.as_database_error().and_then(|said| said.code().map(std::borrow::Cow::into_owned))
}

fn failure(error: Error) -> Failure {
    match error {
        // What the driver says when the connection ends where the answer to its request for TLS should be.
        Error::Protocol(words) if words.contains("SSLRequest: 0x00") => {
            Failure::network(io::Error::new(io::ErrorKind::UnexpectedEof, words))
        }
        error if is_full(&error) => Failure::exhausted("no more connections are allowed there").because(error),
        error => sql::failure(error, classify),
    }
}

/// `PgBouncer` says by words alone that it has no slot left; its code is that of any breach of the protocol.
fn is_full(error: &Error) -> bool {
    let words = ["no more connections", "client connections exceeded", "query_wait_timeout"];
    let says = |said: &str| words.iter().any(|words| said.contains(words));
    error.as_database_error().is_some_and(|said| said.code().as_deref() == Some("08P01") && says(said.message()))
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify(code: &str) -> (FailureClass, &'static str) {
    match code {
        "28P01" => (FailureClass::Rejected, "the credentials are not accepted"),
        "28000" => (FailureClass::Rejected, "the server does not let this user in from here, or not without TLS"),
        "3D000" => (FailureClass::Rejected, "there is no such database"),
        "42501" => (FailureClass::Rejected, "the user may not do that"),
        "53300" => (FailureClass::Exhausted, "no more connections are allowed there"),
        "53100" => (FailureClass::Exhausted, "the disk is full there"),
        _ if code.starts_with("53") => (FailureClass::Exhausted, "the server is out of resources"),
        "57P03" => (FailureClass::Unhealthy, "the server is starting up or in recovery"),
        "57P01" | "57P02" => (FailureClass::Unhealthy, "the server is shutting down"),
        "57014" => (FailureClass::Unhealthy, "the server cancelled the query"),
        "25006" => (FailureClass::Unhealthy, "the server is read-only"),
        "42601" | "42P01" | "42703" | "42883" => (FailureClass::Unhealthy, "the server does not accept the query"),
        _ => (FailureClass::Unhealthy, "the server answered with an error"),
    }
}
