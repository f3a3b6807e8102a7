//! The packages from npm that the tests run, installed by the npm of the virtual environment `runtimes`.

use crate::{
    run::{root, run, say},
    venvs,
};
use std::process::Command;

/// Each package with its version. Its folder below `node_modules` has its name.
const PACKAGES: &[(&str, &str)] = &[("express", "5")];

/// Installs the packages that are missing.
pub(crate) fn install() -> Result<(), String> {
    let folder = root().join("target/test-servers").join(venvs::RUNTIMES);
    let missing = PACKAGES.iter().filter(|(name, _)| !folder.join("node_modules").join(name).exists());
    let missing: Vec<String> = missing.map(|(name, version)| format!("{name}@{version}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("installing packages for the tests from npm: {}", missing.join(", ")));
    let mut npm = Command::new(folder.join("bin/npm"));
    run(npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).args(missing))
}
