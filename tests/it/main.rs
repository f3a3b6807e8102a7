//! The one integration-test binary: real servers, hostile servers, and the real program between them.

mod configuration;
mod conformance;
mod dialects;
mod drain;
mod embedding;
mod encrypted;
mod grpc;
mod haproxy;
mod helpers;
mod http;
mod kinds;
mod layout;
mod leaks;
mod log;
mod main_job;
mod metrics;
mod page;
mod polls;
mod probers;
mod probing;
mod reload;
mod secrets;
mod servers;
mod signals;
mod tls;
mod wait;
