//! The fault matrix: every kind with a network × everything that breaks, on real servers; and the machine itself.
//!
//! In the suite each fault is met once. `cargo xtask chaos` meets each a hundred times, and writes what was measured into
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

/// Between two probes of a component.
const INTERVAL: Duration = Duration::from_millis(200);
/// Longer than the second after which a new connection is tried beside one that is silent.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// What this machine may add, which does other things, too.
pub(crate) const NOISE: Duration = Duration::from_secs(4);

/// How often each fault is met.
fn rounds() -> u32 {
    if is_full() { 100 } else { 1 }
}

/// Whether this is `cargo xtask chaos`.
pub(crate) fn is_full() -> bool {
    env::var_os("ALLSWELL_CHAOS").is_some()
}
