//! What may be in the dependency graph, judged by cargo-deny.

use crate::{run::say, tools};

/// Checks bans, licenses and sources, and the advisories where their database can be reached: not every machine reaches it.
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
/// What is advised against, and that the advisories could not be checked.
pub(crate) fn advisories() -> Result<(), String> {
    required(fetch(), check)
}

fn required(fetched: Result<(), String>, check: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    fetched.map_err(|message| format!("{message}: no release without advisories, or else by `cargo xtask dist --without-advisories`"))?;
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
    fn a_release_needs_advisories_that_were_checked() {
        let unreachable = required(Err("no network".to_owned()), || Ok(())).expect_err("they were not checked");
        assert!(unreachable.contains("no network") && unreachable.contains("--without-advisories"), "{unreachable}");
        assert_eq!(required(Ok(()), || Err("a crate is vulnerable".to_owned())), Err("a crate is vulnerable".to_owned()));
        assert_eq!(required(Ok(()), || Ok(())), Ok(()));
    }
}
