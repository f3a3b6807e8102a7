//! **allswell** answers one question, fast and truthfully: *is all well?*
//!
//! It probes databases, caches, queues and storage in the background, concurrently and each with its own timeout, and serves the
//! verdict over HTTP: `200` or `500`, with a report per component.
//!
//! # Data flow
//!
//! ```text
//! config ──► registry ──► component ──► sampler ──► board ──► report ──► dialect ──► http
//! what is     kind name    a name, a     one task    last       the        JSON,       200 | 500
//! asked for   → typed      policy,       each, on    results    verdict    text,
//!             constructor  a check       its tick                          HTML, …
//! ```
//!
//! Data flows one way: a check does not know its name, its timeout, or that HTTP exists; and a poll never causes a probe. A poll reads memory, so
//! its cost does not depend on the backends, and the load on the backends does not depend on the number of pollers.
//!
//! # Modules
//!
//! * [`allswell_checks`]: what a check is, and every kind of backend. It does not depend on this crate.
//! * [`config`]: reads configuration files and the environment; nothing else does.
//! * [`kinds`]: the registry, which maps the name of a kind to its typed constructor and is a value, not a global; and the reference of all kinds.
//! * [`component`]: a check with a name and a policy.
//! * [`engine`]: samplers, the pure state machine, the board, and the handle to all of it. Nothing else runs probes.
//! * [`report`]: the verdict. It knows neither HTTP nor wire formats.
//! * [`dialect`]: wire formats, pure functions of a report.
//! * [`http`]: routes, status codes, and the listener.
//! * [`pollers`]: how load balancers and others poll, and which of them poll this process; [`doctor`]: polls any endpoint as they do.
//! * [`service`]: what `allswell serve` runs: listeners, reloads, draining. Usable without the command line.
//! * [`cli`]: one file per command; [`telemetry`]: the log.
//!
//! # Features
//!
//! * none: the engine, the dialects and [`router`], for an application with a listener of its own.
//! * `config`: [`config`] and [`kinds`].
//! * `server`: [`service`] besides, for an application that runs the whole service.
//! * `cli` (default): the binary: [`cli`], [`doctor`] and [`telemetry`] besides.
//! * `all` (default): every kind. For some of them, depend on `allswell-checks` with their features.
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
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "cli")]
pub mod telemetry;
#[cfg(feature = "server")]
mod tls;

pub use allswell_checks::contract::{Check, Failure, FailureClass, Observation};
pub use async_trait::async_trait;
pub use engine::Aggregator;
pub use http::router;
#[cfg(feature = "config")]
pub use kinds::Registry;
