//! The servers that the application's environment variables describe.

use crate::{
    contract::EnvironmentCheck,
    sql::variables::{self, Database},
    wire::variables::{Lookup, ServerVariables},
};

const DATABASE: Database = Database {
    scheme: "mysql",
    engines: &["mariadb", "mysql2", "mysqli"],
    port: 3306,
    socket: "socket",
    socket_variable: Some("DB_SOCKET"),
    tls: "ssl-mode=REQUIRED",
    own: &[
        ServerVariables {
            host: &["MYSQL_HOST"],
            port: &["MYSQL_PORT"],
            username: &["MYSQL_USER", "MYSQL_USERNAME"],
            password: &["MYSQL_PASSWORD"],
            path: &["MYSQL_DATABASE", "MYSQL_DB"],
            tls: &[],
        },
        ServerVariables {
            host: &["MARIADB_HOST"],
            port: &["MARIADB_PORT"],
            username: &["MARIADB_USER"],
            password: &["MARIADB_PASSWORD"],
            path: &["MARIADB_DATABASE"],
            tls: &[],
        },
        // Railway.
        ServerVariables {
            host: &["MYSQLHOST"],
            port: &["MYSQLPORT"],
            username: &["MYSQLUSER"],
            password: &["MYSQLPASSWORD"],
            path: &["MYSQLDATABASE"],
            tls: &[],
        },
        ServerVariables {
            host: &["WORDPRESS_DB_HOST"],
            port: &[],
            username: &["WORDPRESS_DB_USER"],
            password: &["WORDPRESS_DB_PASSWORD"],
            path: &["WORDPRESS_DB_NAME"],
            tls: &[],
        },
    ],
};

pub(super) fn checks(variable: Lookup<'_>) -> Vec<EnvironmentCheck> {
    variables::checks(variable, &DATABASE)
}
