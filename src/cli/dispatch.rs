//! Runs the command that the arguments name, and prints what it cannot do.

use super::{
    arguments::{Arguments, Command},
    error::CommandError,
    exit::Exit,
    schema,
    serve::Serve,
    start_report::Report,
};
use crate::{
    config::{Environment, Sources},
    kinds::Registry,
};
use clap::CommandFactory;
use std::sync::Arc;

/// Runs a command to its end.
pub fn run(arguments: Arguments, mut environment: Environment, registry: Registry) -> Exit {
    let unreadable: Vec<_> = arguments.env_file.iter().filter_map(|file| environment.add_file(file).err()).collect();
    let sources = Sources { files: arguments.config, environment, ..Sources::default() };
    let command = arguments.command.unwrap_or_else(|| Command::Serve(Serve::default()));
    let report = match &command {
        Command::Serve(_) => Report::of_service(&sources),
        _ => Report::Text,
    };
    report.panics();
    let ended = if unreadable.is_empty() { execute(command, sources, registry) } else { Err(CommandError::EnvironmentFiles(unreadable)) };
    ended.unwrap_or_else(|error| {
        report.error(&error);
        error.exit()
    })
}

fn execute(command: Command, sources: Sources, registry: Registry) -> Result<Exit, CommandError> {
    match command {
        Command::Serve(serve) => serve.run(sources, Arc::new(registry)),
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
