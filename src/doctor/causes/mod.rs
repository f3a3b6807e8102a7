//! Why a client reports unhealthy.
//!
//! A family of causes is one file: an enum with a variant per cause, `diagnose`, which recognises the causes in the result of a poll, and
//! `explain`, which has the code, title, evidence and fix of each. Where the result is ambiguous, `diagnose` sends trial polls.
//!
//! To add a cause, add a variant, its recognition and its explanation to a family's file. A new family also needs a variant of [`Cause`]
//! and a row in [`diagnose`](diagnose()), which is the order in which the families are tried.

mod cause;
mod client_rule;
mod connection;
mod explanation;
mod host;
mod proxy_header;
mod redirect;
mod refusal;
mod self_reported;
mod server_error;
mod tls;

pub(super) use cause::{Cause, diagnose};
pub(super) use explanation::Context;
pub(super) use redirect::{ForwardedProto, Redirect, is_login};
pub(super) use tls::{certificate_fix, certificate_problem};
