//! The servers that the application's environment variables describe.

use crate::{
    contract::EnvironmentCheck,
    sql::variables::{self, Database},
    wire::variables::{Lookup, ServerVariables},
};

const DATABASE: Database = Database {
    scheme: "postgres",
    engines: &["cockroachdb", "pg", "pgsql", "postgis", "postgresql", "psql"],
    port: 5432,
    socket: "host",
    socket_variable: None,
    tls: "sslmode=require",
    own: &[
        ServerVariables {
            host: &["POSTGRES_HOST", "POSTGRES_SERVER"],
            port: &["POSTGRES_PORT"],
            username: &["POSTGRES_USER", "POSTGRES_USERNAME"],
            password: &["POSTGRES_PASSWORD"],
            path: &["POSTGRES_DB", "POSTGRES_DATABASE"],
            tls: &[],
        },
        // libpq's own: <https://www.postgresql.org/docs/current/libpq-envars.html>.
        ServerVariables {
            host: &["PGHOST"],
            port: &["PGPORT"],
            username: &["PGUSER"],
            password: &["PGPASSWORD"],
            path: &["PGDATABASE"],
            tls: &[],
        },
    ],
};

pub(super) fn checks(variable: Lookup<'_>) -> Vec<EnvironmentCheck> {
    variables::checks(variable, &DATABASE)
}
