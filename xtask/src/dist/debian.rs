//! Builds the Debian package with cargo-deb. `[package.metadata.deb]` in Cargo.toml lists its files.

use super::{copy, create_empty, release::Release, staged, targets::Target, with_path};
use crate::{
    run::{output, root, run},
    tools,
};
use std::{fs, path::Path, process::Command};

/// Writes `allswell_VERSION_ARCHITECTURE.deb`.
pub(super) fn package(target: &Target, release: &Release, binary: &Path, notices: &Path, published: &Path) -> Result<(), String> {
    tools::ensure_installed("cargo-deb")?;
    let folder = staged::folder().join("debian");
    create_empty(&folder)?;
    copy(binary, &folder.join("allswell"))?;
    copy(notices, &folder.join("THIRD-PARTY.txt"))?;
    let changelog = folder.join("changelog");
    fs::write(&changelog, changelog_text(release)?).map_err(|error| with_path(&changelog, &error))?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env("SOURCE_DATE_EPOCH", &release.epoch).args(["deb", "--package", "allswell", "--no-build", "--no-strip"]);
    cargo.args(["--locked", "--target", &target.triple, "--deb-version", &release.debian, "--output"]);
    run(cargo.arg(published.join(format!("allswell_{}_{}.deb", release.debian, architecture(target)?))))
}

/// Debian's name of the target's processor architecture.
fn architecture(target: &Target) -> Result<&'static str, String> {
    match target.triple.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => Err(format!("{}: Debian's name of this architecture is not known: add it to xtask/src/dist/debian.rs", target.triple)),
    }
}

/// A changelog in Debian's format, whose only entry refers to ours.
fn changelog_text(release: &Release) -> Result<String, String> {
    let date = output(Command::new("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{}", release.epoch)))?;
    Ok(format!(
        "allswell ({}) unstable; urgency=medium\n\n  * See /usr/share/doc/allswell/changelog.gz.\n\n -- {}  {}",
        release.debian,
        maintainer()?,
        date
    ))
}

/// The maintainer that Cargo.toml names.
fn maintainer() -> Result<String, String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).map_err(|error| format!("Cargo.toml: {error}"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("maintainer = "));
    line.map(|name| name.trim_matches('"').to_owned())
        .ok_or_else(|| "Cargo.toml has no `maintainer` in [package.metadata.deb]: add one".to_owned())
}
