//! Env files, compared with the readers that applications use.

use crate::{
    helpers::{command, run, write_private},
    servers::reading,
};
use allswell::{
    config::{Environment, Sources, load},
    kinds::Registry,
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// A file as applications have it. Each variable is a form of a line.
const FILE: &str = "# an application's file\r\n\
    A1=1\n\
    export A2=2\n\
    A3='pa$$ # \\n\"'\n\
    A4=\"two words # not a comment\" # a comment\n\
    A5=unquoted # a comment\n\
    A6=#1\n\
    A7=pa#ss\n\
    A8=\"-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\"\n\
    A9=a=b==\n\
    A1=last\n\
    A10=\n\
    A11=\"say \\\"hi\\\" for \\$5\"\n\
    A12='äöü €'\n";

/// Forms that a shell does not accept, or reads otherwise, and dotenv libraries do.
const DOTENV_FILE: &str = "B1 = 1\n\
    spring.datasource.url=x\n\
    my-var=1\n\
    B2=pa$ecret!\n\
    B3=\"a\\nb\"\n\
    B4=two words\n\
    B5={\"k\": \"v\"}\n\
    B6=back\\slash\n\
    B7=don't\n";

/// The value that the program reads for each variable.
fn read_by_us(path: &Path, names: impl Iterator<Item = String>) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let value = |name: String| {
        let configuration = folder.path().join("allswell.toml");
        fs::write(&configuration, format!("[service]\nname = \"${{{name}}}\"\n")).expect("a file");
        let mut environment = Environment::default();
        environment.add_file(path).expect("it reads");
        let loaded = load(&Sources { files: vec![configuration], environment, ..Sources::default() }, &Registry::builtin());
        let loaded = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, loaded.settings.service.name.expect("a name"))
    };
    names.map(value).collect()
}

fn read_by_python(file: &str) -> BTreeMap<String, String> {
    let script = "import dotenv, io, json, sys; \
                  print(json.dumps(dotenv.dotenv_values(stream=io.StringIO(sys.stdin.read()), interpolate=False)))";
    let Value::Object(values) = reading("readers", script, file) else { panic!("a table") };
    let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
    values.into_iter().filter_map(text).collect()
}

fn read_by_bash(path: &Path) -> BTreeMap<String, String> {
    let output = Command::new("/bin/bash").args(["-c", "set -a; . \"$0\"; env -0"]).arg(path).env_clear().output().expect("bash starts");
    let output = String::from_utf8(output.stdout).expect("text");
    let pairs = output.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn an_env_file_has_the_values_that_shells_and_python_dotenv_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(".env");
    // A shell takes the CR for a part of the line.
    fs::write(&path, FILE.replace('\r', "")).expect("a file");
    let names = || (1..=12).map(|number| format!("A{number}"));
    let ours = read_by_us(&path, names());
    let mut by_bash = read_by_bash(&path);
    by_bash.retain(|name, _| ours.contains_key(name));
    assert_eq!(ours, by_bash);
    fs::write(&path, FILE).expect("a file");
    assert_eq!(read_by_us(&path, names()), ours);
    // python-dotenv does not know the escape of `$`.
    let mut by_python = read_by_python(&FILE.replace("\\$5", "$5"));
    by_python.retain(|name, _| ours.contains_key(name));
    assert_eq!(by_python, ours);
}

#[test]
fn an_env_file_of_a_dotenv_library_has_the_values_of_python_dotenv() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(".env");
    let by_python = read_by_python(DOTENV_FILE);
    for content in [DOTENV_FILE.to_owned(), format!("\u{feff}{DOTENV_FILE}"), DOTENV_FILE.replace('\n', "\r\n")] {
        fs::write(&path, content).expect("a file");
        let ours = read_by_us(&path, (1..=7).map(|number| format!("B{number}")));
        for (name, value) in ours {
            assert_eq!(Some(&value), by_python.get(&name), "{name}");
        }
    }
}

#[test]
fn the_file_of_an_application_is_read_and_its_strange_lines_are_warnings() {
    let folder = tempfile::tempdir().expect("a folder");
    write_private(folder.path().join("allswell.toml"), "[service]\nname = \"${NAME}\"\n[checks.x]\nkind = \"memory\"\n");
    let mut content =
        b"\xef\xbb\xbfNAME=orders\r\nspring.datasource.url=x\r\nmy-var=1\r\nHOME\r\n= hunter2\r\nnot a pair hunter2\r\n".to_vec();
    content.extend(b"PASSWORD=hunter2\xe4\r\nKEY='hunter2\r\nNAME=reports\r\n");
    fs::write(folder.path().join(".env"), content).expect("a file");
    let ran = run(command(&folder).args(["validate", "--explain", "--env-file", ".env"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("\"reports\""), "{}", ran.stdout);
    let lines: Vec<_> = ran.stderr.lines().map(|line| line.split(": ").nth(1).unwrap_or_default()).collect();
    assert_eq!(lines, [".env:5:1", ".env:6:1", ".env:7:1", ".env:8:1"], "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    write_private(folder.path().join("allswell.toml"), "[service]\nname = \"${PASSWORD}\"\n[checks.x]\nkind = \"memory\"\n");
    let ran = run(command(&folder).args(["validate", "--env-file", ".env"]));
    assert!(ran.code == Some(2) && ran.stderr.contains("variable PASSWORD is not UTF-8"), "{}", ran.stderr);
}
