//! HTTP: routes, negotiation, status codes and headers; and, for the binary, the listener with its limits.

#[cfg(feature = "server")]
mod admin;
mod answer;
mod events;
#[cfg(feature = "server")]
mod fast_path;
mod grpc;
#[cfg(feature = "server")]
pub(crate) mod haproxy_agent;
mod ledger;
#[cfg(feature = "server")]
mod listener;
mod memory;
mod metrics;
mod negotiate;
mod network;
mod pace;
mod page;
pub(crate) mod paths;
mod polls;
mod renderings;
mod routes;
mod state;
mod subscriptions;
mod tokens;

#[cfg(feature = "server")]
pub use admin::ReloadError;
#[cfg(feature = "server")]
pub(crate) use admin::{Control, ReloadRequests};
pub use answer::Answers;
#[cfg(feature = "server")]
pub(crate) use listener::{Limits, Server};
#[cfg(feature = "server")]
pub(crate) use memory::ResponseMemory;
#[cfg(feature = "server")]
pub(crate) use routes::service;
pub use routes::{router, router_with};
