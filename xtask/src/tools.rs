//! Cargo's commands that are no part of it: installed when they are missing.

use crate::run::{cargo as run_cargo, output, say};
use std::process::Command;

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
