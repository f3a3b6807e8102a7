//! Runs the command that the arguments name, and prints what it cannot do.

use super::{
    arguments::{Arguments, Command},
    error::CommandError,
    exit::Exit,
    resources::{self, CLIENT, PROBES},
    schema,
    serve::Serve,
    signals::StartSignals,
    terminal::print_error,
};
use crate::{
    config::{Environment, Sources},
    kinds::Registry,
};
use clap::CommandFactory;
use std::sync::Arc;

/// Runs a command to its end.
pub fn run(arguments: Arguments, environment: Environment, registry: Registry) -> Exit {
    execute(arguments, environment, registry).unwrap_or_else(|error| {
        print_error(&error.to_string());
        error.exit()
    })
}

fn execute(arguments: Arguments, mut environment: Environment, registry: Registry) -> Result<Exit, CommandError> {
    let command = arguments.command.unwrap_or_else(|| Command::Serve(Serve::default()));
    // First of all: reading files may take long.
    let signals = match &command {
        Command::Serve(_) => StartSignals::of_service(),
        _ => StartSignals::of_command(),
    };
    let signals = signals.map_err(CommandError::Signals)?;
    let unreadable: Vec<_> = arguments.env_file.iter().filter_map(|file| environment.add_file(file).err()).collect();
    if !unreadable.is_empty() {
        return Err(CommandError::EnvironmentFiles(unreadable));
    }
    let sources = Sources { files: arguments.config, environment, ..Sources::default() };
    match &command {
        Command::Serve(_) => resources::require_for_service()?,
        Command::Check(_) | Command::Wait(_) => resources::require(&PROBES)?,
        Command::Get(_) | Command::Doctor(_) => resources::require(&CLIENT)?,
        _ => {}
    }
    match command {
        Command::Serve(serve) => serve.run(sources, Arc::new(registry), signals),
        Command::Check(check) => check.run(&sources, &registry),
        Command::Get(get) => get.run(&sources, &registry),
        Command::Doctor(doctor) => doctor.run(&sources, &registry),
        Command::Wait(wait) => wait.run(&sources, &registry),
        Command::Init(init) => init.run(&sources, &registry),
        Command::Validate(validate) => validate.run(sources, &registry),
        Command::Kinds(kinds) => kinds.run(&registry),
        Command::Schema => Ok(schema::run(&registry)),
        Command::Completions(completions) => Ok(completions.run(Arguments::command())),
    }
}
