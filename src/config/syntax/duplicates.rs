//! Keys and tables that are given twice.

use super::line::Line;
use crate::config::problem::is_quotable;
use toml_edit::{ImDocument, Item, Key};

/// Explains an error about a key that exists already. `line` is the second place.
pub(super) fn explain(text: &str, line: &Line<'_>, message: &str) -> Option<String> {
    let is_duplicate = |words: &str| words.starts_with("duplicate key") || words.starts_with("dotted key");
    let words = message.lines().find(|words| is_duplicate(words))?;
    let mut path = path_of(text, line)?;
    let is_dotted = words.starts_with("dotted key");
    if is_dotted {
        // The key that has a value, not the one in it.
        path.pop();
    }
    // A deeper key may be in a table of secrets, and a quoted one may be a value in place of a key.
    let is_public = path.len() <= 3 && path.iter().all(|key| is_quotable(key));
    let first = place_before(text, line, &path).map(|line| format!(", first in line {line}")).unwrap_or_default();
    let (last, table) = path.split_last()?;
    let name = match (is_public, table) {
        (false, _) => String::new(),
        (true, []) => format!(" `{last}`"),
        (true, table) => format!(" `{last}` in table `{}`", table.join(".")),
    };
    Some(if is_dotted {
        format!("the key{name} has a value already{first}, so it cannot be a table: keep one of the two")
    } else if line.text.trim_start().starts_with('[') {
        format!("duplicate key{name}{first}: give each table its own name, or merge the two")
    } else {
        format!("duplicate key{name}{first}: keep one of the two")
    })
}

/// The whole key on a line: of a table, or of a value in the last table before it.
fn path_of(text: &str, line: &Line<'_>) -> Option<Vec<String>> {
    let own = line.text.trim();
    if own.starts_with('[') {
        return header(own);
    }
    let table = text[..line.start].lines().rev().map(str::trim).find(|line| line.starts_with('[') && !line.contains('='));
    let mut path = match table {
        Some(table) => header(table)?,
        None => Vec::new(),
    };
    path.extend(keys(own.split_once('=')?.0)?);
    Some(path)
}

fn header(line: &str) -> Option<Vec<String>> {
    let inner = line.trim_start_matches('[');
    keys(&inner[..inner.rfind(']').map(|end| inner[..end].trim_end_matches(']').len())?])
}

fn keys(text: &str) -> Option<Vec<String>> {
    Some(Key::parse(text.trim()).ok()?.iter().map(|key| key.get().to_owned()).collect())
}

/// The line of a key in the part before a line, which is TOML.
fn place_before(text: &str, line: &Line<'_>, path: &[String]) -> Option<usize> {
    let before = ImDocument::parse(&text[..line.start]).ok()?;
    let mut item: &Item = before.as_item();
    let mut place = None;
    for key in path {
        let (name, inner) = item.as_table_like()?.get_key_value(key)?;
        place = name.span().or_else(|| inner.span()).or(place);
        item = inner;
    }
    place.map(|span| text[..span.start].matches('\n').count() + 1)
}
