//! `postgres`, against real servers.

use crate::{
    helpers::{eventually, no_such_name},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server,
        hostile::{BlackHole, Hostile},
        postgres_standby, postgres_with, postgres_with_tls,
        proxy::Proxy,
    },
};
use allswell::Failure;
use std::fs;

const PASSWORD: &str = "correct-horse";
const LEAST: &str = "CREATE ROLE probe LOGIN PASSWORD 'probe-password'; REVOKE CONNECT ON DATABASE orders FROM PUBLIC; \
                     GRANT CONNECT ON DATABASE orders TO probe";

/// A table for the user `probe`, who has the least rights, with more keys.
fn table(port: u16, more: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"postgres://probe:probe-password@127.0.0.1:{port}/orders\"\n{more}")
}

fn url(url: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"{url}\"\n")
}

#[test]
fn everything_about_a_real_server() {
    let mut server = postgres_with(PASSWORD, &["log_statement=all", "log_connections=on", "max_connections=20"]);
    server.psql(PASSWORD, "orders", LEAST);
    failures(&server);
    passwords(&server);
    connections(&server);
    migrations(&server);
    cost(&server);
    dropped_probes_leave_nothing(&server);

    server.psql(PASSWORD, "orders", "ALTER ROLE probe SET default_transaction_read_only = on");
    let primary = table(server.port, "role = \"primary\"");
    assert_failures(&[Case::new("read-only", primary, "unhealthy", "the server is read-only")]);
    server.psql(PASSWORD, "orders", "ALTER ROLE probe CONNECTION LIMIT 0");
    assert_failures(&[Case::new("no slots", table(server.port, ""), "exhausted", "the server's connection limit is reached")]);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

/// What `SASLprep` (RFC 4013) does not allow is taken as it is, by the server and by libpq.
fn passwords(server: &Server) {
    let role = |password: &str| {
        format!("kind = \"postgres\"\nurl = \"postgres://odd@127.0.0.1:{}/postgres\"\npassword = \"{password}\"\n", server.port)
    };
    for (password, wrong) in [("pä🔑😀", "pä🔑🔒"), ("tab\\tand\\u0007bell", "tab and bell"), ("\u{5d0}a\u{627}1", "other")] {
        let text: String = serde_json::from_str(&format!("\"{password}\"")).expect("text");
        server.psql(PASSWORD, "postgres", &format!("DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD '{text}'"));
        Probed::new(&role(password)).pass();
        let failure = Probed::new(&role(wrong)).fail();
        assert_eq!((failure.class().as_str(), failure.message()), ("rejected", "the credentials are not accepted"), "{wrong}");
    }
}

fn failures(server: &Server) {
    let (hole, port) = (BlackHole::new(), server.port);
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
        Case::new("endless", table(Hostile::trickling(b"N", b"N").port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
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
    let seen = Probed::new(&table(port, "role = \"primary\"\nquery = \"SELECT 6 * 7\"\nexpect = \"42\"")).pass();
    assert_eq!(seen.values()["role"], "primary");
    assert!(seen.values()["server_version"].as_str().is_some_and(|version| version.contains('.') && !version.contains(' ')));
    assert_eq!(seen.values()["max_connections"], 20);
    assert!(seen.values()["connections"].as_u64().is_some_and(|connections| connections >= 1));
    assert!(!seen.values().contains_key("lag_ms"));
}

fn connections(server: &Server) {
    let failure = Probed::new(&table(server.port, "fail_connections = \"1%\"")).fail();
    assert!(failure.message().ends_with(" of 20 connections are in use, more than 1%"), "{failure}");
    assert_eq!(failure.values()["max_connections"], 20);
    let warned = Probed::new(&table(server.port, "warn_connections = \"1%\"\nfail_connections = \"99%\"")).pass();
    assert!(warned.warning().is_some_and(|warning| warning.ends_with(" of 20 connections are in use, more than 1%")), "{warned:?}");
}

fn migrations(server: &Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let migrations = folder.path().join("billing/migrations");
    fs::create_dir_all(&migrations).expect("a folder");
    for name in ["__init__.py", "0001_initial.py", "0002_more.py"] {
        fs::write(migrations.join(name), "").expect("a file");
    }
    let django = table(server.port, &format!("pending_migrations = \"django\"\nmigration_paths = [\"{}\"]", migrations.display()));
    let probed = Probed::new(&django);
    assert_eq!(probed.fail().message(), "the database was never migrated");
    let run = |statement: &str| server.psql(PASSWORD, "orders", statement);
    // As Django makes it.
    run("CREATE TABLE django_migrations (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, app varchar(255) NOT NULL, \
         name varchar(255) NOT NULL, applied timestamptz NOT NULL)");
    assert_eq!(probed.fail().to_string(), "rejected: the user does not have the required permission");
    run("GRANT SELECT ON django_migrations TO probe");
    // In front of ours there are more rows than are kept of other answers.
    run("INSERT INTO django_migrations (app, name, applied) SELECT 'other', n::text, now() FROM generate_series(1, 20000) n");
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '0001_initial', now())");
    assert_eq!(probed.fail().message(), "1 migration is pending: billing.0002_more");
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '0002_more', now())");
    probed.pass();
    // As sqlx makes it.
    run("CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, success BOOLEAN NOT NULL); \
         GRANT SELECT ON _sqlx_migrations TO probe; INSERT INTO _sqlx_migrations VALUES (1, 'a', true), (2, 'b', false)");
    let sqlx = Probed::new(&table(server.port, "pending_migrations = \"sqlx\""));
    assert_eq!(sqlx.fail().message(), "the migration 2 did not finish");
    run("UPDATE _sqlx_migrations SET success = true");
    sqlx.pass();
    let table_name =
        Probed::new(&table(server.port, "pending_migrations = \"public._sqlx_migrations\"\nquery = \"SELECT 1\"\nexpect = \"1\""));
    table_name.pass();
    assert_eq!(Probed::new(&table(server.port, "pending_migrations = \"none_such\"")).fail().message(), "the database was never migrated");
}

fn cost(server: &Server) {
    let proxy = Proxy::to(server.port);
    let probed = Probed::new(&table(proxy.port, "pending_migrations = \"sqlx\"\nquery = \"SELECT 4711\"\nwarn_connections = \"90%\""));
    probed.pass();
    let log = || fs::read_to_string(server.directory.path().join("log")).expect("a log");
    let statements = || log().lines().filter(|line| line.contains("statement: ") && line.contains("SELECT 1, pg_is_in_recovery")).count();
    let before = (proxy.round_trips(), statements());
    probed.passes(100);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.round_trips() - before.0, 100);
    eventually("all is logged", || (statements() - before.1 == 100).then_some(()));
}

fn dropped_probes_leave_nothing(server: &Server) {
    let probed = Probed::new(&table(server.port, ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'probe'";
    // Also that of the slow query is gone, long before the query would have ended.
    eventually("one connection is left", || (server.psql(PASSWORD, "postgres", connections) == "1").then_some(()));
}

#[test]
fn a_standby_is_told_and_its_lag_judged() {
    let mut primary = postgres_with(PASSWORD, &[]);
    primary.psql(PASSWORD, "orders", LEAST);
    primary.psql(PASSWORD, "orders", "CREATE TABLE t (x int)");
    let standby = postgres_standby(&primary, PASSWORD, &[]);
    let wanted = |limits: &str| Probed::new(&table(standby.port, &format!("role = \"replica\"\n{limits}")));
    let calm = wanted("fail_lag = \"1m\"");
    let seen = calm.pass();
    assert_eq!(seen.values()["role"], "replica");
    assert!(seen.values()["lag_ms"].is_number());
    assert_failures(&[
        Case::new("a primary is wanted", table(standby.port, "role = \"primary\""), "unhealthy", "this is a replica, not the primary"),
        Case::new("it takes no writes", table(standby.port, "query = \"CREATE TABLE u (x int)\""), "unhealthy", "the server is read-only"),
    ]);

    // A replica that cannot replay falls behind, and one whose primary is gone has not caught up.
    primary.psql(PASSWORD, "orders", "INSERT INTO t VALUES (1)");
    eventually("it replays", || (standby.psql(PASSWORD, "orders", "SELECT count(*) FROM t") == "1").then_some(()));
    standby.psql(PASSWORD, "postgres", "SELECT pg_wal_replay_pause()");
    primary.psql(PASSWORD, "orders", "INSERT INTO t VALUES (2)");
    let impatient = wanted("fail_lag = \"1ms\"");
    // On a busy machine replication may stop for a moment, and go on by itself.
    let falls_behind = |failure: &Failure| failure.message().ends_with("behind its primary, more than 1ms");
    let failure = eventually("it falls behind", || impatient.probe().err().filter(falls_behind));
    assert!(failure.values()["lag_ms"].as_f64().is_some_and(|lag| lag > 1.0));
    standby.psql(PASSWORD, "postgres", "SELECT pg_wal_replay_resume()");
    eventually("it catches up", || impatient.probe().ok());
    primary.kill();
    eventually("nobody is followed", || impatient.probe().err());

    let refusing = postgres_standby_of_a_dead(&mut primary);
    assert_failures(&[Case::new("in recovery", table(refusing.port, ""), "unhealthy", "the server is starting up or in recovery")]);
}

/// A server that is in recovery and lets nobody in.
fn postgres_standby_of_a_dead(primary: &mut Server) -> Server {
    primary.restart();
    postgres_standby(primary, PASSWORD, &["hot_standby=off"])
}

#[test]
fn certificates_are_verified() {
    let (server, good) = postgres_with_tls(PASSWORD, Certificates::new);
    let (old, expired) = postgres_with_tls(PASSWORD, Certificates::expired);
    let at = |host: &str, server: &Server, mode: &str| url(&format!("postgres://app:{PASSWORD}@{host}:{}/orders{mode}", server.port));
    let trusting = |files: &Certificates| format!("tls.ca_file = \"{}\"\n", files.authority.display());
    assert_failures(&[
        Case::new("unknown CA", at("localhost", &server, "?sslmode=verify-full"), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", at("127.0.0.1", &server, "") + &trusting(&good), "tls", "the certificate is for another name"),
        Case::new("expired", at("localhost", &old, "") + &trusting(&expired), "tls", "the certificate has expired"),
        Case::new("another CA", at("localhost", &server, "") + &trusting(&expired), "tls", "the certificate's issuer is not trusted"),
        Case::new(
            "no such file",
            at("localhost", &server, "") + "tls.ca_file = \"/none\"",
            "tls",
            "the file in `tls.ca_file` cannot be used",
        ),
    ]);
    Probed::new(&(at("localhost", &server, "") + &trusting(&good))).pass();
    Probed::new(&(at("127.0.0.1", &server, "?sslmode=require") + &trusting(&good))).pass();

    // The server wants a certificate of the client's, and to be spoken to by TLS alone.
    let rules = server.directory.path().join("data/pg_hba.conf");
    fs::write(rules, "hostssl orders app all cert\nhostssl postgres app all scram-sha-256\n").expect("a file");
    server.psql(PASSWORD, "postgres", "SELECT pg_reload_conf()");
    let plain = at("localhost", &server, "?sslmode=disable");
    let message = "the server does not allow this user to connect from this host, or requires TLS";
    eventually("the rules are read", || Probed::new(&plain).probe().err());
    assert_failures(&[
        Case::new("plain to TLS", plain, "rejected", message),
        Case::new("no certificate of ours", at("localhost", &server, "") + &trusting(&good), "rejected", message),
    ]);
}
