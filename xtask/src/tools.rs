//! Cargo on this machine: its home folder, variables, and third-party subcommands, which are installed if they are missing.

use crate::run::{cargo as run_cargo, output, say};
use std::{env, path::PathBuf, process::Command};

/// An environment variable of this command.
#[expect(clippy::disallowed_methods, reason = "this command follows the same variables as cargo and the compilers")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// The folder where cargo stores downloads.
pub(crate) fn home() -> Result<PathBuf, String> {
    let home = variable("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.ok_or_else(|| "CARGO_HOME is not set, and there is no home folder: set CARGO_HOME".to_owned())
}

/// The pinned version of cargo-deny: another version may have different rules, or reject our configuration.
pub(crate) const CARGO_DENY: &str = "0.20.2";

/// Runs cargo-deny in the pinned version, and installs that version first if it is missing.
pub(crate) fn deny(arguments: &[&str]) -> Result<(), String> {
    let installed = output(Command::new(env!("CARGO")).args(["install", "--list"]))?;
    if !installed.lines().any(|line| line == format!("cargo-deny v{CARGO_DENY}:")) {
        say(&format!("installing cargo-deny {CARGO_DENY} from crates.io"));
        run_cargo(&["install", "--locked", "cargo-deny", "--version", CARGO_DENY])?;
    }
    run_cargo(&[&["deny"], arguments].concat())
}

/// Installs a cargo subcommand, such as `cargo-deb`, if it is missing.
pub(crate) fn ensure_installed(name: &str) -> Result<(), String> {
    let subcommand = name.trim_start_matches("cargo-");
    let installed = output(Command::new(env!("CARGO")).arg("--list"))?;
    if installed.lines().any(|line| line.split_whitespace().next() == Some(subcommand)) {
        return Ok(());
    }
    say(&format!("installing {name} from crates.io"));
    run_cargo(&["install", "--locked", name])
}
