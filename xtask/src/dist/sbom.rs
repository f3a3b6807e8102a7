//! The bill of materials: every crate that is in a binary, in the form of `CycloneDX`, verified by its own schema.

use super::{named, release::Release, targets::Target};
use crate::{
    run::{root, run},
    tools, venvs,
};
use std::{fs, path::Path, process::Command};

/// The newest form that cargo-cyclonedx writes.
const VERSION: &str = "1.5";

/// Fails when the file is not as the schema says.
const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
path, version = sys.argv[1:]
error = JsonStrictValidator(SchemaVersion.from_version(version)).validate_str(open(path).read())
sys.exit(f'{path}: {error}' if error else 0)
";

/// `allswell-VERSION-TARGET.cdx.json`
pub(super) fn write(target: &Target, release: &Release, published: &Path) -> Result<(), String> {
    tools::cargo("cargo-cyclonedx")?;
    let name = format!("allswell-{}-{}.cdx", release.label, target.triple);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env("SOURCE_DATE_EPOCH", &release.epoch).args(["cyclonedx", "--quiet", "--format", "json"]);
    run(cargo.args(["--spec-version", VERSION, "--no-build-deps", "--target", &target.triple, "--override-filename", &name]))?;
    // It writes one beside each Cargo.toml of the workspace; allswell's has the others' in it.
    let file = format!("{name}.json");
    let bill = published.join(&file);
    let written = root().join(&file);
    let text = fs::read_to_string(&written).map_err(|error| named(&written, &error))?;
    // It names our own crates by where they lie on this machine.
    let here = format!("path+file://{}", root().display());
    fs::write(&bill, text.replace(&here, "path+file:///allswell")).map_err(|error| named(&bill, &error))?;
    for folder in [".", "checks", "xtask"] {
        let path = root().join(folder).join(&file);
        fs::remove_file(&path).map_err(|error| named(&path, &error))?;
    }
    let python = venvs::python("cyclonedx", &["cyclonedx-python-lib[json-validation]==11.*"])?;
    run(Command::new(python).args(["-c", VALIDATE]).arg(&bill).arg(VERSION))
}
