//! The binary: arguments and environment in, exit code out; everything else is in the library.

use allswell::{
    cli::{self, Exit},
    config::Environment,
    kinds::Registry,
};
use std::env;

/// jemalloc returns memory to the system a second after a crowd of clients has left; its settings are in `.cargo/config.toml`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Exit {
    // One TLS provider for every driver. It fails only if there is one already, which is not the case here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let environment = Environment::from_process();
    match cli::Arguments::parse_or_print(env::args_os(), &environment) {
        Ok(arguments) => cli::run(arguments, environment, Registry::builtin()),
        Err(exit) => exit,
    }
}
