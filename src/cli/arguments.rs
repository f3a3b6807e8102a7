//! The arguments of the program. Doc comments are the text of `--help`.

use super::{
    check::CheckOnce,
    completions::Completions,
    doctor::Doctor,
    error_output::{ErrorOutput, print_event},
    exit::Exit,
    get::Get,
    init::Init,
    kinds::Kinds,
    serve::Serve,
    validate::Validate,
    wait::Wait,
};
use crate::config::{Environment, Sources};
use clap::{CommandFactory, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf};
use tracing::Level;

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

impl Arguments {
    /// Parses arguments; the first one is the name of the program. Prints help, the version, and mistakes.
    ///
    /// # Errors
    ///
    /// There is nothing left to do but to exit with this code.
    pub fn parse_or_print(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> Result<Self, Exit> {
        let arguments: Vec<_> = arguments.into_iter().collect();
        Self::try_parse_from(&arguments).map_err(|error| {
            let sources = Sources { environment: environment.clone(), ..Sources::default() };
            if error.use_stderr() && names_service(&arguments) && ErrorOutput::of_service(&sources) == ErrorOutput::Json {
                print_event(Level::ERROR, error.render().to_string().trim_start_matches("error: ").trim_end());
            } else {
                // If the output is closed, there is no other place to write to.
                let _ = error.print();
            }
            if error.use_stderr() { Exit::Usage } else { Exit::Done }
        })
    }
}

/// Whether arguments that cannot be parsed are those of `serve`, with or without its name.
fn names_service(arguments: &[OsString]) -> bool {
    let program = Arguments::command();
    let named = arguments.iter().skip(1).find_map(|argument| program.find_subcommand(argument));
    named.is_none_or(|command| command.get_name() == "serve")
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
