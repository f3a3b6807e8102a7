//! `mysql`, against real servers of `MariaDB`.

use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server,
        hostile::{BlackHole, Hostile},
        mariadb_with, mariadb_with_tls,
        proxy::Proxy,
    },
};
use std::net::TcpStream;

const PASSWORD: &str = "correct-horse";
const LEAST: &str = "CREATE USER probe@'127.0.0.1' IDENTIFIED BY 'probe-password'; GRANT SELECT ON orders.nothing TO probe@'127.0.0.1'";

/// A table for the user `probe`, who has the least rights, with more keys.
fn table(port: u16, more: &str) -> String {
    format!("kind = \"mysql\"\nurl = \"mysql://probe:probe-password@127.0.0.1:{port}\"\n{more}")
}

fn url(url: &str) -> String {
    format!("kind = \"mysql\"\nurl = \"{url}\"\n")
}

#[test]
fn everything_about_a_real_server() {
    let mut server = mariadb_with(PASSWORD, &["--max-connections=12"]);
    server.mariadb("CREATE TABLE orders.nothing (x int)");
    server.mariadb(LEAST);
    failures(&server);
    connections(&server);
    migrations(&server);
    cost(&server);
    dropped_probes_leave_nothing(&server);

    server.mariadb("SET GLOBAL read_only = 1");
    assert_failures(&[Case::new("read-only", table(server.port, "role = \"primary\""), "unhealthy", "this is a replica, not the primary")]);
    assert_eq!(Probed::new(&table(server.port, "role = \"replica\"")).observed("read_only"), true);
    // Who is connected and has not logged in takes a slot as well.
    let crowd: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", server.port)).expect("a connection")).collect();
    assert_failures(&[Case::new("no slots", table(server.port, ""), "exhausted", "the server's connection limit is reached")]);
    drop(crowd);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

fn failures(server: &Server) {
    let (hole, port) = (BlackHole::new(), server.port);
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
    let seen = Probed::new(&table(port, "role = \"primary\"\nquery = \"SELECT 6 * 7\"\nexpect = \"42\"")).pass();
    assert_eq!(seen.values()["read_only"], false);
    assert!(seen.values()["server_version"].as_str().is_some_and(|version| version.contains("MariaDB")));
    assert_eq!(seen.values()["max_connections"], 12);
    Probed::new(&url(&format!("mysql://probe:probe-password@127.0.0.1:{port}/orders"))).pass();
}

fn connections(server: &Server) {
    let failure = Probed::new(&table(server.port, "fail_connections = \"1%\"")).fail();
    assert!(failure.message().ends_with(" of 12 connections are in use, more than 1%"), "{failure}");
    let warned = Probed::new(&table(server.port, "warn_connections = \"1%\"\nfail_connections = \"99%\"")).pass();
    assert!(warned.warning().is_some_and(|warning| warning.ends_with(" of 12 connections are in use, more than 1%")), "{warned:?}");
}

fn migrations(server: &Server) {
    let table = |more: &str| format!("kind = \"mysql\"\nurl = \"mysql://probe:probe-password@127.0.0.1:{}/orders\"\n{more}", server.port);
    let sqlx = Probed::new(&table("pending_migrations = \"sqlx\"\nquery = \"SELECT 1\""));
    // Without a right on it, nobody is told whether a table is there.
    assert_eq!(sqlx.fail().to_string(), "rejected: the user does not have the required permission");
    server.mariadb("CREATE TABLE orders._sqlx_migrations (version BIGINT PRIMARY KEY, success BOOLEAN NOT NULL)");
    server.mariadb("GRANT SELECT ON orders._sqlx_migrations TO probe@'127.0.0.1'");
    assert_eq!(sqlx.fail().message(), "the database was never migrated");
    server.mariadb("INSERT INTO orders._sqlx_migrations VALUES (1, true), (2, false)");
    assert_eq!(sqlx.fail().message(), "the migration 2 did not finish");
    server.mariadb("UPDATE orders._sqlx_migrations SET success = true");
    sqlx.pass();
    Probed::new(&table("pending_migrations = \"_sqlx_migrations\"")).pass();
}

fn cost(server: &Server) {
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
    assert_eq!(count("Com_select") - before.1, 200, "what it tells of itself, and the query");
    assert_eq!(count("Aborted_clients"), before.2);
}

fn dropped_probes_leave_nothing(server: &Server) {
    let probed = Probed::new(&table(server.port, ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    // Also that of the slow query is gone, long before the query would have ended.
    let connections = "SELECT count(*) FROM information_schema.processlist WHERE user = 'probe'";
    eventually("one connection is left", || (server.mariadb(connections) == "1").then_some(()));
    let limited = Probed::new(&table(server.port, "query = \"SELECT @@max_statement_time\"\nexpect = \"30.000000\""));
    limited.pass();
}

#[test]
fn a_replica_is_told_and_its_lag_judged() {
    let mut source = mariadb_with(PASSWORD, &["--server-id=1", "--log-bin=bin"]);
    let replica = mariadb_with(PASSWORD, &["--server-id=2", "--read-only"]);
    source.mariadb("CREATE USER copy@'127.0.0.1' IDENTIFIED BY 'copy-password'; GRANT REPLICATION SLAVE ON *.* TO copy@'127.0.0.1'");
    replica.mariadb("CREATE TABLE orders.nothing (x int)");
    replica.mariadb(LEAST);
    replica.mariadb("GRANT REPLICA MONITOR ON *.* TO probe@'127.0.0.1'");
    let at = source.mariadb("SHOW MASTER STATUS");
    let mut at = at.split('\t');
    let (file, position) = (at.next().expect("a file"), at.next().expect("a position"));
    let wanted = Probed::new(&table(replica.port, "role = \"replica\"\nfail_lag = \"2s\""));
    assert_eq!(wanted.fail().message(), "replication is not running", "it follows nobody");
    replica.mariadb(&format!(
        "CHANGE MASTER 'named' TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='copy', MASTER_PASSWORD='copy-password', \
         MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}",
        source.port
    ));
    assert_eq!(wanted.fail().message(), "replication is not running");
    replica.mariadb("START SLAVE 'named'");
    eventually("it follows", || wanted.probe().ok().filter(|seen| seen.values()["lag_ms"] == 0.0));
    assert_failures(&[Case::new(
        "a primary is wanted",
        table(replica.port, "role = \"primary\""),
        "unhealthy",
        "this is a replica, not the primary",
    )]);
    source.mariadb("CREATE TABLE orders.t (x int)");
    eventually("the table is copied", || (replica.mariadb("SHOW TABLES FROM orders LIKE 't'") == "t").then_some(()));
    replica.mariadb("STOP SLAVE 'named' SQL_THREAD");
    source.mariadb("INSERT INTO orders.t VALUES (1)");
    assert_eq!(wanted.fail().message(), "replication is not running");
    replica.mariadb("START SLAVE 'named'");
    eventually("it follows again", || wanted.probe().ok());
    source.kill();
    eventually("nobody is followed", || wanted.probe().err().filter(|failure| failure.message() == "replication is not running"));
}

#[test]
fn certificates_are_verified() {
    let (server, good) = mariadb_with_tls(PASSWORD, Certificates::new);
    let (old, expired) = mariadb_with_tls(PASSWORD, Certificates::expired);
    let at = |host: &str, server: &Server, mode: &str| url(&format!("mysql://app:{PASSWORD}@{host}:{}/orders{mode}", server.port));
    let trusting = |files: &Certificates| format!("tls.ca_file = \"{}\"\n", files.authority.display());
    let ours =
        format!("tls.client_certificate_file = \"{}\"\ntls.client_key_file = \"{}\"\n", good.certificate.display(), good.key.display());
    assert_failures(&[
        Case::new("unknown CA", at("localhost", &server, "?ssl-mode=VERIFY_CA"), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", at("127.0.0.1", &server, "") + &trusting(&good), "tls", "the certificate is for another name"),
        Case::new("expired", at("localhost", &old, "") + &trusting(&expired), "tls", "the certificate has expired"),
        Case::new(
            "no such file",
            at("localhost", &server, "") + "tls.ca_file = \"/none\"",
            "tls",
            "the file in `tls.ca_file` cannot be used",
        ),
    ]);
    Probed::new(&(at("localhost", &server, "") + &trusting(&good))).pass();
    Probed::new(&(at("127.0.0.1", &server, "?ssl-mode=REQUIRED") + &trusting(&good))).pass();
    server.mariadb("ALTER USER app@'127.0.0.1' REQUIRE X509");
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
