//! Servers that end, die, stop in their tracks and come back; that want other credentials, have no room, or may only be read.

use super::{
    backends::{Backend, PASSWORD},
    is_full,
    table::{Row, tell},
    trial::{Expected, Trial},
};
use crate::{registered::kinds_with_server_process, servers::Server};
use rustix::process::Signal;
use std::{cell::RefCell, thread, time::Duration};

/// Servers take seconds to start: a hundred starts of each would take an hour.
fn starts() -> u32 {
    if is_full() { 10 } else { 1 }
}

#[test]
fn servers_that_stop_die_or_hang_are_detected_and_so_is_their_return() {
    let rows: Vec<Row> = thread::scope(|scope| {
        let trials: Vec<_> = kinds_with_server_process().into_iter().map(|kind| scope.spawn(move || dies(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    tell("2-processes", rows);
}

fn dies(kind: &'static str) -> Vec<Row> {
    let mut backend = Backend::start(kind);
    let server = RefCell::new(backend.server.take().expect("a process"));
    let mut trial = Trial::new(kind, &backend.table("127.0.0.1", backend.port), backend.timeout);
    // Who is about to end, or has just begun, may say so.
    let gone = Expected::Fails(&["unreachable", "unhealthy", "protocol"]);
    let stopped = if kind == "tcp" { Expected::Passes } else { Expected::Fails(&["timeout"]) };
    let mut rows = vec![trial.meets("SIGSTOP", stopped, || server.borrow().pause(), || server.borrow().resume())];
    trial.rounds = starts();
    // PostgreSQL's "fast" one: the "smart" one waits for everybody to go away by themselves.
    let end = if kind == "postgres" { Signal::INT } else { Signal::TERM };
    let stop = || server.borrow_mut().end_by(end);
    rows.push(trial.meets("clean stop, and restart on the same port", gone, stop, || server.borrow_mut().restart()));
    rows.push(trial.meets("SIGKILL, and restart on the same port", gone, || server.borrow_mut().kill(), || server.borrow_mut().restart()));
    rows
}

/// What a server's operator does, and undoes.
struct Order {
    fault: &'static str,
    class: &'static str,
    more: &'static str,
    does: fn(&Server),
    undoes: fn(&Server),
}

const ROTATED: &str = "other credentials after a rotation";
const SLOTS: &str = "no slots left";
const READ_ONLY: &str = "failover to a read-only node";

#[test]
fn changes_of_a_server_are_detected_by_the_next_connection() {
    let rows: Vec<Row> = thread::scope(|scope| {
        let kinds = kinds_with_server_process().into_iter().filter(|kind| !orders(kind).is_empty());
        let trials: Vec<_> = kinds.map(|kind| scope.spawn(move || changes(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    tell("3-minds", rows);
}

fn changes(kind: &'static str) -> Vec<Row> {
    const AGE: Duration = Duration::from_secs(1);
    let mut backend = Backend::start(kind);
    let server = backend.server.take().expect("a process");
    prepare(kind, &server);
    let orders = orders(kind);
    orders
        .into_iter()
        .map(|Order { fault, class, more, does, undoes }| {
            let user = if kind == "rabbitmq" { "app" } else { "probe" };
            let table = backend.table("127.0.0.1", backend.port).replace("//:", "//probe:").replace("//app:", &format!("//{user}:"));
            let mut trial = Trial::new(kind, &format!("{table}\nmax_connection_age = \"{AGE:?}\"\n{more}"), backend.timeout);
            let expected = Expected::Fails(match class {
                "rejected" => &["rejected"],
                "exhausted" => &["exhausted"],
                _ => &["unhealthy"],
            });
            trial.meets_within(fault, expected, AGE, &mut || does(&server), &mut || undoes(&server))
        })
        .collect()
}

/// A user without special rights: administrators get in where nobody else does.
fn prepare(kind: &str, server: &Server) {
    match kind {
        "postgres" => {
            server.psql(PASSWORD, "orders", &format!("CREATE ROLE probe LOGIN PASSWORD '{PASSWORD}'"));
        }
        "mysql" => {
            server
                .mariadb(&format!("CREATE USER probe@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON orders.* TO probe@'127.0.0.1'"));
        }
        "redis" => {
            server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "on", &format!(">{PASSWORD}"), "~*", "&*", "+@all"]);
        }
        _ => {}
    }
}

fn orders(kind: &str) -> Vec<Order> {
    match kind {
        "postgres" => vec![
            Order {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe PASSWORD 'another'")),
                undoes: |server| drop(server.psql(PASSWORD, "orders", &format!("ALTER ROLE probe PASSWORD '{PASSWORD}'"))),
            },
            Order {
                fault: SLOTS,
                class: "exhausted",
                more: "",
                does: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe CONNECTION LIMIT 0")),
                undoes: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe CONNECTION LIMIT -1")),
            },
            Order {
                fault: READ_ONLY,
                class: "unhealthy",
                more: "role = \"primary\"",
                does: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe SET default_transaction_read_only = on")),
                undoes: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe RESET default_transaction_read_only")),
            },
        ],
        "mysql" => vec![
            Order {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.mariadb("ALTER USER probe@'127.0.0.1' IDENTIFIED BY 'another'")),
                undoes: |server| drop(server.mariadb(&format!("ALTER USER probe@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"))),
            },
            Order {
                fault: SLOTS,
                class: "exhausted",
                more: "",
                does: |server| drop(server.mariadb("ALTER USER probe@'127.0.0.1' WITH MAX_CONNECTIONS_PER_HOUR 1")),
                undoes: |server| drop(server.mariadb("ALTER USER probe@'127.0.0.1' WITH MAX_CONNECTIONS_PER_HOUR 0; FLUSH USER_RESOURCES")),
            },
            Order {
                fault: READ_ONLY,
                class: "unhealthy",
                more: "role = \"primary\"",
                does: |server| drop(server.mariadb("SET GLOBAL read_only = 1")),
                undoes: |server| drop(server.mariadb("SET GLOBAL read_only = 0")),
            },
        ],
        "redis" => vec![
            Order {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "resetpass", ">another"])),
                undoes: |server| drop(server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "resetpass", &format!(">{PASSWORD}")])),
            },
            Order {
                fault: READ_ONLY,
                class: "unhealthy",
                more: "role = \"primary\"",
                does: |server| drop(server.redis_cli(PASSWORD, &["REPLICAOF", "127.0.0.1", "1"])),
                undoes: |server| drop(server.redis_cli(PASSWORD, &["REPLICAOF", "NO", "ONE"])),
            },
        ],
        "rabbitmq" => vec![
            Order {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.rabbitmqctl(&["change_password", "app", "another"])),
                undoes: |server| drop(server.rabbitmqctl(&["change_password", "app", PASSWORD])),
            },
            Order {
                fault: SLOTS,
                class: "exhausted",
                more: "",
                does: |server| drop(server.rabbitmqctl(&["set_vhost_limits", "-p", "/", r#"{"max-connections": 0}"#])),
                undoes: |server| drop(server.rabbitmqctl(&["clear_vhost_limits", "-p", "/"])),
            },
        ],
        _ => Vec::new(),
    }
}
