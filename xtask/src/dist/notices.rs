//! The licences of everything that is linked into a binary, as those licences want them to be handed on.

use super::{named, staged, targets::Target};
use crate::{
    run::{output, root},
    tools,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const HEAD: &str = "\
allswell is licensed under MIT or Apache-2.0, at your choice: LICENSE-MIT, LICENSE-APACHE. In this program are also Rust's standard library
(MIT or Apache-2.0), where it is built for musl also musl (MIT), and the crates below with the files that tell of their licences.
";

/// What begins the name of such a file.
const BEGINNINGS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Writes them: each text once, below the names of those that come with it.
pub(super) fn write(target: &Target) -> Result<PathBuf, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["tree", "--locked", "--package", "allswell", "--edges", "normal", "--prefix", "none"]);
    let tree = output(cargo.args(["--target", &target.triple, "--format", "{p}|{l}"]))?;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut names: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    names.sort_unstable();
    names.dedup();
    let mut summary = String::new();
    // Our own have no folder in the registry: they come with their path behind their version.
    for (name, licence) in names.iter().filter_map(|line| line.split_once('|')).filter(|(name, _)| !name.contains(" (/")) {
        let name = name.trim_end_matches(" (proc-macro)").replacen(" v", "-", 1);
        summary.push_str(&format!("{name}: {licence}\n"));
        for text in licences(&folder(&name)?)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut written = format!("{HEAD}\n{summary}");
    let mut blocks: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    blocks.sort();
    for (names, text) in blocks {
        written.push_str(&format!("\n{}\n{}\n\n{}\n", "=".repeat(80), names.join(", "), text.trim_end()));
    }
    let path = staged::folder().join(format!("THIRD-PARTY-{}.txt", target.triple));
    fs::write(&path, written).map_err(|error| named(&path, &error))?;
    Ok(path)
}

/// Where cargo unpacked a crate.
fn folder(name: &str) -> Result<PathBuf, String> {
    let sources = tools::home()?.join("registry/src");
    let mut registries = fs::read_dir(&sources).map_err(|error| named(&sources, &error))?.flatten();
    let found = registries.find_map(|registry| Some(registry.path().join(name)).filter(|folder| folder.is_dir()));
    found.ok_or_else(|| format!("the sources of {name} are not below {}", sources.display()))
}

/// The texts in it, by the names of their files.
fn licences(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| named(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && is_licence(path)).collect();
    paths.sort();
    let text = |path: &PathBuf| {
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace("\r\n", "\n")).map_err(|error| named(path, &error))
    };
    paths.iter().map(text).collect()
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}
