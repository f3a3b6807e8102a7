//! Writes the licence texts of all crates that are linked into a binary, because their licences require it.

use super::{staged, targets::Target, with_path};
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
allswell is licensed under MIT or Apache-2.0, at your choice: LICENSE-MIT, LICENSE-APACHE. This program also contains Rust's standard library
(MIT or Apache-2.0), for musl targets also musl (MIT), and the crates below, each with its licence files.
";

/// The beginnings of names of licence files, in capital letters.
const LICENCE_FILE_PREFIXES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Writes `THIRD-PARTY-TARGET.txt`: a list of crates and licences, then each licence text once, below the names of the crates that have it.
pub(super) fn write(target: &Target) -> Result<PathBuf, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["tree", "--locked", "--package", "allswell", "--edges", "normal", "--prefix", "none"]);
    let tree = output(cargo.args(["--target", &target.triple, "--format", "{p}|{l}"]))?;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut names: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    names.sort_unstable();
    names.dedup();
    let mut summary = String::new();
    for (name, licence) in names.iter().filter_map(|line| line.split_once('|')) {
        let Some((name, folder)) = third_party(name)? else { continue };
        summary.push_str(&format!("{name}: {licence}\n"));
        for text in licence_texts(&folder)? {
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
    fs::write(&path, written).map_err(|error| with_path(&path, &error))?;
    Ok(path)
}

/// The name with version and the folder of a crate of others, from its line in `cargo tree`: `NAME vVERSION`, behind it the folder of a path
/// dependency. `None` for our own crates, which are path dependencies outside of `vendor/`.
fn third_party(line: &str) -> Result<Option<(String, PathBuf)>, String> {
    let line = line.trim_end_matches(" (proc-macro)");
    let Some((name, path)) = line.split_once(" (/") else {
        let name = line.replacen(" v", "-", 1);
        return registry_folder(&name).map(|folder| Some((name, folder)));
    };
    let folder = Path::new("/").join(path.trim_end_matches(')'));
    Ok(folder.starts_with(root().join("vendor")).then(|| (name.replacen(" v", "-", 1), folder)))
}

/// The folder into which cargo unpacked a crate.
fn registry_folder(name: &str) -> Result<PathBuf, String> {
    let sources = tools::home()?.join("registry/src");
    let mut registries = fs::read_dir(&sources).map_err(|error| with_path(&sources, &error))?.flatten();
    let found = registries.find_map(|registry| Some(registry.path().join(name)).filter(|folder| folder.is_dir()));
    found.ok_or_else(|| format!("the sources of {name} are not below {}: run `cargo fetch`", sources.display()))
}

/// The licence texts in a folder, sorted by the names of their files.
fn licence_texts(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| with_path(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && is_licence(path)).collect();
    paths.sort();
    let text = |path: &PathBuf| {
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace("\r\n", "\n")).map_err(|error| with_path(path, &error))
    };
    paths.iter().map(text).collect()
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    LICENCE_FILE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendored_crate_is_third_party_and_our_own_is_not() {
        let vendored = root().join("vendor/sqlx-mysql");
        let found = third_party(&format!("sqlx-mysql v0.9.0 ({})", vendored.display()));
        assert_eq!(found, Ok(Some(("sqlx-mysql-0.9.0".to_owned(), vendored.clone()))));
        assert_eq!(third_party(&format!("allswell-checks v0.1.0 ({})", root().join("checks").display())), Ok(None));
        assert!(!licence_texts(&vendored).expect("its folder").is_empty());
    }
}
