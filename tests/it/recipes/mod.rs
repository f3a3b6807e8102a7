//! The recipes of `deploy/`, each validated by its platform's own tool, and executed if its platform can be installed. The tests change only ports,
//! addresses and long times in the files.

mod aws;
mod beanstalk;
mod compose;
mod haproxy;
mod kubernetes;
mod machine;
mod monitoring;
mod proxies;
mod terraform;

use crate::{
    helpers::{Ran, command, run, write_private},
    servers::{Certificates, Server, in_venv, postgres, reading, redis},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The environment of an application on some platform.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("APP_HOST", "www.example.com"),
    ("APP_NAME", "orders"),
    ("APP_URL", "http://127.0.0.1:8000/"),
    ("DATABASE_URL", "postgres://orders:playground@db.internal/orders?sslmode=verify-full"),
    ("POD_NAME", "orders-5d8f-x2x"),
    ("RDS_DB_NAME", "ebdb"),
    ("RDS_HOSTNAME", "db.internal"),
    ("RDS_PASSWORD", "playground"),
    ("RDS_USERNAME", "orders"),
    ("REDIS_URL", "rediss://cache.internal:6379/0"),
];

const PASSWORD: &str = "playground";

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy(name)).unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

/// All files below `deploy/` that `is` accepts.
fn files(is: impl Fn(&Path) -> bool + Copy) -> Vec<PathBuf> {
    fn below(folder: &Path, is: impl Fn(&Path) -> bool + Copy, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, is, found);
            } else if is(&path) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(&deploy(""), is, &mut found);
    assert!(!found.is_empty(), "there are such files");
    found
}

/// A recipe with replaced texts, such as addresses. It must contain every text.
fn with(text: &str, replacements: &[(&str, String)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no `{from}` in\n{text}");
        text.replace(from, to)
    })
}

/// The text between two lines.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("there is no `{before}`"));
    rest.split_once(after).unwrap_or_else(|| panic!("there is no `{after}` behind `{before}`")).0
}

/// Runs a validator, which must succeed, and returns its output.
fn accepted(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}; run `cargo xtask servers`"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// Runs a Python script with the packages of the validators and a text as its input, and returns the JSON that it prints.
fn python(script: &str, text: &str) -> Value {
    reading("recipes", script, text)
}

fn validator(name: &str) -> Command {
    Command::new(in_venv("recipes", name))
}

/// Runs allswell with arguments, a configuration, if it is not empty, and an environment.
fn allswell(configuration: &str, environment: &[(&str, &str)], files: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let directory = tempfile::tempdir().expect("a folder");
    let configuration = [("allswell.toml", configuration)];
    for (name, text) in configuration.iter().filter(|(_, text)| !text.is_empty()).chain(files) {
        write_private(directory.path().join(name), text);
    }
    run(command(&directory).args(arguments).envs(environment.iter().copied()))
}

/// The bundle of RDS's authorities, which the recipe for Elastic Beanstalk downloads.
const RDS_BUNDLE: &str = "/etc/pki/rds/global-bundle.pem";

/// `validate` must accept the configuration without a warning, on a machine that has the files which its recipe downloads.
fn assert_valid(what: &str, configuration: &str, environment: &[(&str, &str)]) {
    let configuration = configuration.replace(RDS_BUNDLE, "downloaded.pem");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = fs::read_to_string(Certificates::new(folder.path()).authority).expect("a certificate");
    let ran = allswell(&configuration, environment, &[("downloaded.pem", &authority)], &["validate"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{what}: {}", ran.stdout);
}

/// The advice of the doctor for a target group in the format of AWS, with a configuration; there must be no contradiction.
fn advised(configuration: &str, environment: &[(&str, &str)], group: &Value) -> Value {
    let groups = json!({ "TargetGroups": [group] }).to_string();
    let ran = allswell(configuration, environment, &[("group.json", &groups)], &["doctor", "--alb-json", "group.json", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{report:#}");
    let advice = report["target_groups"][0].clone();
    assert!(advice["recovery_ms"].is_u64(), "allswell's own configuration counts: {report:#}");
    advice
}

/// The codes of the doctor's findings.
fn remarks(advice: &Value) -> Vec<&str> {
    advice["findings"].as_array().expect("findings").iter().filter_map(|finding| finding["code"].as_str()).collect()
}

/// The database and the cache of an application, and its variables.
struct Dependencies {
    database: Server,
    cache: Server,
}

impl Dependencies {
    fn start() -> Self {
        Self { database: postgres(PASSWORD), cache: redis(PASSWORD) }
    }

    fn database_url(&self) -> String {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{}/orders", self.database.port)
    }

    fn redis_url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.cache.port)
    }
}

#[test]
fn every_configuration_of_a_recipe_is_valid() {
    for file in files(|path| path.ends_with("allswell.toml")) {
        let text = fs::read_to_string(&file).expect("a file");
        assert_valid(&file.display().to_string(), &text, ENVIRONMENT);
    }
}
