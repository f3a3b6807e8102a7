//! HTTP: routes, negotiation, status codes and headers; and, for the binary, the listener with its limits.
//!
//! An application merges [`router`] into its own; the binary serves `routes::build_routes` with its listener. Responses come from memory, so no request waits for
//! a backend.
//!
//! # The way of a `GET /health`
//!
//! In the binary, a request with nothing but a path, as load balancers send it, is a *plain poll*, and takes the first three steps:
//!
//! 1. `listener::server` accepts the connection, reads the request and calls `FastPath::respond`.
//! 2. `fast_path` recognises the plain poll, and looks its path up in `paths`, the one list of paths: `/health` is the report on
//!    [`View::Whole`](crate::report::View::Whole).
//! 3. `renderings`, the one cache, returns the last response if it is current. Most polls end here: one look-up, no rendering. `pollers` counts
//!    the poll.
//! 4. If there is a newer result, `renderings` calls `renderer`, which takes the report from the engine, has it rendered by the
//!    [dialect](crate::dialect), and puts status code and headers around the bytes (`answers`, `respond`). Small views are rendered here, views
//!    of more than 64 components on another thread.
//!
//! Every other request takes the long way: `fast_path` → `routes`, an axum router made from `paths` → `counted`, the middleware that counts →
//! `HttpState::report`, which reads the query and `Accept` (`negotiate`, `accept`), decides by the token how much to show,
//! waits for missing results until the deadline, and then also asks `renderings`.
//!
//! # The rest
//!
//! * `metrics`, `page` and `events`, `grpc`, `admin`: what is served besides reports. `haproxy_agent` has a port of its own.
//! * `peer`, `network`, `tokens`, `subscriptions`, `memory`: which client it is, and the limits of what it can hold.

mod accept;
#[cfg(feature = "server")]
mod admin;
mod answers;
mod counted;
mod events;
#[cfg(feature = "server")]
mod fast_path;
mod grpc;
#[cfg(feature = "server")]
pub(crate) mod haproxy_agent;
#[cfg(feature = "server")]
mod listener;
mod memory;
mod metrics;
mod negotiate;
mod network;
mod pace;
mod page;
pub(crate) mod paths;
mod peer;
mod renderer;
mod renderings;
mod respond;
mod routes;
mod state;
mod subscriptions;
#[cfg(test)]
mod test_check;
mod tokens;

#[cfg(feature = "server")]
pub use admin::ReloadError;
#[cfg(feature = "server")]
pub(crate) use admin::{Control, ReloadRequests};
pub use answers::Answers;
#[cfg(feature = "server")]
pub(crate) use listener::{Limits, Server};
#[cfg(feature = "server")]
pub(crate) use memory::ResponseMemory;
#[cfg(feature = "server")]
pub(crate) use routes::build_routes;
pub use routes::{router, router_with};
