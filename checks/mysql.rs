//! `MySQL`, `MariaDB` and Aurora.

use crate::{
    contract::prelude::*,
    endpoint,
    net::{Address, Dialer},
    sql,
    tls::{Tls, TlsFiles, TlsKeys},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, MySqlConnection, Row,
    mysql::{MySqlConnectOptions, MySqlRow, MySqlSslMode},
};

/// Asks a query, by default `SELECT 1`. The connection is kept. Needs no right but to connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where, as whom, and which database: `mysql://user:password@host:3306/database?ssl-mode=REQUIRED`.
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
pub struct Mysql {
    options: MySqlConnectOptions,
    query: Option<String>,
    expect: Option<String>,
    /// The server must prove itself, and the URL names no roots: then the check's own or the system's count, as everywhere here.
    gives_roots: bool,
    tls: Tls,
    dialer: Dialer,
    kept: Kept<MySqlConnection>,
}

impl Backend for Mysql {
    const KIND: &'static str = "mysql";
    const CATEGORY: Category = Category::Database;
    const EXAMPLE: &'static str = r#"
url = "mysql://app@db.internal:3306/orders?ssl-mode=REQUIRED"
password = "${DB_PASSWORD}"
"#;
    const SCHEMES: &'static [&'static str] = &["mysql", "mysql2", "mariadb", "aurora"];
    type Config = Config;

    fn build(config: Config) -> Result<Self, InvalidConfig> {
        let schemes: Vec<_> = Self::SCHEMES.iter().map(|scheme| (*scheme, "mysql")).collect();
        let url = endpoint::parse("url", &config.url, &schemes)?;
        let mut options = MySqlConnectOptions::from_url(&url)
            .map_err(|_| InvalidConfig::new("url", "MySQL's driver does not take a parameter of it"))?
            .disable_statement_logging();
        let host = Address::new(options.get_host(), 0).host;
        options = options.host(&host);
        let says = |keys: &[&str]| url.query_pairs().any(|(key, _)| keys.contains(&&*key));
        let tls = TlsKeys::from(config.tls);
        tls.examine(!matches!(options.get_ssl_mode(), MySqlSslMode::Disabled), "ssl-mode=VERIFY_IDENTITY")?;
        if tls.ca_file.is_some() {
            options = match options.get_ssl_mode() {
                MySqlSslMode::Preferred if !says(&["sslmode", "ssl-mode"]) => options.ssl_mode(MySqlSslMode::VerifyIdentity),
                MySqlSslMode::Required => options.ssl_mode(MySqlSslMode::VerifyCa),
                _ => options,
            };
        }
        let named = tls.ca_file.is_none() && says(&["sslca", "ssl-ca"]);
        let gives_roots = !named && matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity);
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

impl Mysql {
    /// Whether the server is reached by a Unix socket.
    fn local(&self) -> bool {
        self.options.get_socket().is_some()
    }
}

#[async_trait]
impl Check for Mysql {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.kept.probe(self).await
    }
}

#[async_trait]
impl Session for Mysql {
    type Connection = MySqlConnection;

    async fn open(&self) -> Result<MySqlConnection, Failure> {
        if !self.local() {
            self.dialer.resolve(&Address::new(self.options.get_host(), self.options.get_port())).await?;
        }
        let mut options = self.options.clone();
        if self.gives_roots {
            options = options.ssl_ca_from_pem(self.tls.roots_pem().await?);
        }
        if let Some((certificate, key)) = self.tls.identity_pem().await? {
            options = options.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key);
        }
        options.connect().await.map_err(|error| sql::open_failure(error, self.local(), failure))
    }

    async fn ask(&self, connection: &mut MySqlConnection) -> Result<Observation, Failure> {
        // Version and role come with the one round trip; everybody may read these variables.
        let row = match sqlx::raw_sql("SELECT 1, @@version, @@read_only").fetch_one(&mut *connection).await {
            Ok(row) => Some(row),
            // Some that speak the protocol lack these variables.
            Err(sqlx::Error::Database(_)) => {
                sqlx::raw_sql("SELECT 1").fetch_one(&mut *connection).await.map_err(failure)?;
                None
            }
            Err(error) => return Err(failure(error)),
        };
        if let Some(query) = &self.query {
            let answer = sqlx::raw_sql(AssertSqlSafe(query.as_str())).fetch_optional(&mut *connection).await.map_err(failure)?;
            let first = answer.as_ref().and_then(|row| text(row, 0));
            sql::expect(answer.is_some(), first.as_deref(), self.expect.as_deref())?;
        }
        let version = row.as_ref().and_then(|row| text(row, 1));
        let read_only = row.as_ref().and_then(|row| text(row, 2)).map(|value| matches!(value.as_str(), "1" | "ON"));
        Ok(Observation::pass().with_some("server_version", version).with_some("read_only", read_only))
    }

    async fn hang_up(connection: MySqlConnection) {
        // Without a goodbye the server logs an aborted connection. It may be gone already, and nobody is interested.
        let _ = connection.close().await;
    }
}

/// A column in the text form in which this protocol sends everything.
fn text(row: &MySqlRow, column: usize) -> Option<String> {
    row.try_get_unchecked::<Option<String>, _>(column).ok().flatten()
}

fn failure(error: sqlx::Error) -> Failure {
    // The SQLSTATE is too coarse here (08004, HY000): the number tells.
    let number = error
        .as_database_error()
        .and_then(|said| said.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
        .map(sqlx::mysql::MySqlDatabaseError::number);
    let Some(number) = number else { return sql::failure(error, |_| (FailureClass::Unhealthy, "the server answered with an error")) };
    let (class, message) = classify(number);
    Failure::new(class, message).because(error)
}

/// By error number: <https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference>.
const fn classify(number: u16) -> (FailureClass, &'static str) {
    match number {
        1044 | 1045 | 1698 => (FailureClass::Rejected, "the credentials are not accepted"),
        1049 => (FailureClass::Rejected, "there is no such database"),
        1129 | 1130 => (FailureClass::Rejected, "the server does not let this host connect"),
        1142 | 1143 | 1227 => (FailureClass::Rejected, "the user may not do that"),
        1040 | 1203 | 1226 => (FailureClass::Exhausted, "no more connections are allowed there"),
        1021 | 1114 => (FailureClass::Exhausted, "the disk is full there"),
        1037 | 1038 | 1041 => (FailureClass::Exhausted, "the server is out of memory"),
        1053 | 1927 => (FailureClass::Unhealthy, "the server is shutting down"),
        1290 | 1836 => (FailureClass::Unhealthy, "the server is read-only"),
        1054 | 1064 | 1146 => (FailureClass::Unhealthy, "the server does not accept the query"),
        _ => (FailureClass::Unhealthy, "the server answered with an error"),
    }
}
