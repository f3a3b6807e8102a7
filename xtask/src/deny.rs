//! Checks the dependency graph with cargo-deny: banned crates, licences, sources and security advisories.

use crate::{run::say, tools};

/// Checks bans, licences and sources; and the advisories, if their database can be fetched. Otherwise a line says that they were not checked.
pub(crate) fn deny() -> Result<(), String> {
    tools::deny(&["check", "bans", "licenses", "sources"])?;
    match fetch() {
        Ok(()) => check(),
        Err(message) => {
            say(&format!("{message}: advisories are NOT checked"));
            Ok(())
        }
    }
}

/// Checks the advisories before a release.
///
/// # Errors
///
/// An advisory applies to a dependency, or the advisories could not be fetched.
pub(crate) fn advisories() -> Result<(), String> {
    required(fetch(), check)
}

fn required(fetched: Result<(), String>, check: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    fetched.map_err(|message| {
        format!("{message}: a release needs checked advisories; to release without them, run `cargo xtask dist --without-advisories`")
    })?;
    check()
}

fn fetch() -> Result<(), String> {
    tools::deny(&["fetch", "db"]).map_err(|message| format!("the advisory database cannot be fetched ({message})"))
}

fn check() -> Result<(), String> {
    tools::deny(&["check", "advisories"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_fails_if_the_advisories_cannot_be_fetched_or_one_applies() {
        let unreachable = required(Err("no network".to_owned()), || Ok(())).expect_err("they were not checked");
        assert!(unreachable.contains("no network") && unreachable.contains("--without-advisories"), "{unreachable}");
        assert_eq!(required(Ok(()), || Err("a crate is vulnerable".to_owned())), Err("a crate is vulnerable".to_owned()));
        assert_eq!(required(Ok(()), || Ok(())), Ok(()));
    }
}
