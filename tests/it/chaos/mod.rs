//! The fault matrix: every networked kind × every fault, on real servers; and faults of the machine.
//!
//! The suite tries each fault once. `cargo xtask chaos` tries each a hundred times, and writes the measured times into
//! `docs/reliability.md`.

pub(crate) mod backends;
pub(crate) mod load;
mod machine;
mod names;
mod network;
mod processes;
mod reloads;
mod soak;
pub(crate) mod table;
mod trial;

use std::{env, time::Duration};

/// The interval between two probes of a component.
const INTERVAL: Duration = Duration::from_millis(200);
/// Longer than the second after which a check opens another connection if the first is silent.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// The delay that other work on this machine may add.
pub(crate) const NOISE: Duration = Duration::from_secs(4);

/// How often each fault is tried.
fn rounds() -> u32 {
    if is_full() { 100 } else { 1 }
}

/// Whether the tests run within `cargo xtask chaos`.
pub(crate) fn is_full() -> bool {
    env::var_os("ALLSWELL_CHAOS").is_some()
}
