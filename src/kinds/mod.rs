//! The kinds of checks that a configuration can name: the registry, from a kind's name to its constructor, and what is made from a kind's schema.
//!
//! [`Registry::builtin`] has every kind of this build; [`Registry::with`] adds one of your own.

pub(crate) mod issue;
pub(crate) mod read;
pub mod reference;
mod registry;

pub use registry::{Kind, Registry};
