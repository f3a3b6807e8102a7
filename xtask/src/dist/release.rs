//! Which version is published, and whether it may be.

use crate::{
    run::{output, root, say},
    tools,
};
use std::{fs, process::Command};

/// What is published.
pub(super) struct Release {
    /// In the names of files: `0.1.0`, or `0.1.0-snapshot`.
    pub(super) label: String,
    /// As Debian compares versions: a snapshot comes before its release.
    pub(super) debian: String,
    /// The seconds of the Unix epoch that every file in a package bears, so that the same sources make the same bytes.
    pub(super) epoch: String,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Release {
    /// The version of Cargo.toml, which CHANGELOG.md must tell of and nothing uncommitted may be in.
    pub(super) fn of_changelog() -> Result<Self, String> {
        let changelog = fs::read_to_string(root().join("CHANGELOG.md")).map_err(|error| format!("CHANGELOG.md: {error}"))?;
        if !changelog.lines().any(|line| line.starts_with(&format!("## [{VERSION}] - "))) {
            return Err(format!(
                "CHANGELOG.md has no section for {VERSION}, the version in Cargo.toml: make it of [Unreleased] as `## [{VERSION}] - YYYY-MM-DD`, \
                 or try `cargo xtask dist --snapshot`"
            ));
        }
        let changed = changed()?;
        if !changed.is_empty() {
            return Err(format!("a release is made of what is committed, and these are not:\n{changed}"));
        }
        Ok(Self { label: VERSION.to_owned(), debian: format!("{VERSION}-1"), epoch: epoch()? })
    }

    /// What is there, whatever it is: to look at, and not to publish.
    pub(super) fn snapshot() -> Result<Self, String> {
        say("a snapshot: to look at, and not to publish");
        if !changed()?.is_empty() {
            say("warning: it holds what is not committed");
        }
        Ok(Self { label: format!("{VERSION}-snapshot"), debian: format!("{VERSION}~snapshot-1"), epoch: epoch()? })
    }
}

fn changed() -> Result<String, String> {
    output(Command::new("git").current_dir(root()).args(["status", "--porcelain"]))
}

/// `SOURCE_DATE_EPOCH`, or when the last commit was made.
fn epoch() -> Result<String, String> {
    match tools::variable("SOURCE_DATE_EPOCH") {
        Some(epoch) if epoch.parse::<u64>().is_ok() => Ok(epoch),
        Some(other) => Err(format!("SOURCE_DATE_EPOCH: expected seconds, found `{other}`")),
        None => output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%ct"])).map(|time| time.trim().to_owned()),
    }
}
