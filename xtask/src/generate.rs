//! Files that are made of the code.

use crate::run;
use std::{fs, path::PathBuf, process::Command};

/// Each generated file, and the arguments by which allswell prints it.
const GENERATED: &[(&str, &[&str])] = &[("checks/README.md", &["kinds", "--markdown"]), ("config/allswell.schema.json", &["schema"])];

/// Writes them.
pub(crate) fn write() -> Result<(), String> {
    for (path, text) in generated()? {
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        run::say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Compares them.
pub(crate) fn check() -> Result<(), String> {
    for (path, text) in generated()? {
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            return Err(format!("{} is out of date: run `cargo xtask generate`", path.display()));
        }
    }
    Ok(())
}

fn generated() -> Result<Vec<(PathBuf, String)>, String> {
    let printed = |(path, arguments): &(&str, &[&str])| {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(run::root()).args(["run", "--quiet", "--package", "allswell", "--"]).args(*arguments);
        run::output(&mut command).map(|text| (run::root().join(path), text))
    };
    GENERATED.iter().map(printed).collect()
}
