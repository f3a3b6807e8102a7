//! The binary: arguments and environment in, exit code out; everything else is the library's.

use allswell::{cli, config::Environment, kinds::Registry};
use clap::Parser;
use std::process::ExitCode;

/// Returns memory a second after a crowd of clients has left; `.cargo/config.toml` has the settings.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // One provider for every driver; a second installation, of which there is none here, would be refused.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::run(cli::Arguments::parse(), Environment::from_process(), Registry::builtin())
}
