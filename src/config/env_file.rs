//! Reads env files: lines of `NAME=value`, as Docker, Compose, systemd, dotenv libraries and shells write them.
//!
//! Those readers disagree. `docs/configuration.md` lists what this one does. It never fails: a line that it cannot use is a [`Remark`].

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// The variables of an env file.
#[derive(Debug, Default)]
pub(super) struct EnvFile {
    /// Names and values, in the order of the file.
    pub(super) variables: Vec<(String, String)>,
    /// Names whose values are not text, with the number of the line.
    pub(super) not_text: Vec<(String, usize)>,
    /// What is wrong with lines, in the order of the file.
    pub(super) remarks: Vec<Remark>,
}

/// What is wrong with a line. It quotes nothing of the line, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    /// The number of the line, from 1.
    pub(super) line: usize,
    pub(super) message: &'static str,
}

const NOT_A_PAIR: &str = "skipped: expected NAME=value";
const NOT_UTF_8: &str = "skipped: the line is not UTF-8";
const NOT_CLOSED: &str = "the quotation mark at the beginning of the value is not closed, and counts as a part of the value";
const AFTER_QUOTE: &str = "there is text after the closing quotation mark, so the quotation marks count as a part of the value";

/// The most lines of one value. A private key with its chain has fewer.
const MAX_VALUE_LINES: usize = 300;

/// Reads the content of an env file.
pub(super) fn parse(content: &[u8]) -> EnvFile {
    let content = utf_8(content);
    let mut file = EnvFile::default();
    let mut lines = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        lines.push(std::str::from_utf8(line).unwrap_or_else(|_| {
            file.remarks.push(Remark { line: index + 1, message: NOT_UTF_8 });
            let name = line.split(|byte| *byte == b'=').next().and_then(|name| std::str::from_utf8(name).ok());
            let name = name.map(|name| without_export(name.trim()).trim()).filter(|name| is_name(name));
            file.not_text.extend(name.map(|name| (name.to_owned(), index + 1)));
            ""
        }));
    }
    let mut next = 0;
    while let Some(line) = lines.get(next) {
        next += 1;
        let number = next;
        // A mark of encoding is also where files were concatenated.
        let line = line.trim_start_matches('\u{feff}').trim_start();
        if line.trim_end().is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let assignment = without_export(line);
        match name_and_value(assignment) {
            Some((name, written)) if is_foreign_name(name) => {
                let Value { text, more_lines, problem } = value(written, &lines[next..]);
                next += more_lines;
                // Other names are those of other programs, such as `spring.datasource.url`.
                if is_name(name) {
                    file.variables.push((name.to_owned(), text));
                    file.remarks.extend(problem.map(|message| Remark { line: number, message }));
                }
            }
            // A name alone stands for the variable of the environment, as for Docker; `export A B` has several.
            None if assignment.split_whitespace().all(is_foreign_name)
                && (assignment.len() < line.len() || !assignment.trim_end().contains(char::is_whitespace)) => {}
            _ => file.remarks.push(Remark { line: number, message: NOT_A_PAIR }),
        }
    }
    file.remarks.sort_by_key(|remark| remark.line);
    file
}

/// The content as UTF-8, without a mark of encoding. Windows PowerShell writes UTF-16.
fn utf_8(content: &[u8]) -> Cow<'_, [u8]> {
    let decoded = |units: &[u8], read: fn([u8; 2]) -> u16| {
        let units = units.chunks_exact(2).map(|unit| read([unit[0], unit[1]]));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into_bytes())
    };
    match content {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => decoded(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => decoded(rest, u16::from_be_bytes),
        // UTF-16 without a mark: a name has only ASCII, so every second byte is zero.
        [first, 0, ..] if *first != 0 => decoded(content, u16::from_le_bytes),
        [0, first, ..] if *first != 0 => decoded(content, u16::from_be_bytes),
        _ => Cow::Borrowed(content),
    }
}

fn without_export(line: &str) -> &str {
    match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    }
}

/// The name, and the rest of the line after `=`, or after the colon of `NAME: value`.
fn name_and_value(line: &str) -> Option<(&str, &str)> {
    let equals = line.find('=');
    let colon = line.find(": ").filter(|colon| equals.is_none_or(|equals| *colon < equals) && is_name(&line[..*colon]));
    let end = colon.or(equals)?;
    Some((line[..end].trim_end(), &line[end + 1..]))
}

/// Whether a shell accepts the name of a variable.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether this is a name of a variable or of a property of any program, such as `spring.datasource.url` or `my-var`.
fn is_foreign_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '[' | ']'))
}

/// A value, as it was read.
struct Value {
    text: String,
    /// How many of the following lines belong to it.
    more_lines: usize,
    problem: Option<&'static str>,
}

/// The value of which `written` is the rest of the first line.
fn value(written: &str, following: &[&str]) -> Value {
    let trimmed = written.trim();
    let single = |text: &str, problem| Value { text: text.to_owned(), more_lines: 0, problem };
    let Some(quote) = trimmed.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return single(without_comment(written).trim(), None);
    };
    let first = &written.trim_start()[1..];
    if let Some((inside, after)) = quoted(first, quote) {
        if is_comment(after) {
            return single(&unescaped(inside, quote), None);
        }
        // A quotation mark within the value, as in 'it's'.
        return match trimmed[1..].strip_suffix(quote) {
            Some(inside) => single(inside, None),
            None => single(without_comment(written).trim(), Some(AFTER_QUOTE)),
        };
    }
    let mut text = first.to_owned();
    for (index, line) in following.iter().enumerate().take(MAX_VALUE_LINES) {
        text.push('\n');
        let before = text.len();
        text.push_str(line);
        // The first line may end within an escape only if it ends with a backslash, which then stands before a line break.
        if let Some((inside, after)) = quoted(&text[before..], quote) {
            if is_comment(after) {
                let end = before + inside.len();
                return Value { text: unescaped(&text[..end], quote), more_lines: index + 1, problem: None };
            }
            break;
        }
    }
    single(without_comment(written).trim(), Some(NOT_CLOSED))
}

/// The text before the closing quotation mark, and the text after it.
fn quoted(text: &str, quote: char) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !is_escaped {
            return Some((&text[..at], &text[at + 1..]));
        }
        // As in a shell, single quotes have no escapes.
        is_escaped = quote == '"' && c == '\\' && !is_escaped;
    }
    None
}

/// Whether nothing but a comment follows.
fn is_comment(after: &str) -> bool {
    let after = after.trim_start();
    after.is_empty() || after.starts_with('#')
}

/// A comment begins with `#` after a blank: a password may contain one.
fn without_comment(written: &str) -> &str {
    let starts = written.match_indices('#').map(|(at, _)| at);
    let comment = starts.into_iter().find(|at| written[..*at].ends_with([' ', '\t']));
    comment.map_or(written, |at| &written[..at])
}

/// Replaces the escapes that double quotes have. Other backslashes are literal.
fn unescaped(inside: &str, quote: char) -> String {
    if quote != '"' {
        return inside.to_owned();
    }
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        let escaped = (c == '\\').then(|| rest.clone().next()).flatten().and_then(|next| match next {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '"' | '\\' | '$' | '`' => Some(next),
            _ => None,
        });
        text.push(escaped.unwrap_or(c));
        if escaped.is_some() {
            rest.next();
        }
    }
    text
}
