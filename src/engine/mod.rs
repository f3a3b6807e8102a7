//! The engine: probes components, keeps their states, and puts reports together from memory.

mod aggregator;
mod board;
mod builder;
mod demand;
mod drain;
mod entry;
mod grace;
mod history;
mod hour;
#[cfg(test)]
mod model;
mod moment;
mod on_demand;
mod outcome;
mod pulse;
mod sampler;
mod schedule;
mod standing;
mod supervisor;
mod track;
mod transition;

pub use aggregator::Aggregator;
pub(crate) use board::{Freshness, Made};
pub use builder::Builder;
#[cfg(feature = "cli")]
pub(crate) use drain::Drainer;
pub use on_demand::OnDemand;
