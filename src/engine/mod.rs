//! The engine: probes components, keeps their states, and puts reports together from memory.

mod aggregator;
mod board;
mod builder;
mod drain;
mod entry;
mod history;
mod hour;
mod moment;
mod pulse;
mod sampler;
mod standing;
mod supervisor;
mod track;

pub use aggregator::Aggregator;
#[cfg(feature = "cli")]
pub(crate) use board::{Holds, Made};
pub use builder::Builder;
#[cfg(feature = "cli")]
pub(crate) use drain::Drainer;
