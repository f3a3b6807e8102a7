//! Cargo on this machine: its home, its settings, and its commands that are no part of it, installed when they are missing.

use crate::run::{cargo as run_cargo, output, say};
use std::{env, path::PathBuf, process::Command};

/// A variable of who runs this.
#[expect(clippy::disallowed_methods, reason = "what cargo and compilers are told by variables is told to this command, too")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Where cargo keeps what it fetched.
pub(crate) fn home() -> Result<PathBuf, String> {
    let home = variable("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.ok_or_else(|| "there is neither CARGO_HOME nor a home".to_owned())
}

/// The version of cargo-deny that judges the dependency graph: another may know other rules, or none of ours.
pub(crate) const CARGO_DENY: &str = "0.20.2";

/// Runs cargo-deny, in the version that is pinned.
pub(crate) fn deny(arguments: &[&str]) -> Result<(), String> {
    let installed = output(Command::new(env!("CARGO")).args(["install", "--list"]))?;
    if !installed.lines().any(|line| line == format!("cargo-deny v{CARGO_DENY}:")) {
        say(&format!("installing cargo-deny {CARGO_DENY} from crates.io"));
        run_cargo(&["install", "--locked", "cargo-deny", "--version", CARGO_DENY])?;
    }
    run_cargo(&[&["deny"], arguments].concat())
}

/// Makes sure that a command is there.
pub(crate) fn cargo(name: &str) -> Result<(), String> {
    let subcommand = name.trim_start_matches("cargo-");
    let installed = output(Command::new(env!("CARGO")).arg("--list"))?;
    if installed.lines().any(|line| line.split_whitespace().next() == Some(subcommand)) {
        return Ok(());
    }
    say(&format!("installing {name} from crates.io"));
    run_cargo(&["install", "--locked", name])
}
