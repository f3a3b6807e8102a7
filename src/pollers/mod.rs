//! Pollers: the load balancers and other clients that poll health endpoints.
//!
//! * `profile`: what is known about each kind of poller, from its vendor's pages and sources: the request that it sends, the responses that it
//!   accepts, its timeout and its thresholds. [`doctor`](crate::doctor) polls any endpoint by these profiles.
//! * `ledger`: which pollers have polled this process, from where and how often, and what each concluded from the responses.
//! * `names`: the names of all other clients, by their user agents.
//! * `counts`: the number of responses by path and status code.
//! * `report`: the ledger's contents at one moment, for the dialects that show them.
//!
//! To record a poll, call `Ledger::record` and `PollCounts::count` once its response is known; to show the pollers, hand
//! `Ledger::report` to a dialect together with the report.

mod counts;
mod ledger;
mod names;
mod profile;
mod report;

pub(crate) use counts::PollCounts;
pub(crate) use ledger::{Ledger, RecordedPoll};
pub use profile::{HostHeader, PollerKind, PollerProfile, RedirectRule, ResponsePart, SuccessCodes};
pub use report::{PollerOverview, PollerReport, TargetHealth};

/// Everything that is remembered about polls.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    pub(crate) counts: PollCounts,
    pub(crate) ledger: Ledger,
}
