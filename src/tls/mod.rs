//! TLS with other rules than those of checks.
//!
//! [`pinned`] connects `allswell get` to the listener of its own service, by the listener's certificate; [`fingerprint`] is how the service names
//! that certificate. [`verifier`] lets the doctor verify servers as each of its clients does.

pub(crate) mod fingerprint;
#[cfg(feature = "cli")]
pub(crate) mod pinned;
#[cfg(feature = "cli")]
pub(crate) mod verifier;
