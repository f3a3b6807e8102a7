//! Builds a release in `target/dist`: static binaries in archives, Debian packages, bills of materials and checksums. Nothing is uploaded.

mod archive;
mod debian;
mod notices;
mod release;
mod sbom;
mod staged;
mod targets;

use crate::run::{root, say};
use release::Release;
use std::{fs, io, path::Path};

/// The largest binary that a release may contain: 25 MiB.
const MAX_BINARY_BYTES: u64 = 25 << 20;

/// Builds a release for every target that this machine can build; with `snapshot`, from the working tree as it is.
///
/// # Errors
///
/// A step failed, or a result breaks a rule of releases: size, static linking, changelog, uncommitted changes.
pub(crate) fn dist(snapshot: bool) -> Result<(), String> {
    let release = if snapshot { Release::snapshot()? } else { Release::from_changelog()? };
    let targets = targets::buildable()?;
    // Cargo builds below `target/static`, because its default folder for the profile `dist` is this one.
    let published = root().join("target/dist");
    create_empty(&published)?;
    let parts = staged::write_documents(&release)?;
    let mut sizes = Vec::new();
    for target in &targets {
        let binary = targets::build(target, &release)?;
        let size = fs::metadata(&binary).map_err(|error| with_path(&binary, &error))?.len();
        if size > MAX_BINARY_BYTES {
            return Err(format!("{} has {}, the limit is {}", binary.display(), mebibytes(size), mebibytes(MAX_BINARY_BYTES)));
        }
        sizes.push((format!("allswell for {}", target.triple), size));
        let notices = notices::write(target)?;
        archive::pack(target, &release, &binary, &notices, &parts, &published)?;
        debian::package(target, &release, &binary, &notices, &published)?;
        sbom::write(target, &release, &published)?;
    }
    for entry in archive::write_checksums(&published)? {
        let size = fs::metadata(&entry).map_err(|error| with_path(&entry, &error))?.len();
        sizes.push((entry.file_name().unwrap_or_default().to_string_lossy().into_owned(), size));
    }
    say(&format!("\n{} is in target/dist:", release.label));
    for (name, size) in sizes {
        say(&format!("{:>10}  {name}", mebibytes(size)));
    }
    Ok(())
}

/// Creates a folder, and deletes what was in it.
fn create_empty(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(with_path(folder, &error)),
        _ => fs::create_dir_all(folder).map_err(|error| with_path(folder, &error)),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

/// An error message that names the file.
fn with_path(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// A size with two decimals, rounded down.
fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes * 100 / (1 << 20);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}
