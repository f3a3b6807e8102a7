//! Runs the command that the arguments name, and prints what it cannot do.

use super::{
    arguments::{Arguments, Command},
    error::CommandError,
    error_output::ErrorOutput,
    exit::Exit,
    resources::{self, CLIENT, PROBES},
    schema,
    serve::Serve,
    signals::StartSignals,
    terminal::print_warning,
};
use crate::{
    config::{Environment, Sources},
    kinds::Registry,
};
use clap::CommandFactory;
use std::{path::PathBuf, sync::Arc};

/// Runs a command to its end.
pub fn run(arguments: Arguments, mut environment: Environment, registry: Registry) -> Exit {
    let command = arguments.command.unwrap_or_else(|| Command::Serve(Serve::default()));
    // First of all: reading files may take long.
    let signals = match &command {
        Command::Serve(_) => StartSignals::of_service(),
        _ => StartSignals::of_command(),
    };
    let unused = reject_unused(&command, &arguments.config, &arguments.env_file);
    let mut unreadable: Vec<_> = arguments.env_file.iter().filter_map(|file| environment.add_file(file).err()).collect();
    let mut sources = Sources { files: arguments.config, environment, ..Sources::default() };
    unreadable.extend(sources.add_environment_file().err());
    let output = match &command {
        Command::Serve(_) => ErrorOutput::of_service(&sources),
        _ => ErrorOutput::Text,
    };
    output.show_panics();
    let ended = match (unused, signals) {
        (Err(error), _) => Err(error),
        (_, Err(error)) => Err(CommandError::Signals(error)),
        // `get` needs an address only, which another layer may have.
        (_, Ok(_)) if !unreadable.is_empty() && !matches!(command, Command::Get(_)) => Err(CommandError::EnvironmentFiles(unreadable)),
        (_, Ok(signals)) => {
            unreadable.iter().for_each(print_warning);
            execute(command, signals, sources, registry)
        }
    };
    ended.unwrap_or_else(|error| {
        output.show(&error);
        error.exit()
    })
}

fn execute(command: Command, signals: StartSignals, sources: Sources, registry: Registry) -> Result<Exit, CommandError> {
    match &command {
        Command::Serve(_) => resources::require_for_service()?,
        Command::Check(_) | Command::Wait(_) => resources::require(&PROBES)?,
        Command::Get(_) | Command::Doctor(_) => resources::require(&CLIENT)?,
        _ => {}
    }
    match command {
        Command::Serve(serve) => serve.run(sources, Arc::new(registry), signals),
        Command::Check(check) => check.run(&sources, &registry),
        Command::Get(get) => get.run(&sources),
        Command::Doctor(doctor) => doctor.run(&sources, &registry),
        Command::Wait(wait) => wait.run(&sources, &registry),
        Command::Init(init) => init.run(&sources, &registry),
        Command::Validate(validate) => validate.run(sources, &registry),
        Command::Kinds(kinds) => kinds.run(&registry),
        Command::Schema => Ok(schema::run(&registry)),
        Command::Completions(completions) => Ok(completions.run(Arguments::command())),
    }
}

/// Rejects files that a command would not read.
fn reject_unused(command: &Command, config: &[PathBuf], env_file: &[PathBuf]) -> Result<(), CommandError> {
    let (name, reads_environment) = match command {
        Command::Init(_) => ("init", true),
        Command::Kinds(_) => ("kinds", false),
        Command::Schema => ("schema", false),
        Command::Completions(_) => ("completions", false),
        _ => return Ok(()),
    };
    let unused = match (config, env_file) {
        ([_, ..], _) => "--config",
        ([], [_, ..]) if !reads_environment => "--env-file",
        _ => return Ok(()),
    };
    Err(CommandError::Usage(format!("`allswell {name}` does not read this file: remove {unused}")))
}
