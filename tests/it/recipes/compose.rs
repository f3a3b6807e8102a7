//! Docker Compose, validated with the schema of the Compose Specification. Nothing is started: there is no engine here.

use super::{accepted, allswell, deploy, python, read, validator, with};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Command};

fn schema(file: PathBuf) -> Command {
    let mut command = validator("check-jsonschema");
    command.args(["--builtin-schema", "vendor.compose-spec"]).arg(file);
    command
}

#[test]
fn every_key_is_in_the_compose_specification() {
    accepted(&mut schema(deploy("compose/compose.yaml")));
    // A mistake must be found.
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("wrong.yaml");
    fs::write(&file, with(&read("compose/compose.yaml"), &[("start_interval: 1s", "start_intervall: 1s".to_owned())])).expect("a file");
    let output = schema(file).output().expect("it runs");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("start_intervall"), "{output:?}");
}

#[test]
fn its_configuration_is_valid_and_reads_the_variables_of_the_application() {
    let script = "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(sys.stdin.read())))";
    let compose: Value = python(script, &read("compose/compose.yaml"));
    let content = compose["configs"]["allswell"]["content"].as_str().expect("a configuration");
    // Compose replaces every variable, and `$$` by `$`.
    assert_eq!(content.matches('$').count(), 2 * content.matches("$$").count(), "{content}");
    let services = &compose["services"];
    assert_eq!(services["allswell"]["environment"], services["app"]["environment"]);
    let environment = services["app"]["environment"].as_object().expect("variables");
    for variable in environment.keys() {
        assert!(content.contains(&format!("$${{{variable}}}")), "{variable} is read");
    }
    // The values that Compose would set; the password of the database has a default.
    let password = "${DB_PASSWORD:-playground}";
    let value = |value: &Value| value.as_str().expect("a text").replace(password, "playground");
    let environment: Vec<(&str, String)> = environment.iter().map(|(name, given)| (name.as_str(), value(given))).collect();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ran = allswell(&content.replace("$$", "$"), &environment, &[], &["validate"]);
    // The database is on Compose's private network, without TLS. The cache has no password.
    let warning = "warning: allswell.toml:21:1: checks.database.url: the server's certificate is not verified before the login: \
                   write `sslmode=verify-full`\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), warning), "{}", ran.stdout);
    assert_eq!(services["allswell"]["healthcheck"]["test"][0], json!("CMD"), "the image has no shell");
}
