//! Servers that stop, die, hang and return; and servers that change their credentials, have no free connections, or become read-only.

use super::{
    backends::{Backend, PASSWORD},
    is_full,
    table::{Measurement, print_rows},
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
    let rows: Vec<Measurement> = thread::scope(|scope| {
        let trials: Vec<_> = kinds_with_server_process().into_iter().map(|kind| scope.spawn(move || meets_ends(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    print_rows("2-processes", rows);
}

fn meets_ends(kind: &'static str) -> Vec<Measurement> {
    let mut backend = Backend::start(kind);
    let server = RefCell::new(backend.server.take().expect("a process"));
    let mut trial = Trial::new(kind, &backend.table("127.0.0.1", backend.port), backend.timeout);
    // A server that shuts down or has just started may reply with an error.
    let gone = Expected::Fails(&["unreachable", "unhealthy", "protocol"]);
    let stopped = if kind == "tcp" { Expected::Passes } else { Expected::Fails(&["timeout"]) };
    let mut rows = vec![trial.meets("SIGSTOP", stopped, || server.borrow().pause(), || server.borrow().resume())];
    trial.rounds = starts();
    // The fast shutdown of PostgreSQL: the smart one waits until all clients have disconnected.
    let end = if kind == "postgres" { Signal::INT } else { Signal::TERM };
    let stop = || server.borrow_mut().end_by(end);
    rows.push(trial.meets("clean stop, and restart on the same port", gone, stop, || server.borrow_mut().restart()));
    rows.push(trial.meets("SIGKILL, and restart on the same port", gone, || server.borrow_mut().kill(), || server.borrow_mut().restart()));
    rows
}

/// A change by the operator of a server, and its reversal.
struct Change {
    fault: &'static str,
    class: &'static str,
    more: &'static str,
    does: fn(&Server),
    undoes: fn(&Server),
}

const ROTATED: &str = "rotated credentials";
const SLOTS: &str = "no connection slots left";
const READ_ONLY: &str = "failover to a read-only node";

#[test]
fn changes_of_a_server_are_detected_by_the_next_connection() {
    let rows: Vec<Measurement> = thread::scope(|scope| {
        let kinds = kinds_with_server_process().into_iter().filter(|kind| !changes_of(kind).is_empty());
        let trials: Vec<_> = kinds.map(|kind| scope.spawn(move || meets_changes(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    print_rows("3-minds", rows);
}

fn meets_changes(kind: &'static str) -> Vec<Measurement> {
    const AGE: Duration = Duration::from_secs(1);
    let mut backend = Backend::start(kind);
    let server = backend.server.take().expect("a process");
    prepare(kind, &server);
    let changes = changes_of(kind);
    changes
        .into_iter()
        .map(|Change { fault, class, more, does, undoes }| {
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

/// Creates a user without special rights: administrators may connect when others may not.
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

fn changes_of(kind: &str) -> Vec<Change> {
    match kind {
        "postgres" => vec![
            Change {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe PASSWORD 'another'")),
                undoes: |server| drop(server.psql(PASSWORD, "orders", &format!("ALTER ROLE probe PASSWORD '{PASSWORD}'"))),
            },
            Change {
                fault: SLOTS,
                class: "exhausted",
                more: "",
                does: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe CONNECTION LIMIT 0")),
                undoes: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe CONNECTION LIMIT -1")),
            },
            Change {
                fault: READ_ONLY,
                class: "unhealthy",
                more: "role = \"primary\"",
                does: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe SET default_transaction_read_only = on")),
                undoes: |server| drop(server.psql(PASSWORD, "orders", "ALTER ROLE probe RESET default_transaction_read_only")),
            },
        ],
        "mysql" => vec![
            Change {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.mariadb("ALTER USER probe@'127.0.0.1' IDENTIFIED BY 'another'")),
                undoes: |server| drop(server.mariadb(&format!("ALTER USER probe@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"))),
            },
            Change {
                fault: SLOTS,
                class: "exhausted",
                more: "",
                does: |server| drop(server.mariadb("ALTER USER probe@'127.0.0.1' WITH MAX_CONNECTIONS_PER_HOUR 1")),
                undoes: |server| drop(server.mariadb("ALTER USER probe@'127.0.0.1' WITH MAX_CONNECTIONS_PER_HOUR 0; FLUSH USER_RESOURCES")),
            },
            Change {
                fault: READ_ONLY,
                class: "unhealthy",
                more: "role = \"primary\"",
                does: |server| drop(server.mariadb("SET GLOBAL read_only = 1")),
                undoes: |server| drop(server.mariadb("SET GLOBAL read_only = 0")),
            },
        ],
        "redis" => vec![
            Change {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "resetpass", ">another"])),
                undoes: |server| drop(server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "resetpass", &format!(">{PASSWORD}")])),
            },
            Change {
                fault: READ_ONLY,
                class: "unhealthy",
                more: "role = \"primary\"",
                does: |server| drop(server.redis_cli(PASSWORD, &["REPLICAOF", "127.0.0.1", "1"])),
                undoes: |server| drop(server.redis_cli(PASSWORD, &["REPLICAOF", "NO", "ONE"])),
            },
        ],
        "rabbitmq" => vec![
            Change {
                fault: ROTATED,
                class: "rejected",
                more: "",
                does: |server| drop(server.rabbitmqctl(&["change_password", "app", "another"])),
                undoes: |server| drop(server.rabbitmqctl(&["change_password", "app", PASSWORD])),
            },
            Change {
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
