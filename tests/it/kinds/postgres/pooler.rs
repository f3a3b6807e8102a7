//! Through `PgBouncer`: its refusals, those of the server behind it, and its modes.

use super::{PASSWORD, SERVER, add_role, url};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{Server, pgbouncer, postgres_with},
};
use std::time::{Duration, Instant};

/// Users of the pooler: those of the server, and those that the server does not accept.
const USERS: &[(&str, &str)] = &[
    ("app", PASSWORD),
    ("probe", "probe-password"),
    ("ghost", "ghost-password"),
    ("pooled_wrong", "another-password"),
    ("pooled_nologin", "probe-password"),
    ("pooled_full", "probe-password"),
];

fn pooler(settings: &[&str]) -> Server {
    pgbouncer(SERVER.port, &["orders", "gone", "pooled_closed"], USERS, settings)
}

fn through(pooler: &Server, login: &str, database: &str) -> String {
    url(&format!("postgres://{login}@127.0.0.1:{}/{database}", pooler.port))
}

#[test]
fn the_reason_of_the_pooler_or_of_the_server_behind_it_is_named() {
    SERVER.psql(
        PASSWORD,
        "postgres",
        "CREATE ROLE pooled_wrong LOGIN PASSWORD 'probe-password'; CREATE ROLE pooled_nologin PASSWORD 'probe-password'; \
         CREATE ROLE pooled_full LOGIN PASSWORD 'probe-password' CONNECTION LIMIT 0",
    );
    SERVER.psql(PASSWORD, "postgres", "CREATE DATABASE pooled_closed ALLOW_CONNECTIONS false");
    let pooler = pooler(&["server_login_retry = 1", "client_login_timeout = 3"]);
    let with = |what, login: &str, database: &str, class, message| Case::new(what, through(&pooler, login, database), class, message);
    assert_failures(&[
        with("wrong password", "probe:wrong", "orders", "rejected", "the credentials are not accepted"),
        with("no such user", "nobody:wrong", "orders", "rejected", "the credentials are not accepted"),
        with("no such database", "probe:probe-password", "none", "rejected", "there is no such database"),
        with("no such database behind it", "probe:probe-password", "gone", "rejected", "there is no such database"),
        with("no such user behind it", "ghost:ghost-password", "orders", "rejected", "the credentials are not accepted"),
        with("wrong password behind it", "pooled_wrong:another-password", "orders", "rejected", "the credentials are not accepted"),
        with("NOLOGIN behind it", "pooled_nologin:probe-password", "orders", "rejected", "the role may not log in (NOLOGIN)"),
        with("no slot behind it", "pooled_full:probe-password", "orders", "exhausted", "the role's connection limit is reached"),
        with(
            "no connections behind it",
            "probe:probe-password",
            "pooled_closed",
            "rejected",
            "the database does not accept connections (ALLOW_CONNECTIONS false)",
        ),
        with("no server", "probe:probe-password", "down", "unhealthy", "the pooler cannot connect to the server behind it"),
        with(
            "the admin console",
            &format!("app:{PASSWORD}"),
            "pgbouncer",
            "rejected",
            "this is PgBouncer's admin console, not a database: name a database in `url`",
        ),
        with(
            "the admin console for others",
            "probe:probe-password",
            "pgbouncer",
            "rejected",
            "the pooler does not allow this user to connect to this database",
        ),
        with(
            "a setting of the session",
            "probe:probe-password",
            "orders?search_path=app",
            "rejected",
            "the pooler rejects a setting of the session: remove `options`, `search_path` and the like from the URL, or let the pooler ignore \
             it (PgBouncer's `ignore_startup_parameters`)",
        ),
        with("TLS", "probe:probe-password", "orders?sslmode=require", "tls", "the server does not offer TLS"),
        with(
            "channel binding",
            "probe:probe-password",
            "orders?channel_binding=require",
            "rejected",
            "`channel_binding=require` requires TLS and a server that offers SCRAM-SHA-256-PLUS, which poolers do not: write \
             `sslmode=verify-full` instead",
        ),
    ]);
}

#[test]
fn every_mode_of_the_pooler_passes_with_role_and_connections() {
    for mode in ["session", "transaction", "statement"] {
        let pooler = pooler(&[&format!("pool_mode = {mode}")]);
        let probed = Probed::new(&(through(&pooler, "probe:probe-password", "orders") + "role = \"primary\"\nwarn_connections = \"99%\""));
        for _ in 0..3 {
            let values = probed.pass();
            assert!(values.values()["connections"].is_number(), "{mode}: {values:?}");
        }
    }
    let ignoring = pooler(&["ignore_startup_parameters = options"]);
    Probed::new(&through(&ignoring, "probe:probe-password", "orders?options=-c%20geqo%3Doff&pgbouncer=true")).pass();
}

#[test]
fn a_full_pooler_is_exhausted() {
    let full = pooler(&["max_client_conn = 1"]);
    let first = Probed::new(&through(&full, "probe:probe-password", "orders"));
    // The connection of the readiness test may not be closed yet.
    eventually("the pooler accepts a client", || first.probe().ok());
    let second = through(&full, "probe:probe-password", "orders");
    assert_failures(&[Case::new("no client", second, "exhausted", "the server's connection limit is reached")]);
    let waiting = pooler(&["default_pool_size = 1", "query_wait_timeout = 1", "pool_mode = session"]);
    let table = through(&waiting, "probe:probe-password", "orders");
    let first = Probed::new(&table);
    first.pass();
    assert_failures(&[Case::new("no server connection", table, "exhausted", "the pooler had no free connection to the server in time")]);
}

/// `PgBouncer` does not read from a client that waits, and so does not notice that it is gone, not even by a request to cancel.
#[test]
fn probes_dropped_during_a_pause_stay_waiting_clients_no_longer_than_the_pooler_allows() {
    let pooler = pooler(&["query_wait_timeout = 3"]);
    let table = through(&pooler, "probe:probe-password", "orders") + "timeout = \"1s\"\n";
    let probed = Probed::new(&table);
    probed.pass();
    pooler.admin(PASSWORD, "PAUSE orders");
    let failed = || assert_failures(&[Case::new("paused", table.clone(), "timeout", "no answer within 1s")]);
    let waiting = || {
        let pools = pooler.admin(PASSWORD, "SHOW POOLS");
        let pool = pools.lines().find(|line| line.starts_with("orders|probe|")).expect("the pool").to_owned();
        pool.split('|').nth(3).and_then(|number| number.parse::<u32>().ok()).expect("cl_waiting")
    };
    failed();
    assert!(waiting() <= 1, "one for each dropped probe");
    failed();
    assert!(waiting() <= 2);
    let start = Instant::now();
    eventually("the pooler drops waiting clients", || (waiting() == 0).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(30));
    pooler.admin(PASSWORD, "RESUME orders");
    probed.pass();
}

#[test]
fn a_server_that_shuts_down_says_so() {
    let server = postgres_with(PASSWORD, &[]);
    add_role(&server, "probe", "orders");
    let table = url(&format!("postgres://probe:probe-password@127.0.0.1:{}/orders", server.port));
    // A session that the server waits for.
    let open = Probed::new(&table);
    open.pass();
    server.shut_down_when_idle();
    let refused = Probed::new(&table);
    let failure = eventually("the server refuses new sessions", || refused.probe().err());
    assert_eq!(failure.to_string(), "unhealthy: the server is shutting down");
    open.pass();
}
