//! `mysql`, against real servers of `MariaDB`.

mod accounts;
mod proxies;
mod states;
mod urls;

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server,
        hostile::{BlackHole, Hostile},
        mariadb_with, mariadb_with_tls,
        proxy::Proxy,
        shared::SharedServer,
    },
};
use std::{net::TcpStream, sync::LazyLock};

const PASSWORD: &str = "correct-horse";
const MAX_CONNECTIONS: u32 = 50;

/// A server for all tests that do not stop or reconfigure it and do not read its global counters. Each has its own user, except those that only
/// need `probe` to be there.
static SERVER: LazyLock<SharedServer> = LazyLock::new(|| SharedServer::new(server(&[&format!("--max-connections={MAX_CONNECTIONS}")])));

/// A server with the user `probe`.
fn server(options: &[&str]) -> Server {
    let server = mariadb_with(PASSWORD, options);
    server.mariadb("CREATE TABLE orders.nothing (x int)");
    add_user(&server, "probe");
    server
}

/// Creates a user with the least rights: it may read an empty table of the database `orders`.
fn add_user(server: &Server, name: &str) {
    server.mariadb(&format!(
        "CREATE USER {name}@'127.0.0.1' IDENTIFIED BY 'probe-password'; GRANT SELECT ON orders.nothing TO {name}@'127.0.0.1'"
    ));
}

/// A table for the user `probe`, with more keys.
fn table(port: u16, more: &str) -> String {
    table_of("probe", port, more)
}

/// A table for a user of the shared server, with more keys.
fn table_for(user: &str, more: &str) -> String {
    table_of(user, SERVER.port, more)
}

fn table_of(user: &str, port: u16, more: &str) -> String {
    format!("kind = \"mysql\"\nurl = \"mysql://{user}:probe-password@127.0.0.1:{port}\"\n{more}")
}

fn url(url: &str) -> String {
    format!("kind = \"mysql\"\nurl = \"{url}\"\n")
}

#[test]
fn each_failure_has_its_class_and_message() {
    let (hole, port) = (BlackHole::new(), SERVER.port);
    let cut = Proxy::to(port);
    cut.cut_after(20_000);
    let with = |more: &str| url(&format!("mysql://probe:probe-password@127.0.0.1:{port}{more}"));
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("black hole", table(hole.port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(Hostile::silent().port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", table(Hostile::closing().port(), ""), "unreachable", "connection closed before a reply"),
        Case::new(
            "another protocol",
            table(Hostile::greeting(b"\x10\0\0\0SSH-2.0-OpenSSH\r").port(), ""),
            "protocol",
            "the reply is not in the expected protocol",
        ),
        Case::new("endless", table(Hostile::greeting(b"\xff\xff\xff\0x").port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new(
            "a packet without an end",
            table(Hostile::endlessly_greeting(&[0xff; 8192]).port(), ""),
            "protocol",
            "the reply is too long",
        ),
        Case::new(
            "many long rows",
            table(port, "query = \"SELECT repeat('x', 1000000) FROM information_schema.columns LIMIT 20\""),
            "protocol",
            "the reply is too long",
        ),
        Case::new(
            "breaks off",
            table(cut.port, "query = \"SELECT repeat('x', 100000)\""),
            "protocol",
            "the connection was closed in the middle of a reply",
        ),
        Case::new("TLS to a plain port", with("?ssl-mode=REQUIRED"), "tls", "the server does not offer TLS"),
        Case::new("password", url(&format!("mysql://probe:wrong@127.0.0.1:{port}")), "rejected", "the credentials are not accepted"),
        Case::new(
            "database",
            url(&format!("mysql://app:{PASSWORD}@127.0.0.1:{port}/none")),
            "rejected",
            "the database does not exist, or the user may not access it",
        ),
        Case::new("a wrong query", table(port, "query = \"SELEC 1\""), "unhealthy", "the server rejected the query"),
        Case::new(
            "a forbidden query",
            table(port, "query = \"SELECT * FROM mysql.global_priv\""),
            "rejected",
            "the user does not have the required permission",
        ),
        Case::new("no row", table(port, "query = \"SELECT 1 FROM orders.nothing\""), "unhealthy", "the query returned no row"),
        Case::new(
            "another value",
            table(port, "query = \"SELECT 1\"\nexpect = \"2\""),
            "unhealthy",
            "the query did not return the expected value",
        ),
        Case::new("a slow query", table(port, "query = \"SELECT SLEEP(60)\"\ntimeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("a replica is wanted", table(port, "role = \"replica\""), "unhealthy", "this is the primary, not a replica"),
        Case::new(
            "no right to see the lag",
            table(port, "fail_lag = \"1s\""),
            "rejected",
            "the server does not report its replication lag to this user",
        ),
    ]);
}

#[test]
fn a_pass_observes_version_and_connections() {
    let probed = Probed::new(&table(SERVER.port, "role = \"primary\"\nquery = \"SELECT 6 * 7\"\nexpect = \"42\"")).pass();
    let values = probed.values();
    assert_eq!(values["read_only"], false);
    assert!(values["server_version"].as_str().is_some_and(|version| version.contains("MariaDB")));
    assert_eq!(values["max_connections"], MAX_CONNECTIONS);
}

#[test]
fn an_empty_key_of_a_login_counts_as_not_set() {
    Probed::new(&table(SERVER.port, "username = \"\"\npassword = \"\"")).pass();
}

#[test]
fn a_url_may_name_a_database() {
    Probed::new(&url(&format!("mysql://probe:probe-password@127.0.0.1:{}/orders", SERVER.port))).pass();
}

#[test]
fn more_connections_than_the_limit_warn_or_fail() {
    let message = format!(" of {MAX_CONNECTIONS} connections are in use, more than 1%");
    let failure = Probed::new(&table(SERVER.port, "fail_connections = \"1%\"")).fail();
    assert!(failure.message().ends_with(&message), "{failure}");
    let warned = Probed::new(&table(SERVER.port, "warn_connections = \"1%\"\nfail_connections = \"99%\"")).pass();
    assert!(warned.warning().is_some_and(|warning| warning.ends_with(&message)), "{warned:?}");
}

#[test]
fn an_unfinished_migration_fails() {
    add_user(&SERVER, "migrator");
    let table =
        |more: &str| format!("kind = \"mysql\"\nurl = \"mysql://migrator:probe-password@127.0.0.1:{}/orders\"\n{more}", SERVER.port);
    let sqlx = Probed::new(&table("pending_migrations = \"sqlx\"\nquery = \"SELECT 1\""));
    // Without a right on a table, a user cannot find out whether it exists.
    assert_eq!(sqlx.fail().to_string(), "rejected: the user does not have the required permission");
    SERVER.mariadb("CREATE TABLE orders._sqlx_migrations (version BIGINT PRIMARY KEY, success BOOLEAN NOT NULL)");
    SERVER.mariadb("GRANT SELECT ON orders._sqlx_migrations TO migrator@'127.0.0.1'");
    assert_eq!(sqlx.fail().message(), "the database was never migrated");
    SERVER.mariadb("INSERT INTO orders._sqlx_migrations VALUES (1, true), (2, false)");
    assert_eq!(sqlx.fail().message(), "the migration 2 did not finish");
    SERVER.mariadb("UPDATE orders._sqlx_migrations SET success = true");
    sqlx.pass();
    Probed::new(&table("pending_migrations = \"_sqlx_migrations\"")).pass();
}

#[test]
fn a_probe_costs_one_round_trip_on_a_kept_connection() {
    let server = server(&[]);
    let proxy = Proxy::to(server.port);
    let probed = Probed::new(&table(proxy.port, "query = \"SELECT 4711\"\nwarn_connections = \"90%\""));
    probed.pass();
    let count = |name: &str| {
        let line = server.mariadb(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        line.rsplit('\t').next().and_then(|count| count.parse::<usize>().ok()).expect("a count")
    };
    let before = (proxy.round_trips(), count("Com_select"), count("Aborted_clients"));
    probed.passes(100);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.round_trips() - before.0, 100);
    assert_eq!(count("Com_select") - before.1, 200, "each probe sends the status query and the configured one");
    assert_eq!(count("Aborted_clients"), before.2);
}

/// Waits until a user of the shared server has this number of connections.
fn await_connections(user: &str, number: usize) {
    let connections = format!("SELECT count(*) FROM information_schema.processlist WHERE user = '{user}'");
    eventually(&format!("{number} connections"), || (SERVER.mariadb(&connections) == number.to_string()).then_some(()));
}

#[test]
fn a_dropped_probe_leaves_no_connection_behind() {
    add_user(&SERVER, "dropped");
    let probed = Probed::new(&table_for("dropped", ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    await_connections("dropped", 1);
}

#[test]
fn a_query_that_times_out_leaves_no_connection_behind() {
    add_user(&SERVER, "slow");
    let table = table_for("slow", "query = \"SELECT SLEEP(600)\"\ntimeout = \"1s\"");
    assert_failures(&[Case::new("a slow query", table, "timeout", "no answer within 1s")]);
    await_connections("slow", 0);
}

#[test]
fn the_server_ends_a_query_after_30_seconds() {
    Probed::new(&table(SERVER.port, "query = \"SELECT @@max_statement_time\"\nexpect = \"30.000000\"")).pass();
}

#[test]
fn a_read_only_server_is_a_replica() {
    let server = server(&["--read-only"]);
    assert_failures(&[Case::new("read-only", table(server.port, "role = \"primary\""), "unhealthy", "the server is read-only")]);
    assert_eq!(Probed::new(&table(server.port, "role = \"replica\"")).observed("read_only"), true);
}

#[test]
fn a_server_without_free_connections_is_exhausted() {
    let server = server(&["--max-connections=12"]);
    // A client that has not logged in yet takes a connection, too.
    let _crowd: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", server.port)).expect("a connection")).collect();
    assert_failures(&[Case::new("no slots", table(server.port, ""), "exhausted", "the server's connection limit is reached")]);
}

#[test]
fn a_paused_server_is_a_timeout_and_a_killed_one_unreachable() {
    let mut server = server(&[]);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

const NOT_REPLICATING: &str = "replication is not running";

/// A source and a server that is configured to replicate it, but does not yet.
fn source_and_replica() -> (Server, Server) {
    let source = mariadb_with(PASSWORD, &["--server-id=1", "--log-bin=bin"]);
    source.mariadb("CREATE USER copy@'127.0.0.1' IDENTIFIED BY 'copy-password'; GRANT REPLICATION SLAVE ON *.* TO copy@'127.0.0.1'");
    let replica = unconfigured_replica();
    let status = source.mariadb("SHOW MASTER STATUS");
    let mut status = status.split('\t');
    let (file, position) = (status.next().expect("a file"), status.next().expect("a position"));
    replica.mariadb(&format!(
        "CHANGE MASTER 'named' TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='copy', MASTER_PASSWORD='copy-password', \
         MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}",
        source.port
    ));
    (source, replica)
}

/// A read-only server without a source.
fn unconfigured_replica() -> Server {
    let replica = server(&["--server-id=2", "--read-only"]);
    replica.mariadb("GRANT REPLICA MONITOR ON *.* TO probe@'127.0.0.1'");
    replica
}

/// A check that accepts a lag of up to two seconds.
fn check_of_lag(replica: &Server) -> Probed {
    Probed::new(&table(replica.port, "role = \"replica\"\nfail_lag = \"2s\""))
}

#[test]
fn a_replica_without_a_source_fails() {
    assert_eq!(check_of_lag(&unconfigured_replica()).fail().message(), NOT_REPLICATING);
}

#[test]
fn a_replica_passes_while_it_applies_what_its_source_writes() {
    let (source, replica) = source_and_replica();
    let probed = check_of_lag(&replica);
    assert_eq!(probed.fail().message(), NOT_REPLICATING);
    let primary = Probed::new(&table(replica.port, "role = \"primary\""));
    assert_eq!(primary.fail().message(), "this is a replica, not the primary");
    replica.mariadb("START SLAVE 'named'");
    eventually("the replica follows its source", || probed.probe().ok().filter(|observed| observed.values()["lag_ms"] == 0.0));
    source.mariadb("CREATE TABLE orders.t (x int)");
    eventually("the table is replicated", || (replica.mariadb("SHOW TABLES FROM orders LIKE 't'") == "t").then_some(()));
    replica.mariadb("STOP SLAVE 'named' SQL_THREAD");
    source.mariadb("INSERT INTO orders.t VALUES (1)");
    assert_eq!(probed.fail().message(), NOT_REPLICATING);
    replica.mariadb("START SLAVE 'named'");
    eventually("the replica follows its source again", || probed.probe().ok());
}

#[test]
fn a_replica_that_cannot_apply_a_change_fails() {
    let (source, replica) = source_and_replica();
    let probed = check_of_lag(&replica);
    replica.mariadb("START SLAVE 'named'");
    eventually("the replica follows its source", || probed.probe().ok());
    source.mariadb("CREATE TABLE orders.t (x int PRIMARY KEY)");
    eventually("the table is replicated", || (replica.mariadb("SHOW TABLES FROM orders LIKE 't'") == "t").then_some(()));
    replica.mariadb("INSERT INTO orders.t VALUES (1)");
    source.mariadb("INSERT INTO orders.t VALUES (1)");
    eventually("replication has stopped", || probed.probe().err().filter(|failure| failure.message() == NOT_REPLICATING));
}

#[test]
fn a_replica_that_has_lost_its_source_fails() {
    let (mut source, replica) = source_and_replica();
    let probed = check_of_lag(&replica);
    replica.mariadb("START SLAVE 'named'");
    eventually("the replica follows its source", || probed.probe().ok());
    source.kill();
    eventually("replication has stopped", || probed.probe().err().filter(|failure| failure.message() == NOT_REPLICATING));
}

/// A table for the user `app`, on a host, with parameters of the URL.
fn at(host: &str, server: &Server, parameters: &str) -> String {
    url(&format!("mysql://app:{PASSWORD}@{host}:{}/orders{parameters}", server.port))
}

fn trusting(certificates: &Certificates) -> String {
    format!("tls.ca_file = \"{}\"\n", certificates.authority.display())
}

#[test]
fn the_certificate_of_the_server_is_verified() {
    let (server, good) = mariadb_with_tls(PASSWORD, Certificates::new);
    let (old, expired) = mariadb_with_tls(PASSWORD, Certificates::expired);
    assert_failures(&[
        Case::new("unknown CA", at("localhost", &server, "?ssl-mode=VERIFY_CA"), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", at("127.0.0.1", &server, "") + &trusting(&good), "tls", "the certificate is for another name"),
        Case::new("expired", at("localhost", &old, "") + &trusting(&expired), "tls", "the certificate has expired"),
        Case::new(
            "no such file",
            at("localhost", &server, "") + "tls.ca_file = \"/none\"",
            "tls",
            "the file in `tls.ca_file` does not exist",
        ),
    ]);
    Probed::new(&(at("localhost", &server, "") + &trusting(&good))).pass();
    Probed::new(&(at("127.0.0.1", &server, "?ssl-mode=REQUIRED") + &trusting(&good))).pass();
}

#[test]
fn a_server_that_requires_a_client_certificate_rejects_others() {
    let (server, good) = mariadb_with_tls(PASSWORD, Certificates::new);
    server.mariadb("ALTER USER app@'127.0.0.1' REQUIRE X509");
    let ours =
        format!("tls.client_certificate_file = \"{}\"\ntls.client_key_file = \"{}\"\n", good.certificate.display(), good.key.display());
    assert_failures(&[
        Case::new(
            "no certificate of ours",
            at("localhost", &server, "") + &trusting(&good),
            "rejected",
            "the credentials are not accepted",
        ),
        Case::new("plain to TLS", at("localhost", &server, "?ssl-mode=DISABLED"), "rejected", "the credentials are not accepted"),
    ]);
    Probed::new(&(at("localhost", &server, "") + &trusting(&good) + &ours)).pass();
}
