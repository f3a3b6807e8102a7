//! Target groups of AWS load balancers: their settings, what these amount to, and where they contradict each other or allswell's.

mod advice;
mod attributes;
mod contradictions;
mod read;
mod settings;

pub use advice::Advice;
pub use read::read_target_groups;
pub use settings::TargetGroup;
