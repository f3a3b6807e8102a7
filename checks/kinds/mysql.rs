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
mod mode;
mod reasons;
mod state;
mod url;

use crate::{
    contract::prelude::*,
    sql::{
        migrations::Framework,
        server::{
            self, MAX_REPLY_BYTES, ServerLimits, ServerRole, SqlQueries,
            encryption::{self, Encryption, UrlFiles, UrlMode},
            guarded,
            socket::DriverSocket,
        },
    },
    wire::{
        address::{self, Address, Dialer, Stream},
        connect::{Phases, phase_values},
        meter::{Meter, Metered},
        tls::{Encrypted, ReadyTls, Tls, TlsKeys},
    },
};
use futures_util::TryFutureExt;
use mode::TlsMode;
use reasons::{Reason, reason, unsupported_login};
use sqlx::{ConnectOptions, Connection, Error};
use sqlx_mysql::{CleartextPassword, CleartextPasswordRefused, MySqlConnectOptions, MySqlConnection, MySqlSslMode, Upgraded};
use state::{SERVER, ServerState, database_error};
use std::{mem, path::PathBuf, time::Instant};
use tokio::net::UnixStream;
use url::ParsedUrl;

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
    /// URL with user, server and database, in the form of the application's client library:
    /// `mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY`, or with `?unix_socket=/run/mysqld/mysqld.sock` for a Unix socket.
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
    const OTHER_NAMES: &'static [&'static str] =
        &["maria", "percona", "galera", "tidb", "planetscale", "vitess", "aurora_mysql", "proxysql"];
    const EXAMPLE: &'static str = r#"
url = "mysql://app@db.internal:3306/orders?ssl-mode=VERIFY_IDENTITY"
password = "${DB_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] =
        &["mysql", "mysql2", "mariadb", "aurora", "trilogy", "mysqlgis", "mysql-connector", "mysql-pymysql", "mysqli", "pdo-mysql"];
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
        let ParsedUrl { options, has_password, mode, roots, certificate, key, warnings } = url::parse(&config.url, Self::SCHEMES)?;
        let host = Address::new(options.get_host(), 0).host;
        let mut options = options
            .host(&host)
            // The session has the modes and time zone of the server, like that of the application.
            .timezone(None)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        let is_key_written = config.tls.verify.is_some();
        let files = UrlFiles { roots: roots.as_ref(), certificate: certificate.as_ref(), key: key.as_ref() };
        let (encryption, tls) = encryption::merge(&url_mode(&mode, options.get_socket().is_some()), &files, config.tls)?;
        let cleartext_password = match options.get_socket() {
            Some(_) => CleartextPassword::Always,
            None if config.allow_cleartext_password => CleartextPassword::Always,
            None if tls.proves_identity() => CleartextPassword::OverTls,
            None => CleartextPassword::Never,
        };
        options = options.ssl_mode(driver_mode(encryption)).cleartext_password(cleartext_password);
        // An empty value is usually that of a variable that has none.
        if let Some(username) = config.username.filter(|username| !username.is_empty()) {
            options = options.username(&username);
        }
        let password = config.password.filter(|password| !password.expose().is_empty());
        if let Some(password) = &password {
            options = options.password(password.expose());
        }
        let queries = SqlQueries::new(config.query, config.expect, config.pending_migrations, config.migration_paths)?;
        let Config { role, warn_lag, fail_lag, warn_connections, fail_connections, .. } = config;
        let limits = ServerLimits { role, warn_lag, fail_lag, warn_connections, fail_connections };
        let kept = Kept::new(config.connection, config.max_connection_age);
        let host = options.get_socket().is_none().then(|| options.get_host());
        let has_password = password.is_some() || has_password;
        let warning = encryption::warning(host, has_password, (encryption, &tls), is_key_written, VERIFY_IDENTITY);
        let warnings = warnings.into_iter().chain(warning).collect();
        let (tls, dialer) = (Tls::new(tls), Dialer::default());
        Ok(Self { options, queries, limits, tls, warnings, dialer, kept })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

/// What to write in a URL for full verification.
const VERIFY_IDENTITY: &str = "ssl-mode=VERIFY_IDENTITY";

/// <https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode>. A Unix socket needs no TLS unless the URL
/// requires it.
fn url_mode(mode: &TlsMode, is_socket: bool) -> UrlMode {
    let is_local = is_socket && mode.encryption == Encryption::IfOffered;
    let encryption = if is_local { Encryption::Never } else { mode.encryption };
    UrlMode { encryption, verify: mode.verify, is_written: mode.is_written, is_implied_by_roots: true, remedy: VERIFY_IDENTITY }
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

/// A connection, and the variant of `SERVER.variants` that its server accepts.
pub struct MysqlClient {
    connection: MySqlConnection,
    meter: Meter,
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

    /// Starts TLS on a connection after the greeting of the server. A server that is not accepted counts an interrupted handshake, and
    /// blocks this host after some of them: so the handshake is completed, and the driver logs in as nobody.
    async fn encrypt(&self, tls: &ReadyTls<'_>, socket: DriverSocket) -> Result<Upgraded<DriverSocket>, Failure> {
        let stream = socket.into_stream().ok_or_else(|| Failure::protocol("the server sent data between its greeting and our reply"))?;
        Ok(match tls.complete_handshake(self.options.get_host(), stream).await? {
            Encrypted::Trusted(stream) => Upgraded::Trusted(DriverSocket::new(Box::new(stream))),
            Encrypted::Untrusted(stream, failure) => Upgraded::Untrusted(DriverSocket::new(Box::new(stream)), tls_error(failure)),
        })
    }
}

#[async_trait]
impl Session for Mysql {
    type Connection = MysqlClient;

    async fn open(&self) -> Result<MysqlClient, Failure> {
        let mut phases = Phases::new();
        let requires_tls = matches!(self.options.get_ssl_mode(), MySqlSslMode::Required);
        // Before the connection: the server would count a file that cannot be used as an interrupted handshake.
        let ready = if requires_tls { Some(self.tls.ready().await?) } else { None };
        // TLS runs within: its records are little larger than what they contain.
        let meter = Meter::new(MAX_REPLY_BYTES);
        let socket = DriverSocket::new(Box::new(Metered::new(self.dial(&mut phases).await?, meter.clone())));
        let mut encrypting = None;
        let upgrade = async |socket| {
            let began = Instant::now();
            let ready = match ready {
                Some(ready) => ready,
                None => self.tls.ready().await.map_err(tls_error)?,
            };
            let upgraded = self.encrypt(&ready, socket).await.map_err(tls_error)?;
            encrypting = Some(began.elapsed());
            Ok(upgraded)
        };
        let connection = guarded(self.options.connect_with_socket(socket, upgrade).map_err(open_failure)).await?;
        phases.extend(encrypting.map(|took| ("tls_ms", took)));
        Ok(MysqlClient { connection, meter, variant: 0, phases, tls_verify: self.tls.observed_verify().filter(|_| encrypting.is_some()) })
    }

    async fn ask(&self, client: &mut MysqlClient) -> Result<Observation, Failure> {
        client.meter.refill(MAX_REPLY_BYTES);
        let seen = phase_values(mem::take(&mut client.phases)).with_some("tls_verify", client.tls_verify);
        let results = guarded(self.queries.ask::<sqlx_mysql::MySql>(&mut client.connection, &mut client.variant, &SERVER)).await?;
        let state = ServerState(results);
        let info = state.info(self.limits.role);
        let seen = seen.with_some("server_version", state.version()).with_some("read_only", info.read_only);
        if let Err(failure) = state.judge_usable() {
            return Err(failure.observing(seen).reusable_connection());
        }
        Ok(state.warned(self.limits.judge(&info, seen)?))
    }

    async fn hang_up(client: MysqlClient) {
        // Otherwise the server logs an aborted connection. An error does not matter here.
        let _ = client.connection.close().await;
    }
}

/// Passes our own failure through the driver.
fn tls_error(failure: Failure) -> Error {
    Error::Tls(Box::new(failure))
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
    if let Some(said) = database_error(&error) {
        let Reason { class, message, .. } = reason(said.number(), said.message());
        return Failure::new(*class, *message).because(error);
    }
    match error {
        Error::Configuration(said) if said.is::<CleartextPasswordRefused>() => Failure::rejected(
            "the server asks for the cleartext password, which is sent over verified TLS only: write `ssl-mode=VERIFY_IDENTITY`, or set \
             `allow_cleartext_password = true`",
        )
        .because(said),
        Error::Protocol(words) => match unsupported_login(&words) {
            Some(message) => Failure::rejected(message).because(words),
            None => server::failure(Error::Protocol(words), unclassified),
        },
        error => server::failure(error, unclassified),
    }
}

/// For an error of another database, which this driver never returns.
const fn unclassified(_: &str) -> (FailureClass, &'static str) {
    (FailureClass::Unhealthy, "the server replied with an error")
}
