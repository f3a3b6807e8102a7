//! x
pub mod component;
pub mod dialect;
pub mod engine;
pub mod report;
pub use engine::Aggregator;
