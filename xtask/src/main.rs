//! The developer commands: `cargo xtask test|servers|generate|new-kind|book|bench|chaos|deny|dist|pages`. `cargo xtask` alone prints what each does. Never
//! shipped.

mod bench;
mod book;
mod chaos;
mod deny;
mod dist;
mod generate;
mod includes;
mod links;
mod new_kind;
mod node;
mod pages;
mod run;
mod servers;
mod tools;
mod venvs;

use std::{env, process::ExitCode};

const HELP: &str = "\
cargo xtask COMMAND

  test [ARG…]        install missing servers, then run every test; ARGs go to cargo test
  servers            install missing servers
  generate           write the generated files
  generate --check   fail if a generated file is out of date
  new-kind NAME      create the skeleton of a new kind of check
  bench [PART…]      compare with a control, and write docs/performance.md (about 25 minutes); with PARTs, measure only these and write nothing
  bench --write      write docs/performance.md from the last measurements
  book               build the book into target/book, and check every link
  chaos              cause every fault a hundred times, and write docs/reliability.md (about 100 minutes)
  chaos --write      write docs/reliability.md from the last measurements
  deny               check the dependency graph, and advisories if their database can be fetched
  dist               build the release of this version in target/dist: static binaries, packages, checksums, bills of materials
  dist --snapshot    the same from the working tree: for inspection, not for publication
  dist --without-advisories
                     build the release without checking the advisories
  pages              take screenshots of the status page
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["servers"] => servers::install(),
        ["bench", "--write"] => bench::write(),
        ["bench", parts @ ..] => bench::bench(parts),
        ["book"] => book::book(),
        ["chaos", "--write"] => chaos::write(),
        ["chaos"] => servers::install().and_then(|()| chaos::chaos()),
        ["pages"] => servers::install().and_then(|()| pages::pictures()),
        ["deny"] => deny::deny(),
        ["dist"] => deny::advisories().and_then(|()| dist::dist(false)),
        ["dist", "--without-advisories"] => dist::dist(false),
        ["dist", "--snapshot"] => dist::dist(true),
        ["generate"] => generate::write(),
        ["generate", "--check"] => generate::check(),
        ["new-kind", name] => new_kind::create(name),
        _ => Err(HELP.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            run::say(&message);
            ExitCode::FAILURE
        }
    }
}

fn test(arguments: &[&str]) -> Result<(), String> {
    servers::install()?;
    let mut command = vec!["test", "--workspace"];
    command.extend(arguments);
    if arguments.contains(&"--") {
        return run::cargo(&command);
    }
    // Attacks measure the latency of polls, which other tests would increase: they run alone.
    run::cargo(&[&command[..], &["--", "--skip", ATTACKS]].concat())?;
    // For the same packages: a different selection would rebuild most dependencies with different features.
    let mut alone = vec!["test", "--workspace", "--test", "it"];
    alone.extend(arguments);
    run::cargo(&[&alone[..], &["--", ATTACKS, "--test-threads=1"]].concat())
}

/// The module of the tests that attack the service.
const ATTACKS: &str = "attacks::";
