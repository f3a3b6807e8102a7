//! The Debian package: `[package.metadata.deb]` in Cargo.toml tells what is in it, and cargo-deb makes it.

use super::{copy, emptied, named, release::Release, staged, targets::Target};
use crate::{
    run::{output, root, run},
    tools,
};
use std::{fs, path::Path, process::Command};

/// `allswell_VERSION_ARCHITECTURE.deb`
pub(super) fn package(target: &Target, release: &Release, binary: &Path, notices: &Path, published: &Path) -> Result<(), String> {
    tools::cargo("cargo-deb")?;
    let folder = staged::folder().join("debian");
    emptied(&folder)?;
    copy(binary, &folder.join("allswell"))?;
    copy(notices, &folder.join("THIRD-PARTY.txt"))?;
    let changelog = folder.join("changelog");
    fs::write(&changelog, written(release)?).map_err(|error| named(&changelog, &error))?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env("SOURCE_DATE_EPOCH", &release.epoch).args(["deb", "--package", "allswell", "--no-build", "--no-strip"]);
    cargo.args(["--locked", "--target", &target.triple, "--deb-version", &release.debian, "--output"]);
    run(cargo.arg(published.join(format!("allswell_{}_{}.deb", release.debian, architecture(target)?))))
}

/// As Debian names it.
fn architecture(target: &Target) -> Result<&'static str, String> {
    match target.triple.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => Err(format!("this does not know how Debian names the processor of {}", target.triple)),
    }
}

/// Debian's own form of a changelog, with one entry that leads to ours.
fn written(release: &Release) -> Result<String, String> {
    let date = output(Command::new("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{}", release.epoch)))?;
    Ok(format!(
        "allswell ({}) unstable; urgency=medium\n\n  * See /usr/share/doc/allswell/changelog.gz.\n\n -- {}  {}",
        release.debian,
        maintainer()?,
        date
    ))
}

/// Who is named in Cargo.toml.
fn maintainer() -> Result<String, String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).map_err(|error| format!("Cargo.toml: {error}"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("maintainer = "));
    line.map(|name| name.trim_matches('"').to_owned()).ok_or_else(|| "Cargo.toml names no maintainer in [package.metadata.deb]".to_owned())
}
