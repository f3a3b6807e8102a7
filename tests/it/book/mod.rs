//! Pages and program agree: every block of the book, `README.md`, `SECURITY.md` and `checks/README.md` is executed or validated.
//!
//! `docs/contributing.md` describes the conventions.

mod block;
mod foreign;
mod session;
mod transcript;

use crate::helpers::{command, run};
use allswell::{Registry, cli::Arguments};
use block::{Block, blocks};
use clap::Parser;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page.
fn pages() -> Vec<PathBuf> {
    let mut pages =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "checks/README.md"].map(|page| root().join(page)).to_vec();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// Examines every block of a language, and fails with all problems together.
fn each(language: &str, look: impl Fn(&Block) -> Result<(), String>) {
    let mut trouble = Vec::new();
    for page in pages() {
        for block in blocks(&page).iter().filter(|block| block.language == language) {
            trouble.extend(look(block).err().map(|wrong| format!("{}: {}", block.place(), wrong.trim_end())));
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}

#[test]
fn every_code_block_declares_its_language() {
    let mut trouble = Vec::new();
    for block in pages().iter().flat_map(|page| blocks(page)) {
        let known = match (block.language.as_str(), block.attribute.as_str()) {
            ("toml" | "sh" | "console", "" | "ignore") | ("json" | "yaml" | "python" | "rust" | "text", "") => true,
            (_, "") => foreign::stands_in_the_repository(&block.text),
            _ => false,
        };
        if !known {
            trouble.push(format!("{}: no test examines a block of `{},{}`", block.place(), block.language, block.attribute));
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}

#[test]
fn every_configuration_is_valid() {
    each("toml", |block| {
        if block.attribute == "ignore" {
            return block.text.parse::<toml_edit::DocumentMut>().map(drop).map_err(|error| error.to_string());
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("allswell.toml"), &block.text).expect("a file");
        let ran = run(command(&folder).arg("validate").envs(references(&block.text)));
        if ran.code == Some(0) { Ok(()) } else { Err(ran.stderr) }
    });
}

/// The variables that a configuration uses, each with a value that fits: a URL of its kind, a port, a host or a password.
fn references(configuration: &str) -> Vec<(&str, String)> {
    let registry = Registry::builtin();
    let mut references = Vec::new();
    let mut scheme = "http";
    for line in configuration.lines() {
        if let Some(kind) = line.strip_prefix("kind = ").and_then(|kind| registry.get(kind.split('"').nth(1)?)) {
            // A broker of `celery` is not discovered by its scheme.
            scheme = kind.schemes.first().copied().unwrap_or(if kind.name == "celery" { "amqp" } else { "http" });
        }
        for name in line.split("${").skip(1).filter_map(|rest| rest.split('}').next()).filter(|name| !name.contains(":-")) {
            let is_whole = line.contains(&format!("\"${{{name}}}\""));
            let value = match name {
                _ if is_whole && line.starts_with("address") => "example:5432".to_owned(),
                _ if is_whole && name.ends_with("URL") => format!("{scheme}://example"),
                _ if name.contains("PORT") => "5432".to_owned(),
                _ => "example".to_owned(),
            };
            references.push((name, value));
        }
    }
    references
}

#[test]
fn every_json_yaml_and_python_block_parses() {
    each("json", |block| serde_json::from_str::<serde_json::Value>(&block.text).map(drop).map_err(|error| error.to_string()));
    each("yaml", |block| serde_saphyr::from_multiple::<serde_json::Value>(&block.text).map(drop).map_err(|error| error.to_string()));
    each("python", |block| foreign::read_by_python(&block.text));
}

#[test]
fn every_rust_block_compiles() {
    let compiled = foreign::compiled();
    each("rust", |block| {
        let stands = compiled.iter().any(|source| source.contains(block.text.trim_end()));
        stands.then_some(()).ok_or_else(|| "this stands in no file that cargo compiles: include one of examples/ or checks/".to_owned())
    });
}

#[test]
fn every_shell_script_parses() {
    each("sh", |block| foreign::read_by_shell(&block.text));
}

/// Commands that are not executed have at least flags that exist.
#[test]
fn every_command_of_the_book_exists() {
    for language in ["sh", "console"] {
        each(language, |block| {
            let commands = if language == "console" { transcript::commands(&block.text) } else { vec![block.text.clone()] };
            for line in commands.iter().flat_map(|command| command.lines()) {
                for words in foreign::commands_of_ours(line) {
                    if let Err(error) = Arguments::try_parse_from(&words)
                        && error.use_stderr()
                    {
                        return Err(error.to_string());
                    }
                }
            }
            Ok(())
        });
    }
}

/// Scripts succeed and transcripts show what the program prints. Each page has its own session, network and folder.
#[test]
fn every_transcript_of_the_book_prints_what_it_shows() {
    if !session::may_have_own_network() {
        return;
    }
    let pages = pages();
    let unlike: Vec<&PathBuf> = thread::scope(|scope| {
        let sessions: Vec<_> = pages.iter().map(|page| (page, scope.spawn(|| session::of(&blocks(page))))).collect();
        let unlike =
            |(page, session): (_, thread::ScopedJoinHandle<'_, Vec<_>>)| (!session.join().expect("a session").is_empty()).then_some(page);
        sessions.into_iter().filter_map(unlike).collect()
    });
    // Transcripts contain timeouts. If the machine was too busy, a page gets a second try, without the others.
    let trouble: Vec<String> = unlike.into_iter().flat_map(|page| session::of(&blocks(page))).collect();
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}
