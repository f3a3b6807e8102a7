//! Writes reproducible archives (the same sources give the same bytes), and the checksums of all published files.

use super::{copy, create_empty, release::Release, staged, targets::Target, with_path};
use crate::run::{output, root, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The files of the repository in an archive, in addition to the program, its manual and its completions.
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

/// Writes `allswell-VERSION-TARGET.tar.gz`, which contains one folder of that name.
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
    create_empty(&folder)?;
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
    // The modes in the archive do not depend on the umask of this process.
    tar.args(["--mode=u+rwX,go+rX,go-w"]).arg(format!("--mtime=@{}", release.epoch)).arg("--file").arg(&archive).arg(&name);
    run(&mut tar)?;
    // Without a file name and a time in the gzip header.
    run(Command::new("gzip").args(["--best", "--no-name"]).arg(&archive))
}

/// Copies a file, or a folder and its content.
fn copy_into(from: &Path, to: &Path) -> Result<(), String> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| with_path(folder, &error))?;
        }
        return copy(from, to);
    }
    fs::create_dir_all(to).map_err(|error| with_path(to, &error))?;
    for entry in sorted_entries(from)? {
        copy_into(&entry, &to.join(entry.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The entries of a folder, sorted by name.
fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| with_path(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Writes `SHA256SUMS` for all files of a folder, verifies it as a user would, and returns the files including `SHA256SUMS`.
pub(super) fn write_checksums(published: &Path) -> Result<Vec<PathBuf>, String> {
    let mut paths = sorted_entries(published)?;
    let mut sum = Command::new("sha256sum");
    sum.current_dir(published).arg("--").args(paths.iter().filter_map(|path| path.file_name()));
    let sums = published.join("SHA256SUMS");
    fs::write(&sums, output(&mut sum)?).map_err(|error| with_path(&sums, &error))?;
    run(Command::new("sha256sum").current_dir(published).args(["--check", "--strict", "--quiet", "SHA256SUMS"]))?;
    paths.push(sums);
    Ok(paths)
}
