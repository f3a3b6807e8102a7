//! The engine: probes components in the background, keeps their state, and builds reports from memory.
//!
//! [`Aggregator::builder`] takes checks and groups; [`Builder::start`] starts probing and returns the handle that every reader uses.
//! [`Builder::build`] returns an engine that probes only when it is called.
//!
//! The way of a result: `supervisor` keeps one `sampler` task per component alive. A sampler runs the probe, limits its time and catches its
//! panic, and turns what comes back into a bounded, redacted `outcome`. `entry` records it in `track`, the pure state machine of rise, fall,
//! hold and age, and announces a status change in the log and the `history`. `board` holds all entries of one configuration and caches a report
//! per view until the `pulse` says that something changed.

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
pub(crate) use board::{BuiltReport, Freshness};
pub use builder::Builder;
#[cfg(feature = "server")]
pub(crate) use drain::DrainReason;
pub use on_demand::OnDemand;
