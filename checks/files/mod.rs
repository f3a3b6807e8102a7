//! What kinds share that use files: mounts, and the meaning of the errors of a file system.
//!
//! A kind with a `path` takes a [`mount::RequiredMount`], calls its `verify` before it uses the path, and classifies errors with
//! `failure::classify`. All of this blocks: call it through [`Blocking`](crate::contract::Blocking).

pub(crate) mod failure;
pub mod mount;
mod mount_table;
