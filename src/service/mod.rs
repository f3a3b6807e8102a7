//! The service that `allswell serve` runs: probes, listeners, reloads and draining, without a command line.
//!
//! [`Service::bind`] takes a configuration, binds its addresses and starts to probe. [`Service::run`] answers until a future resolves, then
//! drains and ends. A [`ServiceHandle`] reads reports, drains, reloads and ends the service from elsewhere. Nothing here handles Unix signals,
//! writes to a terminal or ends the process: `allswell serve` is a few lines around this module, and an application can do the same.
//!
//! ```no_run
//! use allswell::{
//!     Registry,
//!     config::{Sources, load},
//!     service::Service,
//! };
//! use std::sync::Arc;
//!
//! # async fn shutdown_requested() {}
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (sources, registry) = (Sources { files: vec!["allswell.toml".into()], ..Sources::default() }, Arc::new(Registry::builtin()));
//! let configured = load(&sources, &registry)?;
//! let service = Service::bind(configured).await?.reload_from(sources, registry);
//! println!("listening on {}", service.local_addr()?);
//! service.run(shutdown_requested()).await;
//! # Ok(())
//! # }
//! ```
//!
//! * `bind`: opens the sockets; `run`: the life of the service; `handle`: what others may do with it.
//! * `assemble`: the parts of the engine and the HTTP server, made from a configuration.
//! * `reload`, `certificate`, `drain_file`: follow files while the service runs; `file_fingerprints` detects changes.
//! * `announce`: says to commands of the same user where the service is reached; `running`: finds such services; `reach`: the addresses for that.
//! * `systemd`: readiness, status and watchdog, through the `notify_socket`.

mod address_family;
mod announce;
mod announcement;
mod assemble;
mod bind;
mod certificate;
mod drain_file;
mod file_fingerprints;
mod handle;
mod notify_socket;
#[cfg(feature = "cli")]
mod reach;
mod reload;
mod resident_thread;
mod run;
#[cfg(feature = "cli")]
mod running;
mod systemd;

#[cfg(feature = "cli")]
pub(crate) use assemble::aggregator_builder;
pub use bind::BindError;
pub use handle::ServiceHandle;
#[cfg(feature = "cli")]
pub(crate) use reach::{of_bound, of_configured};
pub use run::Service;
#[cfg(feature = "cli")]
pub(crate) use running::{RunningService, running_services};
