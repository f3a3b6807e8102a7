//! What people write out of habit from other formats and languages, in one line.

use super::values;

/// A slip in a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// In bytes from the beginning of the line.
    pub(super) column: usize,
    /// What is wrong and what to write; quotes no value.
    pub(super) message: String,
    /// Whether the lines after it can be read without this line.
    pub(super) is_isolated: bool,
}

const MISSING_SEPARATOR: &str = "a line is `key = \"value\"` or `[table]`, and here the `=` is missing";

/// The slip in a line at which the parser stopped with this message.
pub(super) fn explain(line: &str, parser: &str) -> Option<Slip> {
    let start = line.len() - line.trim_start().len();
    let content = line.trim();
    let whole = |message: &str, is_isolated| Some(Slip { column: start, message: message.to_owned(), is_isolated });
    if let Some(message) = foreign_line(content) {
        return whole(message, true);
    }
    if content.starts_with('[') && !content.contains('=') {
        return header(content).and_then(|message| whole(message, false));
    }
    let at = separator(line)?;
    let (Some(key), Some(value)) = (line.get(..at), line.get(at + 1..)) else { return None };
    if line[at..].starts_with(':') && !value.starts_with('=') && key.trim().contains(' ') && !key.contains(['"', '\'']) {
        return whole(MISSING_SEPARATOR, true);
    }
    if line[at..].starts_with(':') && !value.starts_with('=') {
        let message = "a key and its value are separated by `=`, not by `:`: write `key = \"value\"`";
        return Some(Slip { column: at, message: message.to_owned(), is_isolated: true });
    }
    if line[at..].starts_with(':') || value.starts_with(['=', '>']) {
        return Some(Slip { column: at, message: "a key and its value are separated by `=` alone".to_owned(), is_isolated: true });
    }
    if key.trim_start().starts_with('[') && key.contains(']') {
        return whole("the header of a table stands alone: write its keys in the lines below it", false);
    }
    if key.trim().is_empty() {
        return whole("the key before `=` is missing", true);
    }
    if key.trim().contains(' ') && !key.contains(['"', '\'']) {
        let message = "a key has no blanks: write `_` in place of the blank, or remove the word before it";
        return Some(Slip { column: start, message: message.to_owned(), is_isolated: true });
    }
    let indentation = value.len() - value.trim_start().len();
    let message = values::explain(value.trim(), parser)?;
    let is_isolated = !value.trim().starts_with(['[', '{']) && !value.contains("\"\"\"") && !value.contains("'''");
    Some(Slip { column: at + 1 + indentation, message: message.to_owned(), is_isolated })
}

/// A line that belongs to something else.
fn foreign_line(line: &str) -> Option<&'static str> {
    let begins = |with: &[&str]| with.iter().any(|with| line.starts_with(with));
    if begins(&["<<<<<<<", "=======", ">>>>>>>", "|||||||"]) {
        return Some("this is the mark of a merge conflict: resolve the conflict");
    }
    if line.contains("{{") && line.contains("}}") || begins(&["{%"]) {
        return Some("this is a placeholder of a template that was not replaced: render the template first, or use `\"${NAME}\"`");
    }
    if begins(&[";", "//", "/*", "*/", "--", "REM ", "rem "]) {
        return Some("a comment begins with `#`");
    }
    if begins(&["export ", "set "]) {
        return Some("this is a line of a shell: write `key = \"value\"`, or put the variable into a file for `--env-file`");
    }
    if begins(&["<"]) {
        return Some("this is not a line of TOML: write `key = \"value\"` or `[table]`");
    }
    if begins(&["- "]) {
        return Some("this is an item of a YAML list: write `key = [\"a\", \"b\"]`");
    }
    if line.strip_suffix('{').is_some_and(|head| !head.contains('=')) || line == "}" {
        return Some("a table has a header, not braces: write `[table]`, and its keys in the lines below it");
    }
    let is_sentence = !line.contains(['=', ':', '[', ']', '"', '\'', '{', '}', ',']);
    is_sentence.then_some(MISSING_SEPARATOR)
}

/// What is wrong with the header of a table.
fn header(line: &str) -> Option<&'static str> {
    let end = line.find(']');
    let inner = line.trim_start_matches('[').split(']').next().unwrap_or_default();
    Some(match end {
        None => "the header of a table has no closing `]`: write `[table]`",
        Some(_) if inner.trim().is_empty() => "the header of a table is empty: write `[checks.NAME]`",
        Some(_) if line.starts_with("[[") && !line.contains("]]") => "the header begins with `[[` and ends with `]`: write `[checks.NAME]`",
        Some(_) if !line.starts_with("[[") && line.contains("]]") => "the header begins with `[` and ends with `]]`: write `[checks.NAME]`",
        Some(_) if inner.trim().split('.').any(|part| part.trim().is_empty()) => {
            "a part of the header is empty: write a single `.` between names, as in `[checks.NAME]`"
        }
        Some(_) if inner.contains([' ', '/', ':', '"', '\'', '$', '*']) => {
            "the names in a header have letters, digits, `_` and `-`, with `.` between them: write `[checks.NAME]`"
        }
        Some(end) => {
            let rest = line[end..].trim_start_matches(']').trim_start();
            return (!rest.is_empty() && !rest.starts_with('#'))
                .then_some("the header of a table stands alone: write its keys in the lines below it");
        }
    })
}

/// Where the key ends: at the first `=` or `:` outside of quotes.
fn separator(line: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match quote {
            None if matches!(c, '=' | ':') => return Some(at),
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slip(line: &str) -> (usize, String) {
        let error = toml_edit::ImDocument::parse(line).expect_err("it is not TOML");
        let found = explain(line, error.message()).expect("a slip");
        (found.column, found.message)
    }

    #[test]
    fn habits_of_other_formats_are_explained() {
        for (line, column, expected) in [
            ("kind = postgres", 7, "text needs quotes"),
            ("  critical = True", 13, "in lower case"),
            ("password = None", 11, "TOML has no such value"),
            ("watch_config = on", 15, "write `true` or `false`"),
            ("interval = 10s", 11, "a number with a unit is text"),
            ("fail_free = 5%", 12, "a number with a unit is text"),
            ("listen = 0.0.0.0:8080", 9, "text needs quotes"),
            ("password = ${DB_PASSWORD}", 11, "in quotes: `\"${NAME}\"`"),
            ("a => 1", 2, "by `=` alone"),
            ("a := 1", 2, "by `=` alone"),
            ("a == 1", 2, "by `=` alone"),
            ("a: 1", 1, "not by `:`"),
            ("path = \"C:\\data\"", 7, "in single quotes"),
            ("path = \"C:\\users\"", 7, "in single quotes"),
            ("path = \"C:\\new\\\"", 7, "the backslash at the end"),
            ("url = \"redis://cache", 6, "no closing quote"),
            ("url = 'redis://cache\"", 6, "no closing quote"),
            ("tls = { verify = \"none\", }", 6, "no comma before"),
            ("tls = { \"verify\": \"none\" }", 6, "separated by `=`"),
            ("a = 1;", 4, "without a comma or semicolon"),
            ("a = \"x\",", 4, "without a comma or semicolon"),
            ("a = \"x\" // y", 4, "begins with `#`"),
            ("; a comment", 0, "begins with `#`"),
            ("kind postgres", 0, "`=` is missing"),
            ("[server", 0, "no closing `]`"),
            ("[server] listen = \"x\"", 0, "stands alone"),
            ("[checks.\"db]", 0, "the names in a header"),
            ("[checks..db]", 0, "a part of the header is empty"),
            ("fall = 007", 7, "cannot begin with 0"),
            ("fall =", 6, "is missing"),
            ("= 3", 0, "is missing"),
            ("fail free = 3", 0, "no blanks"),
            ("password = {{ db.password }}", 0, "a placeholder of a template"),
            ("<<<<<<< HEAD", 0, "merge conflict"),
            ("checks = [\"a\" \"b\"]", 9, "with commas between them"),
        ] {
            let (at, message) = slip(line);
            assert!(at == column && message.contains(expected), "{line}: {at}: {message}");
        }
    }
}
