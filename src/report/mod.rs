//! Reports: the results of all components, and the verdict, at one moment.
//!
//! The engine makes a [`Report`] on a [`View`], and a [dialect](crate::dialect) renders it. Nothing here renders, does I/O or reads a clock.
//!
//! * `document`: [`Report`], and what it is made from. `view`: what it can be about.
//! * `component`: [`ComponentReport`], one component's result. `status`: pass, warn, fail.
//! * `verdict`: the only place that decides which status several components have together. `summary`: the verdict as a sentence.
//! * `change`: the changes of statuses. `tally`: the counts of probes. `service`, `configuration`: which service it is about, and
//!   with which configuration.

mod change;
mod component;
mod configuration;
mod document;
mod service;
mod status;
mod summary;
mod tally;
mod verdict;
mod view;

pub use change::{Change, Changes};
pub(crate) use component::NamedComponent;
pub use component::{ComponentReport, FailureReport, Grace, Minute, PastFailure};
pub use configuration::{ConfigReport, Reload};
pub use document::Report;
pub(crate) use document::{Circumstances, Groups};
pub use service::ServiceIdentity;
pub use status::Status;
pub use tally::Tally;
pub(crate) use verdict::{VerdictInput, verdict};
pub use view::View;
