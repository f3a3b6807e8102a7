//! Hints for keys that do not exist: where a key belongs, and which of our keys does the same as one of another program.
//!
//! [`add_hints`] adds them to the issues of a table; `foreign_keys` lists the keys of other programs.

mod foreign_keys;
mod hints;

pub(super) use foreign_keys::FOREIGN_KEYS;
pub(super) use hints::{add_hints, schema_of_check};
