//! Writes the manual pages and the shell completions, which are generated from the command line, for all packages.

use super::{create_empty, release::Release, with_path};
use crate::run::{output, root, run};
use std::{fs, path::PathBuf, process::Command};

/// The folder where the content of packages is collected.
pub(super) fn folder() -> PathBuf {
    root().join("target/staged")
}

/// Each shell, and the name of its completion file.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "allswell.bash"),
    ("zsh", "_allswell"),
    ("fish", "allswell.fish"),
    ("elvish", "allswell.elv"),
    ("powershell", "_allswell.ps1"),
];

/// Writes the folders `man` and `completions`, and returns their paths.
pub(super) fn write_documents(release: &Release) -> Result<[PathBuf; 2], String> {
    let parts = [folder().join("man"), folder().join("completions")];
    let [man, completions] = &parts;
    create_empty(man)?;
    create_empty(completions)?;
    let date = output(Command::new("date").args(["--utc", "+%F", "--date"]).arg(format!("@{}", release.epoch)))?;
    run(allswell().args(["--example", "manual", "--"]).arg(man).arg(date.trim()))?;
    for (shell, file) in SHELLS {
        let path = completions.join(file);
        fs::write(&path, output(allswell().args(["--", "completions", shell]))?).map_err(|error| with_path(&path, &error))?;
    }
    Ok(parts)
}

/// A `cargo run` of the package allswell for this machine. `RUSTC` is removed, because it may name a compiler that is only for the targets.
fn allswell() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env_remove("RUSTC").args(["run", "--quiet", "--locked", "--package", "allswell"]);
    cargo
}
