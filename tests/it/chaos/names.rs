//! Names that stop resolving, and names that move: for the service alone, in a mount namespace with a file of hosts of its own.

use super::{
    backends::Backend,
    table::{Row, tell},
    trial::{Expected, Trial},
};
use crate::{
    helpers::Allswell,
    registered::networked_kinds,
    servers::{
        breaker::{Breaker, Fault},
        mounts::may_have_own_mounts,
    },
};
use std::{fs, path::Path, thread};

const NAME: &str = "backend.test";

#[test]
fn names_that_stop_resolving_or_move_are_detected_and_followed() {
    if !may_have_own_mounts() {
        return;
    }
    let rows: Vec<Row> = thread::scope(|scope| {
        let trials: Vec<_> = networked_kinds().into_iter().map(|kind| scope.spawn(move || moves(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    tell("4-names", rows);
}

fn moves(kind: &'static str) -> Vec<Row> {
    let backend = Backend::start(kind);
    let old = Breaker::to(backend.port);
    // At another address, and at the same port: as a name moves.
    let new = Breaker::on("127.0.0.2", old.port, backend.port);
    let folder = tempfile::tempdir().expect("a folder");
    let (hosts, services) = (folder.path().join("hosts"), folder.path().join("nsswitch.conf"));
    let points_to = |address: &str| fs::write(&hosts, format!("127.0.0.1 localhost\n{address} {NAME}\n")).expect("a file");
    points_to("127.0.0.1");
    // Nobody else is asked: where there is no network, that would take its time.
    fs::write(&services, "hosts: files\n").expect("a file");
    let configuration = Trial::configuration(&backend.table(NAME, old.port), backend.timeout);
    let service = Allswell::start_by(&namespace(&hosts, &services), &configuration, &[]);
    let mut trial = Trial::of(service, kind, backend.timeout);
    let gone = Expected::Fails(&["unreachable"]);
    // A connection that works is kept whatever becomes of the name.
    let failure = trial.meets(
        "the name does not resolve, and the connection breaks",
        gone,
        || {
            fs::write(&hosts, "127.0.0.1 localhost\n").expect("a file");
            old.set(Fault::Refused);
        },
        || {
            points_to("127.0.0.1");
            old.set(Fault::None);
        },
    );
    let change = trial.meets(
        "the address dies, and the name moves to another",
        gone,
        || {
            // Wherever it was connected: it finds the way back to what is dead.
            points_to("127.0.0.1");
            old.set(Fault::Refused);
            new.set(Fault::Refused);
        },
        || {
            points_to("127.0.0.2");
            new.set(Fault::None);
        },
    );
    vec![failure, change]
}

/// The beginning of a command that has its own file of hosts, and asks nobody else.
fn namespace(hosts: &Path, services: &Path) -> Vec<String> {
    let script = format!(
        "mount --bind '{}' /etc/hosts && mount --bind '{}' /etc/nsswitch.conf && exec \"$0\" \"$@\"",
        hosts.display(),
        services.display()
    );
    ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", &script].map(str::to_owned).into()
}
