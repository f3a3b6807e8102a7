//! The arguments of the program. Doc comments are the text of `--help`.

use super::{
    check::CheckOnce, completions::Completions, doctor::Doctor, get::Get, init::Init, kinds::Kinds, serve::Serve, validate::Validate,
    wait::Wait,
};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Is all well? Probes databases, caches, queues and storage in the background and serves the verdict over HTTP.
#[derive(Debug, Parser)]
#[command(name = "allswell", version, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file; can be repeated: later files override earlier ones [default: the files in `ALLSWELL_CONFIG`, separated by colons, or the first that exists of ./allswell.toml and /etc/allswell/allswell.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Vec<PathBuf>,
    /// File of NAME=value lines; variables that are already set take precedence
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) env_file: Vec<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the service until SIGTERM or SIGINT (the default)
    Serve(Serve),
    /// Probe every component once, without a server, and print the report
    Check(CheckOnce),
    /// Request the report of a running allswell, and exit with 0 on 2xx; for HEALTHCHECK in images without curl
    Get(Get),
    /// Poll an endpoint as load balancers do, and report what each would conclude, and why
    Doctor(Doctor),
    /// Wait until the critical components pass, then exit or run a command
    Wait(Wait),
    /// Print a commented configuration for the servers found in environment variables and the compose file
    Init(Init),
    /// Report every problem of the configuration, or if there is none, print its checks; starts nothing
    Validate(Validate),
    /// List the kinds, or print the keys, defaults and example of one kind
    Kinds(Kinds),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a completion script for a shell
    Completions(Completions),
}
