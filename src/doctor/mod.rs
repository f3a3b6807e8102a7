//! The doctor polls any endpoint as each known client does, and reports what the client would conclude, why, and what to change.
//!
//! [`Target::resolve`] finds the address behind a URL, [`poll_as`] sends one client's poll, and [`examine`] turns the results of all polls
//! into [`Finding`]s. [`read_target_groups`] reads target groups of AWS, and [`TargetGroup::advise`] checks their settings without a poll.
//!
//! Polls are sent one after the other: a server with a single worker would respond late to simultaneous polls. The doctor sends safe
//! requests only: one per client, about as many again if something is wrong, and those that redirects lead to, for clients that follow
//! redirects.
//!
//! To add a cause of an unhealthy poll, see `causes`.

mod allswell_settings;
mod causes;
mod client;
mod client_status;
mod examine;
mod finding;
mod handshake;
mod http2;
mod poll;
mod response;
mod result;
mod software;
mod target;
mod target_group;
mod text;
mod trials;
mod warnings;

pub use allswell_settings::AllswellSettings;
pub use client::Client;
pub use examine::{examine, poll_as};
pub use finding::Finding;
pub use result::ClientResult;
pub use target::Target;
pub use target_group::{Advice, TargetGroup, read_target_groups};
