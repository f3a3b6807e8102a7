//! x
#[cfg(feature = "cli")]
pub mod cli;
pub mod component;
#[cfg(feature = "config")]
pub mod config;
pub mod dialect;
pub mod engine;
pub mod http;
#[cfg(feature = "config")]
pub mod reference;
#[cfg(feature = "config")]
pub mod registry;
pub mod report;
#[cfg(feature = "config")]
mod table;
#[cfg(feature = "cli")]
pub mod telemetry;
pub use engine::Aggregator;
