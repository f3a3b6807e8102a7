//! The book: built by mdBook, every page of it in the table of contents, and its links checked.

use crate::{
    links,
    run::{cargo, root, run, say},
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Who builds it, without what only its own server needs.
const MDBOOK: &[&str] = &["install", "--locked", "mdbook", "--version", "0.5.4", "--no-default-features", "--features", "search", "--root"];

/// Builds the book into `target/book`, which mirrors the repository: what a page links to lies there as it does here.
pub(crate) fn book() -> Result<(), String> {
    let mirror = root().join("target/book");
    let _ = fs::remove_dir_all(&mirror);
    run(Command::new(mdbook()?).arg("build").arg(root().join("docs")))?;
    point_to_pages(&mirror)?;
    let pages = links::with_extension(&root().join("docs"), "md")?;
    let mut trouble = forgotten(&pages, &mirror);
    trouble.extend(links::of_the_book(&mirror, &root())?);
    let alone = ["README.md", "SECURITY.md", "CHANGELOG.md", "checks/README.md"].map(|page| root().join(page));
    trouble.extend(links::as_on_a_forge(pages.iter().chain(&alone), &root())?);
    if trouble.is_empty() {
        say(&format!("look at {}", mirror.join("index.html").display()));
        return Ok(());
    }
    Err(trouble.join("\n"))
}

/// Where pages that stand outside of the book's folder are in it.
const OUTSIDE: [(&str, &str); 5] = [
    ("index", "docs/index.html"),
    ("README", "docs/index.html"),
    ("SECURITY", "docs/security.html"),
    ("CHANGELOG", "docs/changelog.html"),
    ("checks/README", "../docs/kinds/README.html"),
];

/// Leads from where such a page stands in the repository to where it is in the book.
fn point_to_pages(mirror: &Path) -> Result<(), String> {
    for (page, home) in OUTSIDE {
        let file = mirror.join(page).with_extension("html");
        let text = format!("<!DOCTYPE html><meta http-equiv=\"refresh\" content=\"0; url={home}\"><a href=\"{home}\">{home}</a>\n");
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
        written.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Pages that nobody finds, as `SUMMARY.md` does not name them.
fn forgotten(pages: &[PathBuf], mirror: &Path) -> Vec<String> {
    let built = |page: &&PathBuf| {
        let name = page.file_name().unwrap_or_default();
        let page = mirror.join(page.strip_prefix(root()).unwrap_or(page));
        name == "SUMMARY.md" || page.with_extension("html").exists()
    };
    pages.iter().filter(|page| !built(page)).map(|page| format!("{}: docs/SUMMARY.md does not name this page", page.display())).collect()
}

/// The program that builds books: the one that is there, or our own, installed when it is missing.
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
