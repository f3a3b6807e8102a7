//! TLS as a client of endpoints that are judged by other rules than a check's: the doctor's targets, and our own listener.

pub(crate) mod pinned;
pub(crate) mod verifier;
