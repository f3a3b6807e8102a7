//! What is made of the command line for every package: the pages of the manual, and completions.

use super::{emptied, named};
use crate::run::{cargo, output, root};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
pub(super) fn documents() -> Result<[PathBuf; 2], String> {
    let parts = [folder().join("man"), folder().join("completions")];
    let [man, completions] = &parts;
    emptied(man)?;
    emptied(completions)?;
    cargo(&["run", "--quiet", "--locked", "--package", "allswell", "--example", "manual", "--", text(man)?])?;
    for (shell, file) in SHELLS {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args(["run", "--quiet", "--locked", "--package", "allswell", "--", "completions", shell]);
        let path = completions.join(file);
        fs::write(&path, output(&mut command)?).map_err(|error| named(&path, &error))?;
    }
    Ok(parts)
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("the path of this checkout is no text: {}", path.display()))
}
