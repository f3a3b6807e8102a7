//! HTTP: routes, negotiation, status codes and headers; and, for the binary, the listener with its limits.

#[cfg(feature = "cli")]
mod admin;
mod answer;
#[cfg(feature = "cli")]
mod connection;
mod events;
#[cfg(feature = "cli")]
mod front;
mod grpc;
#[cfg(feature = "cli")]
pub(crate) mod haproxy_agent;
mod ledger;
#[cfg(feature = "cli")]
mod listener;
mod metrics;
mod negotiate;
mod page;
mod polls;
mod routes;
mod subscriptions;

#[cfg(feature = "cli")]
pub(crate) use admin::Control;
pub use answer::Answers;
#[cfg(feature = "cli")]
pub(crate) use listener::{Limits, Server};
#[cfg(feature = "cli")]
pub(crate) use routes::service;
pub use routes::{router, router_with};
