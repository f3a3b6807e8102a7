//! What people write after `=` out of habit from other formats and languages.

const QUOTE_IN_TEXT: &str = "a quote in the text ends it: write the text in the other kind of quotes, or `\\\"` for a quote in \"…\"";

/// What is wrong with the text after `=`, at which the parser stopped with this message.
pub(super) fn explain(value: &str, parser: &str) -> Option<&'static str> {
    if value.is_empty() || value.starts_with('#') {
        return Some("the value after `=` is missing");
    }
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return quoted(value, quote, parser);
    }
    if value.starts_with('{') {
        return inline_table(value);
    }
    if value.starts_with('[') {
        return list(value);
    }
    let word = value.split([' ', '\t', '#', ',', ';']).next().unwrap_or_default();
    let rest = value[word.len()..].trim_start();
    Some(match word {
        "true" | "false" if !rest.is_empty() => return after_value(rest),
        "True" | "False" | "TRUE" | "FALSE" => "write `true` or `false` in lower case",
        "None" | "none" | "null" | "NULL" | "Null" | "nil" | "undefined" | "~" => {
            "TOML has no such value: remove the line to use the default, or write the word in quotes if it is text"
        }
        "yes" | "no" | "on" | "off" | "Yes" | "No" | "On" | "Off" | "YES" | "NO" | "ON" | "OFF" => {
            "write `true` or `false`, or the word in quotes if it is text"
        }
        _ if word.starts_with("${") || word.starts_with('$') => "a reference to a variable is written in quotes: `\"${NAME}\"`",
        _ if is_number_with_unit(word) => "a number with a unit is text: write it in quotes, such as \"10s\", \"64MiB\" or \"90%\"",
        _ if is_number(word) && word.len() > 1 && word.starts_with('0') => {
            "a number cannot begin with 0: remove the 0, or write it in quotes if it is text"
        }
        _ if is_number(word) && !rest.is_empty() => return after_value(rest),
        _ => "text needs quotes: write `\"…\"`",
    })
}

/// What is wrong with a text that begins with a quote.
fn quoted(value: &str, quote: char, parser: &str) -> Option<&'static str> {
    let triple = quote.to_string().repeat(3);
    if value.starts_with(&triple) {
        let is_open = value.matches(&triple).count() < 2;
        return is_open.then_some("the text over several lines has no end: close it with the same three quotes");
    }
    let mut escaped = false;
    let mut end = None;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    // The parser stops at an escape that does not exist, wherever the text ends.
    if quote == '"' && has_unknown_escape(value, parser) {
        return Some("a backslash in \"…\" begins an escape such as `\\n`: write the text in single quotes, '…', or each backslash twice");
    }
    match end {
        None if quote == '"' && value.ends_with("\\\"") => Some(
            "the backslash at the end makes the closing quote a part of the text: write the text in single quotes, '…', or the backslash twice",
        ),
        None => Some("the text has no closing quote in this line: add it"),
        Some(end) if value[end + 1..].starts_with(|c: char| !c.is_whitespace() && !matches!(c, ',' | ';' | '#' | '/')) => {
            Some(QUOTE_IN_TEXT)
        }
        Some(end) => after_value(value[end + 1..].trim_start()),
    }
}

/// Whether a text in double quotes has a backslash before a character that makes no escape.
fn has_unknown_escape(value: &str, parser: &str) -> bool {
    let mut characters = value.chars().skip(1);
    while let Some(c) = characters.next() {
        match c {
            '"' => return false,
            '\\' => match characters.next() {
                // Four or eight hexadecimal digits follow.
                Some('u' | 'U') if parser.contains("unicode") || parser.contains("escape") => return true,
                Some('b' | 't' | 'n' | 'f' | 'r' | '"' | '\\' | 'u' | 'U') => {}
                _ => return true,
            },
            _ => {}
        }
    }
    false
}

fn inline_table(value: &str) -> Option<&'static str> {
    let squeezed: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    if !value.contains('}') {
        return Some("a table in braces must end in the line in which it begins: close it with `}`, or write it as `[table]`");
    }
    if squeezed.contains(",}") {
        return Some("a table in braces has no comma before `}`: remove it");
    }
    if squeezed.contains("\":") || squeezed.contains("':") || (!squeezed.contains('=') && squeezed.contains(':')) {
        return Some("in a table in braces, too, keys and values are separated by `=`: write `{ key = \"value\" }`");
    }
    let end = value.rfind('}')?;
    let after = after_value(value[end + 1..].trim_start());
    after.or(Some("a table in braces is written as `{ key = \"value\", other = 5 }`, with text in quotes"))
}

fn list(value: &str) -> Option<&'static str> {
    let Some(end) = value.rfind(']') else {
        return Some(
            "the list cannot be read: write its items as `[\"a\", \"b\"]`, text in quotes, with commas between them and a `]` at the end",
        );
    };
    let after = after_value(value[end + 1..].trim_start());
    after.or(Some("the list cannot be read: write its items as `[\"a\", \"b\"]`, text in quotes, with commas between them"))
}

/// What is wrong with text after a value that is complete.
fn after_value(rest: &str) -> Option<&'static str> {
    Some(match rest.chars().next()? {
        '#' => return None,
        ',' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => "a number has a decimal point and no commas: write `0.5`, or `1000`",
        ',' | ';' => "a line ends without a comma or semicolon: remove it",
        '"' | '\'' => QUOTE_IN_TEXT,
        '/' => "a comment begins with `#`",
        _ => "after the value, the line must end: put the next key into a line of its own",
    })
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '_' | '.'))
}

fn is_number_with_unit(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '_'));
    unit.len() < word.len()
        && !unit.is_empty()
        && unit.len() <= 7
        && unit.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '%' | 'µ'))
}
