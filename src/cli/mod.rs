//! The command line: one file per command, with its arguments, its output and its exit codes.
//!
//! `main` calls [`run`] with the parsed [`Arguments`] and returns the [`Exit`]. A command returns `Err(CommandError)` for what it cannot do;
//! `dispatch` prints that in one place. `terminal` writes to standard output and standard error, and nothing else does.
//!
//! A new command is a file with a `clap::Args` struct and a `run` method, a variant of `Command` in `arguments`, and an arm in `dispatch`.

mod arguments;
mod check;
mod completions;
mod dispatch;
mod doctor;
mod doctor_output;
mod duration;
mod error;
mod error_output;
mod exit;
mod get;
mod get_request;
mod get_target;
mod init;
mod kinds;
mod own_service;
mod probing;
mod resources;
mod schema;
mod serve;
mod signals;
mod terminal;
mod validate;
mod wait;

pub use arguments::Arguments;
pub use dispatch::run;
pub use exit::Exit;
