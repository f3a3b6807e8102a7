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

mod attributes;
mod connect;
mod discovery;
mod encryption;
mod parameters;
mod reasons;
mod servers;
mod state;
mod user;
mod vocabulary;

use crate::{
    contract::prelude::*,
    sql::{
        migrations::Framework,
        server::{
            MAX_REPLY_BYTES, ServerLimits, ServerRole, SqlQueries,
            encryption::{self as sql_encryption, Encryption},
            guarded,
        },
    },
    wire::{
        address::Dialer,
        connect::{Phases, phase_values},
        meter::Meter,
        tls::{Tls, TlsKeys},
    },
};
use attributes::SessionAttributes;
use encryption::VERIFY_FULL;
use parameters::Parameters;
use servers::DatabaseServer;
use sqlx::Connection;
use sqlx_postgres::{PgConnectOptions, PgConnection, PgLogin};
use std::{mem, path::PathBuf};
use user::User;

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
    /// The servers to try, in this order, with the settings of the session.
    servers: Vec<(DatabaseServer, PgConnectOptions)>,
    attributes: SessionAttributes,
    queries: SqlQueries,
    limits: ServerLimits,
    encryption: Encryption,
    /// Whether TLS is tried after the server has rejected a connection without it.
    may_encrypt: bool,
    tls: Tls,
    login: PgLogin,
    allow_cleartext_password: bool,
    warnings: Vec<ConfigWarning>,
    dialer: Dialer,
    kept: Kept<PostgresClient>,
}

impl Backend for Postgres {
    const KIND: &'static str = "postgres";
    const CATEGORY: Category = Category::Database;
    const OTHER_NAMES: &'static [&'static str] = &[
        "pg",
        "pgbouncer",
        "pgpool",
        "pgvector",
        "timescaledb",
        "aurora_postgresql",
        "alloydb",
        "yugabyte",
        "yugabytedb",
        "neon",
        "supabase",
    ];
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
        let (url, hosts) = servers::parse(&config.url, Self::SCHEMES)?;
        let parameters = Parameters::collect(&url)?;
        vocabulary::verify(&parameters)?;
        let attributes = SessionAttributes::from_parameters(&parameters)?;
        let url_tls = encryption::url_tls(&parameters)?;
        let is_key_written = config.tls.verify.is_some();
        let (encryption, tls) = sql_encryption::merge(&url_tls.mode, &url_tls.files(), config.tls)?;
        let mut warnings = vocabulary::warnings(&url, &parameters);
        let user = User::new(&url, &parameters, config.username, config.password)?;
        let servers: Vec<_> = servers::servers(hosts, &parameters)?
            .into_iter()
            .map(|server| {
                let options = user.options(&server, &parameters, &mut warnings);
                (server, options)
            })
            .collect();
        let queries = SqlQueries::new(config.query, config.expect, config.pending_migrations, config.migration_paths)?;
        let Config { role, warn_lag, fail_lag, warn_connections, fail_connections, .. } = config;
        let limits = ServerLimits { role, warn_lag, fail_lag, warn_connections, fail_connections };
        warnings.extend(login_warning(&servers, (encryption, &tls), is_key_written));
        Ok(Self {
            servers,
            attributes,
            queries,
            limits,
            encryption,
            may_encrypt: url_tls.may_encrypt && encryption == Encryption::Never,
            tls: Tls::new(tls),
            login: encryption::login(&parameters)?,
            allow_cleartext_password: config.allow_cleartext_password,
            warnings,
            dialer: Dialer::default(),
            kept: Kept::new(config.connection, config.max_connection_age),
        })
    }

    fn discover(variable: &dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck> {
        discovery::checks(variable)
    }
}

/// The warning about a login to a server whose certificate is not verified: about the server with the least proof.
fn login_warning(
    servers: &[(DatabaseServer, PgConnectOptions)],
    tls: (Encryption, &TlsKeys),
    is_key_written: bool,
) -> Option<ConfigWarning> {
    let warning = |(server, options): &(DatabaseServer, PgConnectOptions)| {
        let address = server.address.map(|address| address.to_string());
        let host = server.socket.is_none().then(|| address.as_deref().unwrap_or(&server.host));
        sql_encryption::warning(host, options.get_password().is_some(), tls, is_key_written, VERIFY_FULL)
    };
    servers.iter().find_map(warning)
}

#[async_trait]
impl Check for Postgres {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }

    fn secrets(&self) -> Vec<Secret> {
        // From a parameter of the URL, a service, the environment or a password file.
        self.servers.iter().filter_map(|(_, options)| options.get_password().map(Secret::new)).collect()
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        self.warnings.clone()
    }
}

/// A connection, and the variant of `SERVER.variants` that its server accepts.
pub struct PostgresClient {
    connection: PgConnection,
    /// The driver also keeps the names and values of all settings that the server reports.
    meter: Meter,
    variant: usize,
    /// Observed by the first probe only.
    phases: Phases,
    tls_verify: Option<&'static str>,
}

#[async_trait]
impl Session for Postgres {
    type Connection = PostgresClient;

    async fn open(&self) -> Result<PostgresClient, Failure> {
        connect::open(self).await
    }

    async fn ask(&self, client: &mut PostgresClient) -> Result<Observation, Failure> {
        client.meter.refill(MAX_REPLY_BYTES);
        let seen = phase_values(mem::take(&mut client.phases)).with_some("tls_verify", client.tls_verify);
        let asking = self.queries.ask::<sqlx_postgres::Postgres>(&mut client.connection, &mut client.variant, &state::SERVER);
        let results = guarded(asking).await?;
        let row = |statement: usize| results.get(statement).and_then(|rows| rows.first());
        let info = row(0).map(|state| state::server_info(state, row(1))).unwrap_or_default();
        let role = info.replica.map(|replica| if replica { "replica" } else { "primary" });
        let seen = seen.with_some("role", role).with_some("server_version", row(0).and_then(state::server_version));
        if !self.attributes.are_met_by(&info) {
            // It was another one when the connection was opened: a new connection may find a server that meets them.
            return Err(self.attributes.failure().observing(seen));
        }
        let seen = self.limits.judge(&info, seen)?;
        let is_waiting = row(0).is_some_and(state::is_waiting_for_standby);
        Ok(if is_waiting { seen.warned(WAITING_FOR_STANDBY) } else { seen })
    }

    async fn hang_up(client: PostgresClient) {
        // An error does not matter here.
        let _ = client.connection.close().await;
    }
}

/// `synchronous_standby_names` is set, and no standby is connected.
const WAITING_FOR_STANDBY: &str = "writes wait for a synchronous standby, and no standby is connected";
