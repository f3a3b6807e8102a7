//! Runs other programs, and prints each command line before it runs.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The root folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Prints a line on standard error.
pub(crate) fn say(line: &str) {
    // There is no other place to report a closed standard error.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs cargo in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), String> {
    cargo_with(arguments, &[])
}

/// Runs cargo in the root of the workspace, with additional environment variables.
pub(crate) fn cargo_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    run(Command::new(env!("CARGO")).current_dir(root()).args(arguments).envs(variables.iter().copied()))
}

/// Runs a program to its end, without standard input.
///
/// # Errors
///
/// The program could not be started, or its exit status is not 0.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    say(&format!("$ {}", command_line(command)));
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("{}: {error}", command_line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", command_line(command))) }
}

/// Runs a program to its end, and returns its standard output.
///
/// # Errors
///
/// As for [`run`].
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| format!("{}: {error}", command_line(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{}: {}", command_line(command), output.status))
    }
}

fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    command.get_args().fold(program, |line, argument| format!("{line} {}", argument.to_string_lossy()))
}
