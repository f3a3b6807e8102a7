//! `cargo xtask generate`: files that are made from the code, and pages of the book that show other files.

use crate::{includes, links, run};
use std::{fs, path::PathBuf, process::Command};

/// The files that allswell itself prints, each with the arguments of that command.
const GENERATED: &[(&str, &[&str])] = &[(REFERENCE, &["kinds", "--markdown"]), ("config/allswell.schema.json", &["schema"])];

/// The reference of all kinds.
const REFERENCE: &str = "checks/README.md";

/// The folder of the book with one page per kind.
const KIND_PAGES: &str = "docs/kinds";

/// The table of contents of the book, which lists these pages.
const SUMMARY: &str = "docs/SUMMARY.md";

/// The last line of the generated part of each of these pages.
const COMMON_KEYS: &str = "Every check also takes [the common keys](README.md).";

/// Begins the part of such a page that is written by hand.
const BY_HAND: &str = "<!-- Written by hand from here on. -->";

/// Writes all generated files.
pub(crate) fn write() -> Result<(), String> {
    for (path, text) in generated()? {
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        run::say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Fails when a generated file is out of date, or when a page describes a kind that does not exist.
pub(crate) fn check() -> Result<(), String> {
    let generated = generated()?;
    for (path, text) in &generated {
        if fs::read_to_string(path).ok().as_ref() != Some(text) {
            return Err(format!("{} is out of date: run `cargo xtask generate`", path.display()));
        }
    }
    for page in links::with_extension(&run::root().join(KIND_PAGES), "md")? {
        if !generated.iter().any(|(path, _)| *path == page) {
            return Err(format!("{}: there is no such kind; remove this page", page.display()));
        }
    }
    Ok(())
}

fn generated() -> Result<Vec<(PathBuf, String)>, String> {
    let printed = |(path, arguments): &(&str, &[&str])| {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(run::root()).args(["run", "--quiet", "--package", "allswell", "--"]).args(*arguments);
        run::output(&mut command).map(|text| (run::root().join(path), text))
    };
    let mut generated: Vec<_> = GENERATED.iter().map(printed).collect::<Result<_, _>>()?;
    let pages = generated.iter().find(|(path, _)| path.ends_with(REFERENCE)).map(|(_, reference)| pages(reference)).unwrap_or_default();
    let summary = run::root().join(SUMMARY);
    let text = fs::read_to_string(&summary).map_err(|error| format!("{SUMMARY}: {error}"))?;
    generated.push((summary, with_kinds(&text, pages.iter().map(|(name, _)| name.as_str()))));
    for (name, text) in pages {
        let path = run::root().join(KIND_PAGES).join(name);
        let before = fs::read_to_string(&path).unwrap_or_default();
        generated.push((path, with_part_by_hand(text, &before)));
    }
    generated.extend(pages_with_includes()?);
    Ok(generated)
}

/// The book's pages that show files of the repository.
fn pages_with_includes() -> Result<Vec<(PathBuf, String)>, String> {
    let mut pages = Vec::new();
    for path in links::with_extension(&run::root().join("docs"), "md")? {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let updated = includes::update(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if text.contains(includes::BEGIN) {
            pages.push((path, updated));
        }
    }
    Ok(pages)
}

/// The pages of kinds: the reference, split at its headings.
fn pages(reference: &str) -> Vec<(String, String)> {
    let notice = reference.lines().next().unwrap_or_default();
    let mut parts = reference.split("\n## ");
    let mut pages = Vec::new();
    let mut table = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (kind, text) = part.split_once('\n').unwrap_or((part, ""));
        table = table.replace(&format!("(#{kind})"), &format!("({kind}.md)"));
        pages.push((format!("{kind}.md"), format!("{notice}\n\n# {kind}\n{}\n\n{COMMON_KEYS}\n", text.trim_end())));
    }
    pages.push(("README.md".to_owned(), format!("{}\n", table.trim_end())));
    pages
}

/// The generated text of a page, and after it what was written by hand at the end of the page before.
fn with_part_by_hand(text: String, before: &str) -> String {
    match before.split_once(BY_HAND) {
        Some((_, by_hand)) => format!("{text}\n{BY_HAND}{by_hand}"),
        None => text,
    }
}

/// The table of contents with an item for each page of a kind, below the item of their `README.md`.
fn with_kinds<'a>(summary: &str, pages: impl Iterator<Item = &'a str>) -> String {
    let kinds = pages.filter_map(|page| page.strip_suffix(".md")).filter(|kind| *kind != "README");
    let items = kinds.fold(String::new(), |items, kind| items + &format!("  - [{kind}](kinds/{kind}.md)\n"));
    let others = summary.split_inclusive('\n').filter(|line| !(line.starts_with("  - ") && line.contains("](kinds/")));
    others.map(|line| if line.contains("(kinds/README.md)") { format!("{line}{items}") } else { line.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_contents_lists_every_kind_once() {
        let summary = "- [Kinds](kinds/README.md)\n  - [gone](kinds/gone.md)\n- [More](more.md)\n  - [Inner](inner.md)\n";
        let expected =
            "- [Kinds](kinds/README.md)\n  - [redis](kinds/redis.md)\n  - [tcp](kinds/tcp.md)\n- [More](more.md)\n  - [Inner](inner.md)\n";
        assert_eq!(with_kinds(summary, ["redis.md", "tcp.md", "README.md"].into_iter()), expected);
        assert_eq!(with_kinds(expected, ["redis.md", "tcp.md", "README.md"].into_iter()), expected);
    }

    #[test]
    fn what_is_written_by_hand_stays_at_the_end_of_a_page() {
        let before = format!("# redis\nold\n\n{BY_HAND}\n\n## Proxies\n");
        assert_eq!(with_part_by_hand("# redis\nnew\n".to_owned(), &before), format!("# redis\nnew\n\n{BY_HAND}\n\n## Proxies\n"));
        assert_eq!(with_part_by_hand("# redis\n".to_owned(), "# redis\nold\n"), "# redis\n");
    }
}
