//! The command line: one file per command.

mod certificate;
mod check;
mod contents;
mod doctor;
mod drain;
mod get;
mod init;
mod kinds;
mod reload;
mod serve;
mod systemd;
mod validate;
mod wait;

use crate::{
    config::{Configured, Details, Environment, LogLevel, LogSettings, ServerSettings, Sources, load, schema},
    dialect::Detail,
    engine::{Aggregator, Builder},
    http::{Answers, Limits, haproxy_agent},
    kinds::Registry,
    kinds::read::suggestion_or_all,
    report::Service,
    telemetry,
};
use allswell_checks::contract::{TimeSpan, printable};
use clap::{CommandFactory, Parser, Subcommand};
use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

/// Is all well? Probes databases, caches, queues and storage in the background and serves the verdict over HTTP.
#[derive(Debug, Parser)]
#[command(name = "allswell", version, max_term_width = 100)]
pub struct Arguments {
    /// A configuration file; later ones win [default: allswell.toml in the working directory, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    config: Vec<PathBuf>,
    /// A file of NAME=value lines; variables that are set already win
    #[arg(long, value_name = "FILE", global = true)]
    env_file: Vec<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT (the default)
    Serve(serve::Serve),
    /// Probe everything once, here and now, without a server
    Check(check::CheckOnce),
    /// Ask a running allswell: for HEALTHCHECK in images without curl
    Get(get::Get),
    /// Poll an endpoint as load balancers do, and say what each would conclude, and why
    Doctor(doctor::Doctor),
    /// Wait until all is well, then end or become another command
    Wait(wait::Wait),
    /// Print a commented configuration made of what is found in the environment
    Init(init::Init),
    /// Read the configuration and print every problem, or what it would do; starts nothing
    Validate(validate::Validate),
    /// List the kinds, or one kind's keys, defaults and example
    Kinds(kinds::Kinds),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a completion script
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
}

/// The command is done.
pub const DONE: u8 = 0;
/// The answer is no: something is not well, or cannot be reached.
pub const NOT_WELL: u8 = 1;
/// The command cannot be carried out as it was given.
pub const USAGE: u8 = 2;

/// Runs a command to its end.
#[must_use]
pub fn run(arguments: Arguments, mut environment: Environment, registry: Registry) -> ExitCode {
    let mut code = DONE;
    for file in &arguments.env_file {
        if let Err(error) = environment.add_file(file) {
            complain(&format!("error: {error}"));
            code = USAGE;
        }
    }
    if code != DONE {
        return code.into();
    }
    let sources = Sources { files: arguments.config, environment, ..Sources::default() };
    let code = match arguments.command.unwrap_or_else(|| Command::Serve(serve::Serve::default())) {
        Command::Serve(serve) => serve.run(sources, Arc::new(registry)),
        Command::Check(check) => check.run(&sources, &registry),
        Command::Get(get) => get.run(&sources, &registry),
        Command::Doctor(doctor) => doctor.run(&sources, &registry),
        Command::Wait(wait) => wait.run(&sources, &registry),
        Command::Init(init) => init.run(&sources, &registry),
        Command::Validate(validate) => validate.run(sources, &registry),
        Command::Kinds(kinds) => kinds.run(&registry),
        Command::Schema => {
            print(&format!("{:#}\n", schema(&registry)));
            DONE
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "allswell", &mut script);
            print(&String::from_utf8_lossy(&script));
            DONE
        }
    };
    code.into()
}

/// Reads the configuration, or says everything that is wrong with it.
fn configured(sources: &Sources, registry: &Registry) -> Result<Configured, u8> {
    load(sources, registry).map_err(|error| {
        complain(&error.to_string());
        USAGE
    })
}

/// What a command begins with that probes by itself and tells what comes of it: the named components, and its log.
fn by_hand(sources: &Sources, registry: &Registry, names: &[String]) -> Result<(Configured, telemetry::Log), u8> {
    let mut configured = configured(sources, registry)?;
    // Only who asks by RUST_LOG gets the log as well.
    let silent = LogSettings { level: LogLevel::Off, ..configured.settings.log.clone() };
    let log = telemetry::install(&silent, &sources.environment, configured.redactor.clone(), io::stderr().is_terminal());
    for warning in &configured.warnings {
        complain(&format!("warning: {warning}"));
    }
    select(&mut configured, names)?;
    Ok((configured, log))
}

/// Keeps the components that are named, or all where none is; or complains about a name that nothing has.
fn select(configured: &mut Configured, names: &[String]) -> Result<(), u8> {
    for name in names {
        if !configured.components.iter().any(|component| component.name.as_str() == name) {
            let known = configured.components.iter().map(|component| component.name.as_str());
            let hint = suggestion_or_all(name, "components", known);
            complain(&format!("error: there is no component `{name}`; {hint}"));
            return Err(USAGE);
        }
    }
    configured.components.retain(|component| names.is_empty() || names.iter().any(|name| name == component.name.as_str()));
    Ok(())
}

/// What was begun, or a complaint that it cannot be.
fn begun<T>(begun: io::Result<T>) -> Result<T, u8> {
    begun.map_err(|error| {
        complain(&format!("error: cannot start: {error}"));
        NOT_WELL
    })
}

/// Lines on standard error, for the person who gave the command: whatever a file or a server put into them, a terminal shows it and nothing else.
fn complain(lines: &str) {
    // When nobody listens there is nothing left to do.
    let _ = writeln!(io::stderr(), "{}", printable_lines(lines));
}

/// The text with its line breaks, and each line [`printable`].
fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Text on standard output; the reader may have left, as `head` does.
fn print(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// An engine's parts from a configuration.
fn builder(configured: &Configured) -> Builder {
    let mut builder = Aggregator::builder()
        .service(Service::from(&configured.settings.service))
        .redactor(configured.redactor.clone())
        .only_host(configured.only_host);
    for component in &configured.components {
        builder = builder.component(component.clone());
    }
    for (name, group) in &configured.groups {
        // Both were looked at when the configuration was read.
        builder = builder.group(name.as_str(), &group.checks);
    }
    builder
}

/// How to answer, from a configuration.
fn answers(configured: &Configured) -> Answers {
    let server = &configured.settings.server;
    Answers {
        fail_status: server.fail_status,
        warn_status: server.warn_status,
        deadline: server.deadline.0,
        token: server.token.clone(),
        detail: match server.details {
            Details::Full => Detail::Full,
            Details::Status => Detail::Status,
        },
        group_fail_status: configured.groups.iter().filter_map(|(name, group)| Some((name.clone(), group.fail_status?))).collect(),
    }
}

/// What clients may take, fitted to the descriptors that the process may have.
fn limits(configured: &Configured) -> Limits {
    let server = &configured.settings.server;
    let mut limits = Limits {
        max_connections: server.max_connections,
        header_timeout: server.header_timeout.0,
        idle_timeout: server.idle_timeout.0,
        deadline: server.deadline.0,
    };
    limits.fit(configured.components.len(), if server.haproxy_agent.is_some() { haproxy_agent::MAX_CONNECTIONS } else { 0 });
    limits
}

fn response_memory(server: &ServerSettings) -> usize {
    usize::try_from(server.response_memory.0).unwrap_or(usize::MAX)
}

/// A duration on the command line.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    text.parse::<TimeSpan>().map(|span| span.0)
}
