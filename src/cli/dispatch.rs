//! Runs the command that the arguments name, and prints what it cannot do.

use super::{
    arguments::{Arguments, Command},
    error::CommandError,
    exit::Exit,
    schema,
    serve::Serve,
    terminal::{print_error, print_warning},
};
use crate::{
    config::{Environment, Sources},
    kinds::Registry,
};
use clap::CommandFactory;
use std::{path::PathBuf, sync::Arc};

/// Runs a command to its end.
pub fn run(arguments: Arguments, environment: Environment, registry: Registry) -> Exit {
    execute(arguments, environment, registry).unwrap_or_else(|error| {
        print_error(&error.to_string());
        error.exit()
    })
}

fn execute(arguments: Arguments, mut environment: Environment, registry: Registry) -> Result<Exit, CommandError> {
    let command = arguments.command.unwrap_or_else(|| Command::Serve(Serve::default()));
    reject_unused(&command, &arguments.config, &arguments.env_file)?;
    let mut unreadable: Vec<_> = arguments.env_file.iter().filter_map(|file| environment.add_file(file).err()).collect();
    let mut sources = Sources { files: arguments.config, environment, ..Sources::default() };
    unreadable.extend(sources.add_environment_file().err());
    if !unreadable.is_empty() {
        // `get` needs an address only, which another layer may have.
        if !matches!(command, Command::Get(_)) {
            return Err(CommandError::EnvironmentFiles(unreadable));
        }
        unreadable.iter().for_each(print_warning);
    }
    match command {
        Command::Serve(serve) => serve.run(sources, Arc::new(registry)),
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
