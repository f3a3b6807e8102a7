//! What is published: static binaries in archives, Debian packages, bills of materials and checksums, all in `target/dist`.

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

/// No binary may be larger: 25 MiB.
const LARGEST: u64 = 25 << 20;

/// Makes all of it for every target that this machine can build; a snapshot of whatever is there, or else a release.
pub(crate) fn dist(snapshot: bool) -> Result<(), String> {
    let release = if snapshot { Release::snapshot()? } else { Release::of_changelog()? };
    let targets = targets::possible()?;
    // Cargo builds below `target/static`: its own folder for the profile `dist` would be this one.
    let published = root().join("target/dist");
    emptied(&published)?;
    let parts = staged::documents(&release)?;
    let mut sizes = Vec::new();
    for target in &targets {
        let binary = targets::build(target, &release)?;
        let size = fs::metadata(&binary).map_err(|error| named(&binary, &error))?.len();
        if size > LARGEST {
            return Err(format!("{} has {}, and no binary may have more than {}", binary.display(), mebibytes(size), mebibytes(LARGEST)));
        }
        sizes.push((format!("allswell for {}", target.triple), size));
        let notices = notices::write(target)?;
        archive::pack(target, &release, &binary, &notices, &parts, &published)?;
        debian::package(target, &release, &binary, &notices, &published)?;
        sbom::write(target, &release, &published)?;
    }
    for entry in archive::sum_up(&published)? {
        let size = fs::metadata(&entry).map_err(|error| named(&entry, &error))?.len();
        sizes.push((entry.file_name().unwrap_or_default().to_string_lossy().into_owned(), size));
    }
    say(&format!("\n{} is in target/dist:", release.label));
    for (what, size) in sizes {
        say(&format!("{:>10}  {what}", mebibytes(size)));
    }
    Ok(())
}

/// A folder with nothing in it.
fn emptied(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(folder, &error)),
        _ => fs::create_dir_all(folder).map_err(|error| named(folder, &error)),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

/// An error with the file that it is about.
fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// In hundredths, without the doubts of floating point.
fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes * 100 / (1 << 20);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}
