//! **allswell** answers one question, fast and truthfully: *is all well?*
//!
//! It probes databases, caches, queues and storage in the background, concurrently and each under its own time limit, and serves the
//! verdict over HTTP: `200` or `500`, with a report per component.
//!
//! # The way of the data
//!
//! ```text
//! config ──► registry ──► component ──► sampler ──► board ──► report ──► dialect ──► http
//! asked for   who can      a name, a     one task    last       the        JSON,       200 | 500
//!             do it        policy,       each, on    results    verdict    text,
//!                          a check       its tick                           HTML, …
//! ```
//!
//! Nothing flows back: a check does not know its name, its time limit, or that HTTP exists; and a poll never causes a probe. A poll reads
//! memory, so that its cost does not depend on the backends, nor their load on the pollers.
//!
//! # The rooms
//!
//! * [`allswell_checks`]: what a check is, and every kind of backend. It knows nothing of what is here.
//! * [`config`]: files and the environment. The only room that reads them.
//! * [`kinds`]: the registry, from a kind's name to its typed constructor; a value, not a global. And the reference that is made from it.
//! * [`component`]: a check with a name and a policy.
//! * [`engine`]: samplers, the pure state machine, the board, and the handle to all of it. The only room that runs probes.
//! * [`report`]: the verdict. Imports neither HTTP nor time.
//! * [`dialect`]: wire formats, pure functions of a report.
//! * [`http`]: routes, status codes, and the listener.
//! * [`pollers`]: how load balancers and others poll, and which of them poll this process; [`doctor`]: polls any endpoint as they do.
//! * [`cli`]: one file per command; [`telemetry`]: the log.
//!
//! # In an application of your own
//!
//! ```
//! use allswell::{Aggregator, Check, Failure, Observation, async_trait};
//! use axum::{Router, routing::get};
//!
//! # struct FleetClient;
//! # impl FleetClient { async fn online(&self) -> Result<u32, std::io::Error> { Ok(7) } }
//! # async fn home() -> &'static str { "home" }
//! struct Fleet(FleetClient);
//!
//! #[async_trait]
//! impl Check for Fleet {
//!     async fn probe(&self) -> Result<Observation, Failure> {
//!         let online = self.0.online().await.map_err(Failure::unreachable)?;
//!         Ok(Observation::pass().with("online", online))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let client = FleetClient;
//! let health = Aggregator::builder().check("fleet", Fleet(client)).start();
//! let app = Router::new().route("/", get(home)).merge(allswell::router(health));
//! # let _: Router = app;
//! # }
//! ```

mod age;
#[cfg(feature = "cli")]
pub mod cli;
pub mod component;
#[cfg(feature = "config")]
pub mod config;
pub mod dialect;
#[cfg(feature = "cli")]
pub mod doctor;
pub mod engine;
pub mod http;
#[cfg(feature = "config")]
pub mod kinds;
pub mod pollers;
pub mod report;
#[cfg(feature = "cli")]
pub mod telemetry;
#[cfg(feature = "cli")]
mod tls;

pub use allswell_checks::contract::{Check, Failure, FailureClass, Observation};
pub use async_trait::async_trait;
pub use engine::Aggregator;
pub use http::router;
#[cfg(feature = "config")]
pub use kinds::Registry;
