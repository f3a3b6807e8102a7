//! Files of the repository that pages of the book show whole.
//!
//! A page names the file, and the language of the code block that the file becomes:
//!
//! ```text
//! <!-- begin: deploy/haproxy/haproxy.cfg as haproxy -->
//! <!-- end -->
//! ```
//!
//! `cargo xtask generate` writes the file between the two lines. Without `as`, the file is Markdown and becomes part of the page. mdBook's own
//! `{{#include}}` is not used, because a forge shows the directive instead of the file.

use crate::run;
use std::{fs, path::Path};

/// Begins the line above an included file.
pub(crate) const BEGIN: &str = "<!-- begin: ";
const END: &str = "<!-- end -->";

/// The page with the present text of every file that it includes. Paths are relative to the root of the repository.
pub(crate) fn update(page: &str) -> Result<String, String> {
    update_with(page, |path| fs::read_to_string(run::root().join(path)).map_err(|error| format!("{path}: {error}")))
}

fn update_with(page: &str, read: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut updated = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.contains("{{#include ") {
            return Err(format!("`{line}`: write `{BEGIN}PATH as LANGUAGE -->` and `{END}` instead"));
        }
        updated.push_str(line);
        updated.push('\n');
        let Some(file) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let (path, language) = file.split_once(" as ").map_or((file, None), |(path, language)| (path, Some(language)));
        let text = read(path)?;
        let text = without_snapshot_header(path, &text).trim_end();
        match language {
            Some(_) if text.contains("```") => return Err(format!("{path} contains ```, and cannot be shown in a code block")),
            Some(language) => updated.push_str(&format!("\n```{language}\n{text}\n```\n\n{END}\n")),
            None => updated.push_str(&format!("\n{text}\n\n{END}\n")),
        }
        if !lines.by_ref().any(|line| line == END) {
            return Err(format!("`{line}` has no `{END}` after it"));
        }
    }
    Ok(updated)
}

/// The text of a file; of a test's snapshot, the part that the test compares.
fn without_snapshot_header<'a>(path: &str, text: &'a str) -> &'a str {
    let compared = || text.strip_prefix("---\n")?.split_once("\n---\n").map(|(_, compared)| compared);
    let is_snapshot = Path::new(path).extension().is_some_and(|extension| extension == "snap");
    if is_snapshot { compared().unwrap_or(text) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(page: &str) -> Result<String, String> {
        update_with(page, |path| match path {
            "a.toml" => Ok("[a]\n".to_owned()),
            "table.snap" => Ok("---\nsource: x\n---\n| a |\n".to_owned()),
            "fence.md" => Ok("```\n".to_owned()),
            _ => Err(format!("{path}: no such file")),
        })
    }

    #[test]
    fn a_file_becomes_a_code_block_of_its_language() {
        let page = "x\n\n<!-- begin: a.toml as toml -->\n\n```toml\n[old]\n```\n\n<!-- end -->\n\ny\n";
        let expected = "x\n\n<!-- begin: a.toml as toml -->\n\n```toml\n[a]\n```\n\n<!-- end -->\n\ny\n";
        assert_eq!(updated(page).as_deref(), Ok(expected));
        assert_eq!(updated(expected).as_deref(), Ok(expected));
    }

    #[test]
    fn a_file_without_a_language_becomes_part_of_the_page() {
        let expected = "<!-- begin: table.snap -->\n\n| a |\n\n<!-- end -->\n";
        assert_eq!(updated("<!-- begin: table.snap -->\n<!-- end -->\n").as_deref(), Ok(expected));
    }

    #[test]
    fn a_page_that_cannot_be_updated_is_an_error() {
        for page in [
            "<!-- begin: a.toml as toml -->\n",
            "<!-- begin: missing as toml -->\n<!-- end -->\n",
            "<!-- begin: fence.md as text -->\n<!-- end -->\n",
            "{{#include a.toml}}\n",
        ] {
            assert!(updated(page).is_err(), "{page}");
        }
    }
}
