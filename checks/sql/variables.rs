//! Database servers that an application's environment describes by several variables.

use crate::{
    contract::EnvironmentCheck,
    wire::variables::{Lookup, Server, ServerVariables, encoded, value},
};

/// What belongs to a kind of database.
pub(crate) struct Database {
    /// The scheme of its URLs.
    pub(crate) scheme: &'static str,
    /// How frameworks name it, apart from the scheme: `pgsql`.
    pub(crate) engines: &'static [&'static str],
    /// Its usual port.
    pub(crate) port: u16,
    /// The parameter of a URL that holds the path of a Unix socket.
    pub(crate) socket: &'static str,
    /// The variable of a Unix socket that takes precedence over `DB_HOST`, as in Laravel.
    pub(crate) socket_variable: Option<&'static str>,
    /// The parameter of a URL that requires TLS.
    pub(crate) tls: &'static str,
    /// Variables of this kind only.
    pub(crate) own: &'static [ServerVariables],
}

/// Variables of any kind of database, and those that say which one it is.
const SHARED: &[(&[&str], ServerVariables)] = &[
    // Laravel; others use some of them.
    (
        &["DB_CONNECTION", "DB_ENGINE", "DB_TYPE", "DB_CLIENT", "DB_DIALECT", "DB_ADAPTER", "DB_DRIVER"],
        ServerVariables {
            host: &["DB_HOST"],
            port: &["DB_PORT"],
            username: &["DB_USERNAME", "DB_USER"],
            password: &["DB_PASSWORD", "DB_PASS"],
            path: &["DB_DATABASE", "DB_NAME"],
            tls: &["DB_SSL"],
        },
    ),
    // Strapi; others use some of them.
    (
        &["DATABASE_CLIENT", "DATABASE_ENGINE", "DATABASE_TYPE", "DATABASE_DIALECT", "DATABASE_ADAPTER", "DATABASE_DRIVER"],
        ServerVariables {
            host: &["DATABASE_HOST"],
            port: &["DATABASE_PORT"],
            username: &["DATABASE_USERNAME", "DATABASE_USER"],
            password: &["DATABASE_PASSWORD"],
            path: &["DATABASE_NAME"],
            tls: &["DATABASE_SSL"],
        },
    ),
    (
        &["SQL_ENGINE"],
        ServerVariables {
            host: &["SQL_HOST"],
            port: &["SQL_PORT"],
            username: &["SQL_USER"],
            password: &["SQL_PASSWORD"],
            path: &["SQL_DATABASE"],
            tls: &[],
        },
    ),
    // Elastic Beanstalk, which says by the port alone which database it is.
    (
        &[],
        ServerVariables {
            host: &["RDS_HOSTNAME"],
            port: &["RDS_PORT"],
            username: &["RDS_USERNAME"],
            password: &["RDS_PASSWORD"],
            path: &["RDS_DB_NAME"],
            tls: &[],
        },
    ),
];

/// The checks of the servers that the environment describes. Without a user there is none: each client takes another one.
pub(crate) fn checks(variable: Lookup<'_>, database: &Database) -> Vec<EnvironmentCheck> {
    let shared = SHARED.iter().filter(|(engines, variables)| match engines.iter().find_map(|name| value(variable, name)) {
        Some(engine) => database.is_named(&engine),
        None => variables.port.iter().find_map(|name| value(variable, name)).is_some_and(|port| port.parse() == Ok(database.port)),
    });
    let all = database.own.iter().chain(shared.map(|(_, variables)| variables));
    let servers = all.filter_map(|variables| {
        let mut server = variables.read(variable).filter(Server::has_username)?;
        let socket = database.socket_variable.filter(|_| variables.host == ["DB_HOST"]);
        if let Some(socket) = socket.and_then(|name| value(variable, name)) {
            (server.host, server.port) = (socket, None);
        }
        Some(server)
    });
    let url = |server: &Server| {
        let (scheme, path) = (database.scheme, encoded(&server.path));
        if server.host.starts_with('/') {
            let port = server.port.map_or_else(String::new, |port| format!(":{port}"));
            return format!("{scheme}://localhost{port}/{path}?{}={}", database.socket, encoded(&server.host));
        }
        let query = if server.has_tls { format!("?{}", database.tls) } else { String::new() };
        format!("{scheme}://{}/{path}{query}", server.authority())
    };
    servers.map(|server| server.check(url)).collect()
}

impl Database {
    /// Whether a framework names this kind so: `pgsql`, `postgresql+asyncpg` or `django.db.backends.postgresql`.
    fn is_named(&self, engine: &str) -> bool {
        let name = engine.rsplit('.').next().unwrap_or(engine).split(['+', '_']).next().unwrap_or_default().to_ascii_lowercase();
        name == self.scheme || self.engines.contains(&&*name)
    }
}
