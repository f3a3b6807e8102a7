//! x
pub mod component;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod registry;
pub mod report;
mod table;
pub use engine::Aggregator;
