//! The developers' commands: `cargo xtask test|servers|generate|new-kind|book|bench|chaos|deny|dist|pages`. Never shipped.

mod bench;
mod book;
mod chaos;
mod deny;
mod dist;
mod generate;
mod includes;
mod links;
mod new_kind;
mod pages;
mod run;
mod servers;
mod tools;
mod venvs;

use std::{env, process::ExitCode};

const HELP: &str = "\
cargo xtask COMMAND

  test [ARG…]        install what servers are missing, then run every test; ARGs go to cargo test
  servers            install what servers are missing
  generate           write the generated files
  generate --check   fail when a generated file is out of date
  new-kind NAME      create the skeleton of a new kind of check
  bench [PART…]      compare with a control, and write docs/performance.md: about 25 minutes; PARTs are measured alone
  bench --write      write docs/performance.md of what was measured last
  book               build the book into target/book, and check every link
  chaos              meet every fault a hundred times, and write docs/reliability.md: about 100 minutes
  chaos --write      write docs/reliability.md of what was measured last
  deny               check the dependency graph; advisories as well, where their database can be reached
  dist               make the release of this version in target/dist: static binaries, packages, checksums, bills of materials
  dist --snapshot    the same of whatever is there: to look at, and not to publish
  dist --without-advisories
                     make the release although nobody checked the advisories
  pages              take pictures of the status page
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
    // Attacks measure how late polls are, which other tests would make later: they run alone.
    run::cargo(&[&command[..], &["--", "--skip", ATTACKS]].concat())?;
    // Of the same packages: with others, most dependencies would be built again with other features.
    let mut alone = vec!["test", "--workspace", "--test", "it"];
    alone.extend(arguments);
    run::cargo(&[&alone[..], &["--", ATTACKS, "--test-threads=1"]].concat())
}

/// The prefix of the tests that attack.
const ATTACKS: &str = "attacks::";
