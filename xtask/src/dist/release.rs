//! The version to release, and the conditions for releasing it.

use crate::{
    run::{output, root, say},
    tools,
};
use std::{fs, process::Command};

/// A version to release.
pub(super) struct Release {
    /// The version in file names: `0.1.0`, or `0.1.0-snapshot`.
    pub(super) label: String,
    /// The version of the Debian package; Debian sorts a snapshot before its release.
    pub(super) debian: String,
    /// The modification time of all packaged files, in seconds since the Unix epoch, so that the same sources give the same bytes.
    pub(super) epoch: String,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Release {
    /// The version of Cargo.toml.
    ///
    /// # Errors
    ///
    /// CHANGELOG.md has no section for the version, or there are uncommitted changes.
    pub(super) fn from_changelog() -> Result<Self, String> {
        let changelog = fs::read_to_string(root().join("CHANGELOG.md")).map_err(|error| format!("CHANGELOG.md: {error}"))?;
        if !changelog.lines().any(|line| line.starts_with(&format!("## [{VERSION}] - "))) {
            return Err(format!(
                "CHANGELOG.md has no section for {VERSION}, the version in Cargo.toml: rename [Unreleased] to `## [{VERSION}] - YYYY-MM-DD`, \
                 or run `cargo xtask dist --snapshot`"
            ));
        }
        let changes = uncommitted_changes()?;
        if !changes.is_empty() {
            return Err(format!("a release contains only committed files: commit or remove these changes:\n{changes}"));
        }
        Ok(Self { label: VERSION.to_owned(), debian: format!("{VERSION}-1"), epoch: epoch()? })
    }

    /// The working tree as it is: for inspection, not for publication.
    pub(super) fn snapshot() -> Result<Self, String> {
        say("this is a snapshot: for inspection, not for publication");
        if !uncommitted_changes()?.is_empty() {
            say("warning: the snapshot contains uncommitted changes");
        }
        Ok(Self { label: format!("{VERSION}-snapshot"), debian: format!("{VERSION}~snapshot-1"), epoch: epoch()? })
    }
}

fn uncommitted_changes() -> Result<String, String> {
    output(Command::new("git").current_dir(root()).args(["status", "--porcelain"]))
}

/// `SOURCE_DATE_EPOCH`, or the time of the last commit.
fn epoch() -> Result<String, String> {
    match tools::variable("SOURCE_DATE_EPOCH") {
        Some(epoch) if epoch.parse::<u64>().is_ok() => Ok(epoch),
        Some(other) => Err(format!("SOURCE_DATE_EPOCH: expected seconds, found `{other}`")),
        None => output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%ct"])).map(|time| time.trim().to_owned()),
    }
}
