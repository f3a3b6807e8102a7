//! `PostgreSQL`, and what speaks its protocol: Aurora, Cockroach, Timescale, `PgBouncer` in front of any of them.

use crate::{
    contract::prelude::*,
    endpoint,
    net::{Address, Dialer},
    sql,
    tls::{Tls, TlsFiles, TlsKeys},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, ValueRef,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};
use std::io;

/// Asks a query, by default `SELECT 1`. The connection is kept; the protocol's simple form leaves no prepared statement behind and works
/// through `PgBouncer` in every pooling mode. Needs no right but to connect.
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
    /// A query of your own: one statement that returns at least one row.
    pub query: Option<String>,
    /// What the first column of the first row of `query` must be, as text.
    pub expect: Option<String>,
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
    query: Option<String>,
    expect: Option<String>,
    /// The server must prove itself, and the URL names no roots: then the check's own or the system's count, as everywhere here.
    gives_roots: bool,
    tls: Tls,
    dialer: Dialer,
    kept: Kept<PgConnection>,
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
        sql::needs_query(config.query.as_ref(), config.expect.as_ref())?;
        let kept = Kept::new(config.connection, config.max_connection_age);
        Ok(Self { options, query: config.query, expect: config.expect, gives_roots, tls: Tls::new(tls), dialer: Dialer::default(), kept })
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

#[async_trait]
impl Session for Postgres {
    type Connection = PgConnection;

    async fn open(&self) -> Result<PgConnection, Failure> {
        if !self.local() {
            self.dialer.resolve(&Address::new(self.options.get_host(), self.options.get_port())).await?;
        }
        let mut options = self.options.clone();
        if self.gives_roots {
            options = options.ssl_root_cert_from_pem(self.tls.roots_pem().await?);
        }
        if let Some((certificate, key)) = self.tls.identity_pem().await? {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
        }
        options.connect().await.map_err(|error| sql::open_failure(error, self.local(), failure))
    }

    async fn ask(&self, connection: &mut PgConnection) -> Result<Observation, Failure> {
        // Role and version come with the one round trip; they are plain functions that everybody may call.
        let row = match sqlx::raw_sql("SELECT 1, pg_is_in_recovery(), current_setting('server_version')").fetch_one(&mut *connection).await
        {
            Ok(row) => Some(row),
            // Some that speak the protocol lack these functions.
            Err(sqlx::Error::Database(_)) => {
                sqlx::raw_sql("SELECT 1").fetch_one(&mut *connection).await.map_err(failure)?;
                None
            }
            Err(error) => return Err(failure(error)),
        };
        if let Some(query) = &self.query {
            let answer = sqlx::raw_sql(AssertSqlSafe(query.as_str())).fetch_optional(&mut *connection).await.map_err(failure)?;
            let first = answer.as_ref().and_then(|row| text(row, 0));
            sql::expect(answer.is_some(), first, self.expect.as_deref())?;
        }
        let role = row.as_ref().and_then(|row| text(row, 1)).map(|in_recovery| if in_recovery == "t" { "replica" } else { "primary" });
        // "15.18 (Debian 15.18-0+deb12u1)": the packager's words are not the version.
        let version = row.as_ref().and_then(|row| text(row, 2)).and_then(|version| version.split_whitespace().next());
        Ok(Observation::pass().with_some("role", role).with_some("server_version", version))
    }

    async fn hang_up(connection: PgConnection) {
        // The server may be gone already, and nobody is interested.
        let _ = connection.close().await;
    }
}

/// A column in the text form in which the simple protocol sends everything.
fn text(row: &PgRow, column: usize) -> Option<&str> {
    let value = row.try_get_raw(column).ok()?;
    if value.is_null() { None } else { value.as_str().ok() }
}

fn failure(error: sqlx::Error) -> Failure {
    match error {
        // What the driver says when the connection ends where the answer to its request for TLS should be.
        sqlx::Error::Protocol(words) if words.contains("SSLRequest: 0x00") => {
            Failure::network(io::Error::new(io::ErrorKind::UnexpectedEof, words))
        }
        error => sql::failure(error, classify),
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify(code: &str) -> (FailureClass, &'static str) {
    match code {
        "28P01" | "28000" => (FailureClass::Rejected, "the credentials are not accepted"),
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
