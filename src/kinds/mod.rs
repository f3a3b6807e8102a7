//! The kinds of checks that a configuration can name: the registry, which maps a kind's name to its constructor, and what is derived from a
//! kind's schema.
//!
//! [`Registry::builtin`] has every kind of this build; [`Registry::with`] adds your own:
//!
//! ```
//! use allswell::kinds::{Registry, reference};
//!
//! let registry = Registry::builtin();
//! if let Some(redis) = registry.get("redis") {
//!     assert!(reference::kind(redis).contains("url"));
//! }
//! ```
//!
//! `read` deserialises a table by its `schema` and reports every mistake as an `issue`; `reference` renders the documentation of the kinds.

pub(crate) mod issue;
pub(crate) mod read;
pub mod reference;
mod registry;
pub(crate) mod schema;

pub use registry::{Discover, Kind, Registry};
