//! The packages agree with the program: completions, the manual, the image, and the changelog.

use crate::{
    helpers::{command, run},
    servers::in_venv,
};
use allswell::cli::Arguments;
use clap::{CommandFactory, Parser};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

#[path = "../../examples/manual/pages.rs"]
mod manual;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of all commands.
fn commands() -> Vec<String> {
    Arguments::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn completions_of_every_shell_have_every_command() {
    let directory = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(command(&directory).args(["completions", shell]));
        assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""), "{shell}");
        for name in commands() {
            assert!(script.stdout.contains(&name), "{shell} does not know `{name}`");
        }
    }
}

#[test]
fn bash_completes_commands_and_values() {
    let directory = tempfile::tempdir().expect("a folder");
    let script = run(command(&directory).args(["completions", "bash"])).stdout;
    fs::write(directory.path().join("allswell.bash"), script).expect("a file");
    for (words, expected) in [("allswell ki", "kinds"), ("allswell check --format spr", "spring"), ("allswell completions fi", "fish")] {
        let complete = format!(
            "source ./allswell.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _allswell allswell \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &complete]).current_dir(&directory).output().expect("bash");
        assert_eq!(printed(&output).trim(), expected, "{words}");
    }
}

#[test]
fn the_manual_has_a_valid_page_for_each_command() {
    let directory = tempfile::tempdir().expect("a folder");
    let pages = manual::pages("2026-11-21").expect("every command has its arguments");
    let mut files: Vec<String> = commands().iter().map(|name| format!("allswell-{name}.1")).collect();
    files.insert(0, "allswell.1".to_owned());
    assert_eq!(pages.iter().map(|page| page.file.clone()).collect::<Vec<_>>(), files);
    for page in pages {
        let text = page.text;
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
            assert!(text.contains(&format!(".SH {heading}\n")), "{}: no {heading}", page.file);
        }
        // Old formatters support only ASCII.
        assert!(text.is_ascii(), "{}: {text}", page.file);
        let path = directory.path().join(&page.file);
        fs::write(&path, &text).expect("a file");
        let mandoc = Path::new("/usr/bin/mandoc");
        assert!(mandoc.exists(), "no mandoc; run `cargo xtask servers`");
        let lint = Command::new(mandoc).args(["-T", "lint", "-W", "warning"]).arg(&path).output().expect("mandoc");
        assert!(lint.status.success(), "{}", printed(&lint));
        let shown = Command::new(mandoc).args(["-T", "utf8"]).arg(&path).output().expect("mandoc");
        assert!(printed(&shown).contains("SYNOPSIS") || printed(&shown).contains("S\u{8}SY\u{8}Y"), "{}", printed(&shown));
    }
}

/// The instructions of the last stage of a Dockerfile.
fn image() -> BTreeMap<String, String> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let instructions = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    instructions.fold(BTreeMap::new(), |mut stage, (name, rest)| {
        if name == "FROM" {
            stage.clear();
        }
        stage.insert(name.to_owned(), rest.trim().to_owned());
        stage
    })
}

/// A command in the form of a JSON array.
fn words(array: &str) -> Vec<String> {
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{array}: {error}"))
}

#[test]
fn the_image_agrees_with_the_program() {
    let image = image();
    assert_eq!(image["FROM"], "scratch");
    let (user, group) = image["USER"].split_once(':').expect("a user and a group");
    assert!([user, group].iter().all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "scratch has no user names, and the user is not root");
    let port = image["EXPOSE"].as_str();
    assert!(read("config/allswell.toml").contains(&format!("listen = \"0.0.0.0:{port}\"")), "the default is another port than {port}");
    // The timeout of the request is shorter than Docker's timeout of the health check.
    let (options, check) = image["HEALTHCHECK"].split_once(" CMD ").expect("a command");
    assert!(options.contains("--timeout=3s"), "{options}");
    assert_eq!(words(check), ["allswell", "get", "--timeout", "2s"]);
    let started = [words(&image["ENTRYPOINT"]), words(&image["CMD"])].concat();
    for arguments in [words(check), started] {
        assert!(Arguments::try_parse_from(&arguments).is_ok(), "{arguments:?}");
    }
    let text = read("deploy/Dockerfile");
    let version =
        read("Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ").map(|it| it.trim_matches('"').to_owned()));
    assert!(
        text.contains(&format!("FROM rust:{}-alpine ", version.expect("a version"))),
        "built by another Rust than the oldest that will do"
    );
    assert!(text.contains(&format!("/image{}/ ", image["ENV"].strip_prefix("PATH=").expect("a path"))), "the program is not in PATH");
}

#[test]
fn compose_agrees_with_the_program() {
    let compose = read("docker-compose.yml");
    let service = compose.split("\n  allswell:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the service");
    let value = |key: &str| service.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_else(|| panic!("no {key}")).trim();
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(value("dockerfile:")).exists());
    let mut started = words(value("command:"));
    started.insert(0, "allswell".to_owned());
    let checked = words(value("test:")).split_off(1);
    assert!(started.contains(&"/etc/allswell/allswell.toml".to_owned()), "{started:?}");
    for arguments in [started, checked] {
        assert!(Arguments::try_parse_from(&arguments).is_ok(), "{arguments:?}");
    }
    assert!(service.contains("- ./config/examples/compose.toml:/etc/allswell/allswell.toml:ro"));
}

#[test]
fn hadolint_accepts_our_dockerfile() {
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/Dockerfile");
    let output = Command::new(in_venv("hadolint", "hadolint")).arg("--no-color").arg(dockerfile).output().expect("hadolint");
    assert!(output.status.success(), "{}", printed(&output));
}

/// The headings of Keep a Changelog 1.1.0, in its order.
const CHANGES: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// The faults in the format of a changelog.
fn misshapen(changelog: &str) -> Option<String> {
    let Some((head, rest)) = changelog.split_once("\n## ") else { return Some("no version".to_owned()) };
    if !head.starts_with("# Changelog\n") || !head.contains("https://keepachangelog.com/en/1.1.0/") {
        return Some("wrong beginning".to_owned());
    }
    for (index, version) in rest.split("\n## ").enumerate() {
        let (title, changes) = version.split_once('\n').unwrap_or((version, ""));
        let date = title.strip_prefix('[').and_then(|title| title.split_once("] - ")).map(|(_, date)| date.split('-').map(str::len));
        match (index, title) {
            (0, "[Unreleased]") => {}
            (1.., _) if date.is_some_and(|parts| parts.eq([4, 2, 2])) => {}
            _ => return Some(format!("`## {title}`")),
        }
        let mut before = None;
        for change in changes.split("\n### ").skip(1) {
            let (heading, entries) = change.split_once('\n').unwrap_or((change, ""));
            let place = CHANGES.iter().position(|known| *known == heading);
            if place.is_none() || place <= before || !entries.contains("\n- ") {
                return Some(format!("`### {heading}` of `## {title}`"));
            }
            before = place;
        }
    }
    None
}

#[test]
fn the_changelog_keeps_its_format() {
    let changelog = read("CHANGELOG.md");
    assert_eq!(misshapen(&changelog), None);
    assert_eq!(misshapen(&changelog.replace("### Added", "### Novelties")), Some("`### Novelties` of `## [Unreleased]`".to_owned()));
    let released = changelog.replacen("## [Unreleased]\n", "## [Unreleased]\n\n## [0.1.0] - yesterday\n", 1);
    assert_eq!(misshapen(&released), Some("`## [0.1.0] - yesterday`".to_owned()));
}
