//! Names that stop resolving, and names that move to another address. The service runs in a mount namespace with its own `/etc/hosts`.

use super::{
    backends::Backend,
    table::{Measurement, print_rows},
    trial::{Expected, Trial},
};
use crate::{
    helpers::Allswell,
    registered::networked_kinds,
    servers::{
        breaker::{Breaker, Fault},
        mounts::{may_have_own_mounts, with_own_files},
    },
};
use std::{fs, thread};

const NAME: &str = "backend.test";

#[test]
fn names_that_stop_resolving_or_move_are_detected_and_followed() {
    if !may_have_own_mounts() {
        return;
    }
    let rows: Vec<Measurement> = thread::scope(|scope| {
        let trials: Vec<_> = networked_kinds().into_iter().map(|kind| scope.spawn(move || moves(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    print_rows("4-names", rows);
}

fn moves(kind: &'static str) -> Vec<Measurement> {
    let backend = Backend::start(kind);
    let old = Breaker::to(backend.port);
    // Another address with the same port.
    let new = Breaker::on("127.0.0.2", old.port, backend.port);
    let folder = tempfile::tempdir().expect("a folder");
    let (hosts, services) = (folder.path().join("hosts"), folder.path().join("nsswitch.conf"));
    let points_to = |address: &str| fs::write(&hosts, format!("127.0.0.1 localhost\n{address} {NAME}\n")).expect("a file");
    points_to("127.0.0.1");
    // No DNS: without a network a query would take long.
    fs::write(&services, "hosts: files\n").expect("a file");
    let configuration = Trial::configuration(&backend.table(NAME, old.port), backend.timeout);
    let service = Allswell::start_by(&with_own_files(&[(&hosts, "/etc/hosts"), (&services, "/etc/nsswitch.conf")]), &configuration, &[]);
    let mut trial = Trial::of(service, kind, backend.timeout);
    let gone = Expected::Fails(&["unreachable"]);
    // A connection that works is kept, whatever the name resolves to.
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
        "the address fails, and the name moves to another",
        gone,
        || {
            // Whichever address the check was connected to, both are dead now.
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
