//! TLS clients with other rules than those of checks.
//!
//! [`pinned`] connects `allswell get` to the listener of the same configuration, by its certificate. [`verifier`] lets the doctor verify servers
//! as each of its clients does.

pub(crate) mod pinned;
pub(crate) mod verifier;
