//! Writes the bill of materials: all crates in a binary, in `CycloneDX` format, validated against its schema.

use super::{release::Release, targets::Target, with_path};
use crate::{
    run::{root, run},
    tools, venvs,
};
use std::{fs, path::Path, process::Command};

/// The newest version of the specification that cargo-cyclonedx can write.
const SPEC_VERSION: &str = "1.5";

/// A program that fails if the file violates the schema. Its arguments are the file and the version of the specification.
const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
path, version = sys.argv[1:]
error = JsonStrictValidator(SchemaVersion.from_version(version)).validate_str(open(path).read())
sys.exit(f'{path}: {error}' if error else 0)
";

/// Writes `allswell-VERSION-TARGET.cdx.json`.
pub(super) fn write(target: &Target, release: &Release, published: &Path) -> Result<(), String> {
    tools::ensure_installed("cargo-cyclonedx")?;
    let name = format!("allswell-{}-{}.cdx", release.label, target.triple);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).env("SOURCE_DATE_EPOCH", &release.epoch).args(["cyclonedx", "--quiet", "--format", "json"]);
    run(cargo.args(["--spec-version", SPEC_VERSION, "--no-build-deps", "--target", &target.triple, "--override-filename", &name]))?;
    // It writes a file next to each Cargo.toml of the workspace. The file of allswell includes the other crates.
    let file = format!("{name}.json");
    let bill = published.join(&file);
    let written = root().join(&file);
    let text = fs::read_to_string(&written).map_err(|error| with_path(&written, &error))?;
    // The identifiers of our own crates contain the path of this checkout.
    let here = format!("path+file://{}", root().display());
    fs::write(&bill, text.replace(&here, "path+file:///allswell")).map_err(|error| with_path(&bill, &error))?;
    for folder in [".", "checks", "xtask"] {
        let path = root().join(folder).join(&file);
        fs::remove_file(&path).map_err(|error| with_path(&path, &error))?;
    }
    let python = venvs::python("cyclonedx", &["cyclonedx-python-lib[json-validation]==11.*"])?;
    run(Command::new(python).args(["-c", VALIDATE]).arg(&bill).arg(SPEC_VERSION))
}
