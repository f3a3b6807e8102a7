//! `cargo xtask book`: builds the book with mdBook, and checks that its table of contents names every page and that every link has a target.

use crate::{
    links,
    run::{cargo, root, run, say},
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// How cargo installs mdBook: without the features that only its development server needs.
const MDBOOK: &[&str] = &["install", "--locked", "mdbook", "--version", "0.5.4", "--no-default-features", "--features", "search", "--root"];

/// Builds the book into `target/book`. This folder mirrors the repository, so that a page's relative links to other files work there, too.
pub(crate) fn book() -> Result<(), String> {
    let mirror = root().join("target/book");
    let _ = fs::remove_dir_all(&mirror);
    run(Command::new(mdbook()?).arg("build").arg(root().join("docs")))?;
    point_to_pages(&mirror)?;
    let pages = links::with_extension(&root().join("docs"), "md")?;
    let mut problems = missing_from_summary(&pages, &mirror);
    problems.extend(links::of_the_book(&mirror, &root())?);
    let outside = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "checks/README.md"].map(|page| root().join(page));
    problems.extend(links::as_on_a_forge(pages.iter().chain(&outside), &root())?);
    if problems.is_empty() {
        say(&format!("look at {}", mirror.join("index.html").display()));
        return Ok(());
    }
    Err(problems.join("\n"))
}

/// Pages of the repository outside `docs`, and the pages of the book that take their place.
const OUTSIDE: [(&str, &str); 6] = [
    ("index", "docs/index.html"),
    ("README", "docs/index.html"),
    ("SECURITY", "docs/security.html"),
    ("CONTRIBUTING", "docs/contributing.html"),
    ("CHANGELOG", "docs/changelog.html"),
    ("checks/README", "../docs/kinds/README.html"),
];

/// Writes, for each page outside `docs`, a redirect to the page of the book.
fn point_to_pages(mirror: &Path) -> Result<(), String> {
    for (page, home) in OUTSIDE {
        let file = mirror.join(page).with_extension("html");
        let text = format!("<!DOCTYPE html><meta http-equiv=\"refresh\" content=\"0; url={home}\"><a href=\"{home}\">{home}</a>\n");
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
        written.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Pages that `SUMMARY.md` does not name, so that readers of the book cannot find them.
fn missing_from_summary(pages: &[PathBuf], mirror: &Path) -> Vec<String> {
    let built = |page: &&PathBuf| {
        let name = page.file_name().unwrap_or_default();
        let page = mirror.join(page.strip_prefix(root()).unwrap_or(page));
        name == "SUMMARY.md" || page.with_extension("html").exists()
    };
    pages.iter().filter(|page| !built(page)).map(|page| format!("{}: docs/SUMMARY.md does not name this page", page.display())).collect()
}

/// The path of mdBook: of the one in `PATH`, or of our own below `target/tools`, which is installed if it is missing.
fn mdbook() -> Result<PathBuf, String> {
    let places = env::var_os("PATH").unwrap_or_default();
    if let Some(found) = env::split_paths(&places).map(|place| place.join("mdbook")).find(|program| program.is_file()) {
        return Ok(found);
    }
    let tools = root().join("target/tools");
    let program = tools.join("bin/mdbook");
    if !program.is_file() {
        let folder = tools.to_str().ok_or_else(|| io::Error::other("the path of this checkout is no text").to_string())?;
        cargo(&[MDBOOK, &[folder]].concat())?;
    }
    Ok(program)
}
