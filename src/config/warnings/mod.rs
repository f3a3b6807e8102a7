//! What works, but probably not as intended: a warning never stops the start.
//!
//! Each file has one subject and a function that returns its warnings; `load` and the readers of tables call them.

pub(super) mod drain_file;
pub(super) mod exposure;
pub(super) mod file_content;
pub(super) mod policy;
pub(super) mod tls_files;
pub(super) mod values;
pub(super) mod variable_names;
