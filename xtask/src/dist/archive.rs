//! Archives of which the same sources make the same bytes, and the checksums of all that is published.

use super::{copy, emptied, named, release::Release, staged, targets::Target};
use crate::run::{output, root, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What stands in an archive beside the program, its manual and its completions.
const FILES: [&str; 9] = [
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "config/allswell.toml",
    "config/allswell.schema.json",
    "config/examples",
    "deploy/allswell.service",
];

/// `allswell-VERSION-TARGET.tar.gz`, with a folder of that name.
pub(super) fn pack(
    target: &Target,
    release: &Release,
    binary: &Path,
    notices: &Path,
    parts: &[PathBuf],
    published: &Path,
) -> Result<(), String> {
    let name = format!("allswell-{}-{}", release.label, target.triple);
    let folder = staged::folder().join(&name);
    emptied(&folder)?;
    copy(binary, &folder.join("allswell"))?;
    copy(notices, &folder.join("THIRD-PARTY.txt"))?;
    for file in FILES {
        copy_into(&root().join(file), &folder.join(file))?;
    }
    for part in parts {
        copy_into(part, &folder.join(part.file_name().unwrap_or_default()))?;
    }
    let archive = published.join(format!("{name}.tar"));
    let mut tar = Command::new("tar");
    tar.current_dir(staged::folder()).args(["--create", "--format=ustar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    // Whoever unpacks it gets the rights that belong to it, whatever mask it was packed under.
    tar.args(["--mode=u+rwX,go+rX,go-w"]).arg(format!("--mtime=@{}", release.epoch)).arg("--file").arg(&archive).arg(&name);
    run(&mut tar)?;
    // Without name and time in its head.
    run(Command::new("gzip").args(["--best", "--no-name"]).arg(&archive))
}

/// Copies a file, or a folder with all that is in it.
fn copy_into(from: &Path, to: &Path) -> Result<(), String> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
        }
        return copy(from, to);
    }
    fs::create_dir_all(to).map_err(|error| named(to, &error))?;
    for entry in files(from)? {
        copy_into(&entry, &to.join(entry.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// What is in a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| named(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Writes `SHA256SUMS` of everything in a folder, verifies it as a user would, and tells what is there.
pub(super) fn sum_up(published: &Path) -> Result<Vec<PathBuf>, String> {
    let mut paths = files(published)?;
    let mut sum = Command::new("sha256sum");
    sum.current_dir(published).arg("--").args(paths.iter().filter_map(|path| path.file_name()));
    let sums = published.join("SHA256SUMS");
    fs::write(&sums, output(&mut sum)?).map_err(|error| named(&sums, &error))?;
    run(Command::new("sha256sum").current_dir(published).args(["--check", "--strict", "--quiet", "SHA256SUMS"]))?;
    paths.push(sums);
    Ok(paths)
}
