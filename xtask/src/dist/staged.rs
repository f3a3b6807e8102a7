//! What is made of the command line for every package: the pages of the manual, and completions.

use super::{emptied, named, release::Release};
use crate::run::{output, root, run};
use std::{fs, path::PathBuf, process::Command};

/// Where packages are put together.
pub(super) fn folder() -> PathBuf {
    root().join("target/staged")
}

/// A shell, and the file in which it looks for the completions of a program.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "allswell.bash"),
    ("zsh", "_allswell"),
    ("fish", "allswell.fish"),
    ("elvish", "allswell.elv"),
    ("powershell", "_allswell.ps1"),
];

/// The folders `man` and `completions`.
pub(super) fn documents(release: &Release) -> Result<[PathBuf; 2], String> {
    let parts = [folder().join("man"), folder().join("completions")];
    let [man, completions] = &parts;
    emptied(man)?;
    emptied(completions)?;
    let date = output(Command::new("date").args(["--utc", "+%F", "--date"]).arg(format!("@{}", release.epoch)))?;
    run(allswell().args(["--example", "manual", "--"]).arg(man).arg(date.trim()))?;
    for (shell, file) in SHELLS {
        let path = completions.join(file);
        fs::write(&path, output(allswell().args(["--", "completions", shell]))?).map_err(|error| named(&path, &error))?;
    }
    Ok(parts)
}

/// Runs something of allswell's on this machine, by its own compiler: `RUSTC` may name one that is there for the targets.
fn allswell() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env_remove("RUSTC").args(["run", "--quiet", "--locked", "--package", "allswell"]);
    cargo
}
