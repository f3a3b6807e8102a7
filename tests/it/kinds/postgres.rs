//! `postgres`, against real servers.

mod pooler;
mod transports;
mod urls;

use crate::{
    helpers::{eventually, no_such_name},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server,
        hostile::{BlackHole, Hostile},
        postgres_standby, postgres_with, postgres_with_tls,
        proxy::Proxy,
        shared::SharedServer,
    },
};
use allswell::Failure;
use std::{fs, sync::LazyLock};

const PASSWORD: &str = "correct-horse";
const MAX_CONNECTIONS: u32 = 50;

/// A server for all tests that do not stop or reconfigure it. Each has its own role and database, except those that only need `probe` and
/// `orders` to be there.
static SERVER: LazyLock<SharedServer> = LazyLock::new(|| {
    let max_connections = format!("max_connections={MAX_CONNECTIONS}");
    let server = postgres_with(PASSWORD, &["log_statement=all", "log_line_prefix=%u ", &max_connections]);
    add_role(&server, "probe", "orders");
    SharedServer::new(server)
});

/// Creates a role with the least rights: it may connect to one database.
fn add_role(server: &Server, role: &str, database: &str) {
    server.psql(
        PASSWORD,
        "postgres",
        &format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'probe-password'; REVOKE CONNECT ON DATABASE {database} FROM PUBLIC; \
             GRANT CONNECT ON DATABASE {database} TO {role}"
        ),
    );
}

/// Creates a database on the shared server, and a role of the same name that may connect to it.
fn add_database(name: &str) {
    SERVER.psql(PASSWORD, "postgres", &format!("CREATE DATABASE {name}"));
    add_role(&SERVER, name, name);
}

/// A table for the role `probe`, which has the least rights, with more keys.
fn table(port: u16, more: &str) -> String {
    table_of("probe", port, "orders", more)
}

/// A table for a database of [`add_database`], with more keys.
fn table_for(database: &str, more: &str) -> String {
    table_of(database, SERVER.port, database, more)
}

fn table_of(role: &str, port: u16, database: &str, more: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"postgres://{role}:probe-password@127.0.0.1:{port}/{database}\"\n{more}")
}

fn url(url: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"{url}\"\n")
}

#[test]
fn each_failure_has_its_class_and_message() {
    let (hole, port) = (BlackHole::new(), SERVER.port);
    let cut = Proxy::to(port);
    cut.cut_after(20_000);
    let with = |more: &str| url(&format!("postgres://probe:probe-password@127.0.0.1:{port}/orders{more}"));
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("no name", url(&format!("postgres://a:b@{}/orders", no_such_name())), "unreachable", "the name does not resolve"),
        Case::new("black hole", table(hole.port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(Hostile::silent().port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", table(Hostile::hanging_up().port(), ""), "unreachable", "connection closed before a reply"),
        Case::new("another protocol", table(Hostile::babbling().port(), ""), "protocol", "the reply is not in the expected protocol"),
        Case::new(
            "a web server",
            table(Hostile::answering("HTTP/1.1 400 Bad Request\r\n\r\n").port(), "").replace("/orders", "/orders?sslmode=disable"),
            "protocol",
            "the reply is not in the expected protocol",
        ),
        Case::new("endless", table(Hostile::trickling(b"N", b"N").port(), ""), "protocol", "the reply is not in the expected protocol"),
        Case::new(
            "claims a message of 2 GiB",
            table(Hostile::endless(b"NE\x7f\xff\xff\xff", b"x").port(), ""),
            "protocol",
            "the reply is not in the expected protocol",
        ),
        Case::new(
            "endless notices",
            table(Hostile::endless(b"N", b"N\0\0\0\x1cSNOTICE\0VNOTICE\0C00000\0\0").port(), ""),
            "protocol",
            "the reply is too long",
        ),
        Case::new("a long text", table(port, "query = \"SELECT repeat('x', 20000000)\""), "protocol", "the reply is too long"),
        Case::new(
            "breaks off",
            table(cut.port, "query = \"SELECT repeat('x', 100000)\""),
            "protocol",
            "the connection was closed in the middle of a reply",
        ),
        Case::new("TLS to a plain port", with("?sslmode=require"), "tls", "the server does not offer TLS"),
        Case::new(
            "password",
            url(&format!("postgres://probe:wrong@127.0.0.1:{port}/orders")),
            "rejected",
            "the credentials are not accepted",
        ),
        Case::new(
            "no user",
            url(&format!("postgres://none:wrong@127.0.0.1:{port}/orders")),
            "rejected",
            "the credentials are not accepted",
        ),
        Case::new(
            "database",
            url(&format!("postgres://probe:probe-password@127.0.0.1:{port}/none")),
            "rejected",
            "there is no such database",
        ),
        Case::new(
            "not a database of ours",
            url(&format!("postgres://probe:probe-password@127.0.0.1:{port}/secret")),
            "rejected",
            "there is no such database",
        ),
        Case::new("a wrong query", table(port, "query = \"SELEC 1\""), "unhealthy", "the server rejected the query"),
        Case::new(
            "a forbidden query",
            table(port, "query = \"SELECT rolpassword FROM pg_authid\""),
            "rejected",
            "the user does not have the required permission",
        ),
        Case::new(
            "a second statement that fails",
            table(port, "query = \"SELECT 1; SELECT 1 / 0\""),
            "unhealthy",
            "the server replied with an error",
        ),
        Case::new("only a comment", table(port, "query = \"-- SELECT 1\""), "unhealthy", "the query returned no row"),
        Case::new("no row", table(port, "query = \"SELECT 1 WHERE false\""), "unhealthy", "the query returned no row"),
        Case::new(
            "another value",
            table(port, "query = \"SELECT 1\"\nexpect = \"2\""),
            "unhealthy",
            "the query did not return the expected value",
        ),
        Case::new("a slow query", table(port, "query = \"SELECT pg_sleep(60)\"\ntimeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("a replica is wanted", table(port, "role = \"replica\""), "unhealthy", "this is the primary, not a replica"),
    ]);
}

#[test]
fn a_pass_observes_role_version_and_connections() {
    let probed = Probed::new(&table(SERVER.port, "role = \"primary\"\nquery = \"SELECT 6 * 7\"\nexpect = \"42\"")).pass();
    let values = probed.values();
    assert_eq!(values["role"], "primary");
    assert!(values["server_version"].as_str().is_some_and(|version| version.contains('.') && !version.contains(' ')));
    assert_eq!(values["max_connections"], MAX_CONNECTIONS);
    assert!(values["connections"].as_u64().is_some_and(|connections| connections >= 1));
    assert!(!values.contains_key("lag_ms"));
}

/// The server and libpq take a password as it is if `SASLprep` (RFC 4013) forbids it.
#[test]
fn a_password_that_saslprep_forbids_is_used_as_it_is() {
    let role = |password: &str| {
        format!("kind = \"postgres\"\nurl = \"postgres://odd@127.0.0.1:{}/postgres\"\npassword = \"{password}\"\n", SERVER.port)
    };
    for (password, wrong) in [("pä🔑😀", "pä🔑🔒"), ("tab\\tand\\u0007bell", "tab and bell"), ("\u{5d0}a\u{627}1", "other")] {
        let text: String = serde_json::from_str(&format!("\"{password}\"")).expect("text");
        SERVER.psql(PASSWORD, "postgres", &format!("DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD '{text}'"));
        Probed::new(&role(password)).pass();
        let failure = Probed::new(&role(wrong)).fail();
        assert_eq!((failure.class().as_str(), failure.message()), ("rejected", "the credentials are not accepted"), "{wrong}");
    }
}

#[test]
fn more_connections_than_the_limit_warn_or_fail() {
    let message = format!(" of {MAX_CONNECTIONS} connections are in use, more than 1%");
    let failure = Probed::new(&table(SERVER.port, "fail_connections = \"1%\"")).fail();
    assert!(failure.message().ends_with(&message), "{failure}");
    assert_eq!(failure.values()["max_connections"], MAX_CONNECTIONS);
    let warned = Probed::new(&table(SERVER.port, "warn_connections = \"1%\"\nfail_connections = \"99%\"")).pass();
    assert!(warned.warning().is_some_and(|warning| warning.ends_with(&message)), "{warned:?}");
}

#[test]
fn a_pending_django_migration_fails() {
    add_database("django");
    let folder = tempfile::tempdir().expect("a folder");
    let migrations = folder.path().join("billing/migrations");
    fs::create_dir_all(&migrations).expect("a folder");
    for name in ["__init__.py", "0001_initial.py", "0002_more.py"] {
        fs::write(migrations.join(name), "").expect("a file");
    }
    let keys = format!("pending_migrations = \"django\"\nmigration_paths = [\"{}\"]", migrations.display());
    let probed = Probed::new(&table_for("django", &keys));
    assert_eq!(probed.fail().message(), "the database was never migrated");
    let run = |statement: &str| SERVER.psql(PASSWORD, "django", statement);
    // The table that Django creates.
    run("CREATE TABLE django_migrations (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, app varchar(255) NOT NULL, \
         name varchar(255) NOT NULL, applied timestamptz NOT NULL)");
    assert_eq!(probed.fail().to_string(), "rejected: the user does not have the required permission");
    run("GRANT SELECT ON django_migrations TO django");
    // More rows of other apps than the check keeps of the result of a query.
    run("INSERT INTO django_migrations (app, name, applied) SELECT 'other', n::text, now() FROM generate_series(1, 20000) n");
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '0001_initial', now())");
    assert_eq!(probed.fail().message(), "1 migration is pending: billing.0002_more");
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '0002_more', now())");
    probed.pass();
}

/// Creates the table of `sqlx`, with a migration that has failed.
fn add_sqlx_migrations(database: &str) {
    add_database(database);
    SERVER.psql(
        PASSWORD,
        database,
        &format!(
            "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, success BOOLEAN NOT NULL); \
             GRANT SELECT ON _sqlx_migrations TO {database}; INSERT INTO _sqlx_migrations VALUES (1, 'a', true), (2, 'b', false)"
        ),
    );
}

#[test]
fn an_unfinished_sqlx_migration_fails() {
    add_sqlx_migrations("sqlx");
    let probed = Probed::new(&table_for("sqlx", "pending_migrations = \"sqlx\""));
    assert_eq!(probed.fail().message(), "the migration 2 did not finish");
    SERVER.psql(PASSWORD, "sqlx", "UPDATE _sqlx_migrations SET success = true");
    probed.pass();
}

#[test]
fn a_table_of_migrations_must_exist() {
    add_sqlx_migrations("named");
    let keys = "pending_migrations = \"public._sqlx_migrations\"\nquery = \"SELECT 1\"\nexpect = \"1\"";
    Probed::new(&table_for("named", keys)).pass();
    let missing = Probed::new(&table_for("named", "pending_migrations = \"none_such\""));
    assert_eq!(missing.fail().message(), "the database was never migrated");
}

#[test]
fn a_probe_costs_one_round_trip_on_a_kept_connection() {
    add_sqlx_migrations("cost");
    SERVER.psql(PASSWORD, "cost", "UPDATE _sqlx_migrations SET success = true");
    let proxy = Proxy::to(SERVER.port);
    let keys = "pending_migrations = \"sqlx\"\nquery = \"SELECT 4711\"\nwarn_connections = \"90%\"";
    let probed = Probed::new(&table_of("cost", proxy.port, "cost", keys));
    probed.pass();
    let log = || fs::read_to_string(SERVER.directory.path().join("log")).expect("a log");
    let is_ours = |line: &&str| line.starts_with("cost ") && line.contains("statement: ") && line.contains("SELECT 1, pg_is_in_recovery");
    let statements = || log().lines().filter(is_ours).count();
    let (round_trips, logged) = (proxy.round_trips(), statements());
    probed.passes(100);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.round_trips() - round_trips, 100);
    eventually("all statements are logged", || (statements() - logged == 100).then_some(()));
}

/// Waits until a role of the shared server has this number of connections.
fn await_connections(role: &str, number: usize) {
    let connections = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'");
    eventually(&format!("{number} connections"), || (SERVER.psql(PASSWORD, "postgres", &connections) == number.to_string()).then_some(()));
}

#[test]
fn a_dropped_probe_leaves_no_connection_behind() {
    add_database("dropped");
    let probed = Probed::new(&table_for("dropped", ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    await_connections("dropped", 1);
}

#[test]
fn a_query_that_times_out_leaves_no_connection_behind() {
    add_database("slow");
    let table = table_for("slow", "query = \"SELECT pg_sleep(600)\"\ntimeout = \"1s\"");
    assert_failures(&[Case::new("a slow query", table, "timeout", "no answer within 1s")]);
    await_connections("slow", 0);
}

#[test]
fn a_read_only_role_sees_no_primary() {
    add_database("read_only");
    SERVER.psql(PASSWORD, "postgres", "ALTER ROLE read_only SET default_transaction_read_only = on");
    let primary = table_for("read_only", "role = \"primary\"");
    assert_failures(&[Case::new("read-only", primary, "unhealthy", "the server is read-only")]);
}

#[test]
fn a_role_without_free_connections_is_exhausted() {
    add_database("crowded");
    SERVER.psql(PASSWORD, "postgres", "ALTER ROLE crowded CONNECTION LIMIT 0");
    let message = "the role's connection limit is reached";
    assert_failures(&[Case::new("no slots", table_for("crowded", ""), "exhausted", message)]);
    SERVER.psql(PASSWORD, "postgres", "ALTER ROLE crowded CONNECTION LIMIT -1; ALTER DATABASE crowded CONNECTION LIMIT 0");
    let message = "the database's connection limit is reached";
    assert_failures(&[Case::new("no slots", table_for("crowded", ""), "exhausted", message)]);
}

#[test]
fn the_slots_of_superusers_are_no_slots_for_others() {
    let server = postgres_with(PASSWORD, &["max_connections=6", "superuser_reserved_connections=5", "max_wal_senders=0"]);
    add_role(&server, "probe", "orders");
    let first = Probed::new(&table(server.port, ""));
    eventually("the only slot is free", || first.probe().ok());
    assert_failures(&[Case::new("reserved", table(server.port, ""), "exhausted", "the server's connection limit is reached")]);
}

#[test]
fn a_role_or_a_database_that_accepts_no_logins_is_named() {
    add_database("closed");
    SERVER.psql(
        PASSWORD,
        "postgres",
        "CREATE ROLE sleeping PASSWORD 'probe-password'; CREATE ROLE expired LOGIN PASSWORD 'probe-password' VALID UNTIL '2020-01-01'; \
         ALTER DATABASE closed ALLOW_CONNECTIONS false",
    );
    let message = "the database does not accept connections (ALLOW_CONNECTIONS false)";
    assert_failures(&[
        Case::new("NOLOGIN", table_of("sleeping", SERVER.port, "orders", ""), "rejected", "the role may not log in (NOLOGIN)"),
        Case::new("VALID UNTIL", table_of("expired", SERVER.port, "orders", ""), "rejected", "the credentials are not accepted"),
        Case::new("ALLOW_CONNECTIONS", table_for("closed", ""), "rejected", message),
    ]);
}

#[test]
fn a_primary_whose_writes_wait_for_a_standby_warns() {
    let primary = postgres_with(PASSWORD, &["synchronous_standby_names=*"]);
    // Commits of the test itself must not wait.
    let set_up = "SET synchronous_commit = local; CREATE ROLE probe LOGIN PASSWORD 'probe-password'; \
                  ALTER ROLE app SET synchronous_commit = local";
    primary.psql(PASSWORD, "postgres", set_up);
    let probed = Probed::new(&table(primary.port, ""));
    assert_eq!(probed.pass().warning(), Some("writes wait for a synchronous standby, and no standby is connected"));
    let _standby = postgres_standby(&primary, PASSWORD, &[]);
    eventually("the standby is connected", || probed.pass().warning().is_none().then_some(()));
}

#[test]
fn a_paused_server_is_a_timeout_and_a_killed_one_unreachable() {
    let mut server = postgres_with(PASSWORD, &[]);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

#[test]
fn a_standby_is_a_replica_that_takes_no_writes() {
    let standby = postgres_standby(&SERVER, PASSWORD, &[]);
    let replica = Probed::new(&table(standby.port, "role = \"replica\"\nfail_lag = \"1m\"")).pass();
    assert_eq!(replica.values()["role"], "replica");
    assert!(replica.values()["lag_ms"].is_number());
    assert_failures(&[
        Case::new("a primary is wanted", table(standby.port, "role = \"primary\""), "unhealthy", "this is a replica, not the primary"),
        Case::new("it takes no writes", table(standby.port, "query = \"CREATE TABLE u (x int)\""), "unhealthy", "the server is read-only"),
    ]);
}

/// A check that accepts no lag of the replica on a port.
fn impatient(port: u16) -> Probed {
    Probed::new(&table(port, "role = \"replica\"\nfail_lag = \"1ms\""))
}

#[test]
fn a_standby_that_stops_replaying_falls_behind() {
    add_database("replayed");
    SERVER.psql(PASSWORD, "replayed", "CREATE TABLE t (x int)");
    let standby = postgres_standby(&SERVER, PASSWORD, &[]);
    // A standby that has replayed no transaction yet knows no lag.
    SERVER.psql(PASSWORD, "replayed", "INSERT INTO t VALUES (1)");
    eventually("the standby replays", || (standby.psql(PASSWORD, "replayed", "SELECT count(*) FROM t") == "1").then_some(()));
    standby.psql(PASSWORD, "postgres", "SELECT pg_wal_replay_pause()");
    SERVER.psql(PASSWORD, "replayed", "INSERT INTO t VALUES (2)");
    let probed = impatient(standby.port);
    // On a busy machine replication may stall for a moment and recover by itself.
    let falls_behind = |failure: &Failure| failure.message().ends_with("behind its primary, more than 1ms");
    let failure = eventually("the standby falls behind", || probed.probe().err().filter(falls_behind));
    assert!(failure.values()["lag_ms"].as_f64().is_some_and(|lag| lag > 1.0));
    standby.psql(PASSWORD, "postgres", "SELECT pg_wal_replay_resume()");
    eventually("the standby catches up", || probed.probe().ok());
}

#[test]
fn a_standby_that_has_lost_its_primary_has_not_caught_up() {
    let mut primary = postgres_with(PASSWORD, &[]);
    add_role(&primary, "probe", "orders");
    let standby = postgres_standby(&primary, PASSWORD, &[]);
    let probed = impatient(standby.port);
    eventually("the standby follows its primary", || probed.probe().ok());
    primary.kill();
    eventually("the standby is behind", || probed.probe().err());
}

#[test]
fn a_standby_that_accepts_no_connections_is_in_recovery() {
    let standby = postgres_standby(&SERVER, PASSWORD, &["hot_standby=off"]);
    assert_failures(&[Case::new("in recovery", table(standby.port, ""), "unhealthy", "the server is starting up or in recovery")]);
}

/// A table for the superuser, on a host, with parameters of the URL.
fn at(host: &str, server: &Server, parameters: &str) -> String {
    url(&format!("postgres://app:{PASSWORD}@{host}:{}/orders{parameters}", server.port))
}

fn trusting(certificates: &Certificates) -> String {
    format!("tls.ca_file = \"{}\"\n", certificates.authority.display())
}

#[test]
fn the_certificate_of_the_server_is_verified() {
    let (server, good) = postgres_with_tls(PASSWORD, Certificates::new);
    let (old, expired) = postgres_with_tls(PASSWORD, Certificates::expired);
    assert_failures(&[
        Case::new("unknown CA", at("localhost", &server, "?sslmode=verify-full"), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", at("127.0.0.1", &server, "") + &trusting(&good), "tls", "the certificate is for another name"),
        Case::new("expired", at("localhost", &old, "") + &trusting(&expired), "tls", "the certificate has expired"),
        Case::new("another CA", at("localhost", &server, "") + &trusting(&expired), "tls", "the certificate's issuer is not trusted"),
        Case::new(
            "no such file",
            at("localhost", &server, "") + "tls.ca_file = \"/none\"",
            "tls",
            "the file in `tls.ca_file` does not exist",
        ),
    ]);
    Probed::new(&(at("localhost", &server, "") + &trusting(&good))).pass();
    Probed::new(&(at("127.0.0.1", &server, "?sslmode=require") + &trusting(&good))).pass();
}

#[test]
fn a_server_that_requires_tls_and_a_client_certificate_rejects_others() {
    let (server, good) = postgres_with_tls(PASSWORD, Certificates::new);
    let rules = server.directory.path().join("data/pg_hba.conf");
    fs::write(rules, "hostssl orders app all cert\nhostssl postgres app all scram-sha-256\n").expect("a file");
    server.psql(PASSWORD, "postgres", "SELECT pg_reload_conf()");
    let plain = at("localhost", &server, "?sslmode=disable");
    let message = "the server does not allow this user to connect from this host, or requires TLS";
    eventually("the server has reloaded its rules", || Probed::new(&plain).probe().err());
    assert_failures(&[
        Case::new("plain to TLS", plain, "rejected", message),
        Case::new(
            "no certificate of ours",
            at("localhost", &server, "") + &trusting(&good),
            "rejected",
            "the server requires a client certificate: set `tls.client_certificate_file`",
        ),
    ]);
}
