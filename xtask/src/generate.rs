//! Files that are made of the code.

use crate::{links, run};
use std::{fs, path::PathBuf, process::Command};

/// Each generated file, and the arguments by which allswell prints it.
const GENERATED: &[(&str, &[&str])] = &[(REFERENCE, &["kinds", "--markdown"]), ("config/allswell.schema.json", &["schema"])];

/// The reference of all kinds, and the folder of the book that has a page for each.
const REFERENCE: &str = "checks/README.md";
const KINDS: &str = "docs/kinds";

/// The end of each of these pages.
const EVERY: &str = "It also takes [the keys of every check](README.md).";

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
    let generated = generated()?;
    for (path, text) in &generated {
        if fs::read_to_string(path).ok().as_ref() != Some(text) {
            return Err(format!("{} is out of date: run `cargo xtask generate`", path.display()));
        }
    }
    for page in links::with_extension(&run::root().join(KINDS), "md")? {
        if !generated.iter().any(|(path, _)| *path == page) {
            return Err(format!("{}: there is no such kind; remove this page", page.display()));
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
    let mut generated: Vec<_> = GENERATED.iter().map(printed).collect::<Result<_, _>>()?;
    let pages = generated.iter().find(|(path, _)| path.ends_with(REFERENCE)).map(|(_, reference)| pages(reference));
    generated.extend(pages.into_iter().flatten().map(|(name, text)| (run::root().join(KINDS).join(name), text)));
    Ok(generated)
}

/// The book's pages of kinds: the reference, cut at its headings.
fn pages(reference: &str) -> Vec<(String, String)> {
    let notice = reference.lines().next().unwrap_or_default();
    let mut parts = reference.split("\n## ");
    let mut pages = Vec::new();
    let mut table = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (kind, text) = part.split_once('\n').unwrap_or((part, ""));
        table = table.replace(&format!("(#{kind})"), &format!("({kind}.md)"));
        pages.push((format!("{kind}.md"), format!("{notice}\n\n# {kind}\n{}\n\n{EVERY}\n", text.trim_end())));
    }
    pages.push(("README.md".to_owned(), format!("{}\n", table.trim_end())));
    pages
}
