//! Every network fault, in front of a server of every networked kind.

use super::{
    backends::Backend,
    table::{Measurement, print_rows},
    trial::{Expected, Trial},
};
use crate::{
    registered::networked_kinds,
    servers::breaker::{Breaker, Fault},
};
use std::thread;

const FAULTS: [(&str, Fault); 6] = [
    ("connection refused", Fault::Refused),
    ("black hole", Fault::BlackHole),
    ("silence after the connection", Fault::Silent),
    ("slow drip", Fault::Drip),
    ("connection reset", Fault::Reset),
    ("half-open: the peer is gone without FIN", Fault::HalfOpen),
];

fn expected(kind: &str, fault: Fault) -> Expected {
    match (kind, fault) {
        // A check opens a second connection if the first is silent; and `tcp` without a banner needs only a connection.
        (_, Fault::None | Fault::HalfOpen) | ("tcp", Fault::Silent | Fault::Drip) => Expected::Passes,
        (_, Fault::Refused) => Expected::Fails(&["unreachable"]),
        // A connection that is reset within a reply is a truncated reply.
        (_, Fault::Reset) => Expected::Fails(&["unreachable", "protocol"]),
        (_, Fault::BlackHole | Fault::Silent | Fault::Drip) => Expected::Fails(&["timeout"]),
    }
}

#[test]
fn every_network_fault_is_detected_and_recovered_from_for_every_networked_kind() {
    let kinds = networked_kinds();
    let rows: Vec<Measurement> = thread::scope(|scope| {
        let trials: Vec<_> = kinds.iter().map(|&kind| scope.spawn(move || meets_all(kind))).collect();
        trials.into_iter().flat_map(|kind| kind.join().expect("no gap in the matrix")).collect()
    });
    assert_eq!(rows.len(), kinds.len() * FAULTS.len());
    print_rows("1-network", rows);
}

fn meets_all(kind: &'static str) -> Vec<Measurement> {
    let backend = Backend::start(kind);
    let breaker = Breaker::to(backend.port);
    let mut trial = Trial::new(kind, &backend.table("127.0.0.1", breaker.port), backend.timeout);
    FAULTS.map(|(name, fault)| trial.meets(name, expected(kind, fault), || breaker.set(fault), || breaker.set(Fault::None))).into()
}
