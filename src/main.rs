//! The binary: arguments and environment in, exit code out; everything else is the library's.

use allswell::{cli, config::Environment, registry::Registry};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider for every driver; a second installation, of which there is none here, would be refused.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::run(cli::Arguments::parse(), Environment::of_process(), Registry::builtin())
}
