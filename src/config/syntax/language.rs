//! Recognises files in another format than TOML.

use super::{line::Line, mistake::Mistake};

/// The mistake of a file in another format whose parser stopped at the offset `error`. Quotes nothing of the file.
pub(super) fn recognise(text: &str, error: usize) -> Option<Mistake> {
    let first = Line::significant(text).next()?;
    if let Some(message) = by_beginning(text) {
        return Some(Mistake { offset: first.start + first.indentation(), message: message.to_owned() });
    }
    let failed = Line::around(text, error);
    let (format, is_of_format) = FORMATS.iter().find(|(_, is_of_format)| is_of_format(failed.text.trim()))?;
    // One line in a file that is TOML otherwise is a slip.
    let of_format = Line::significant(text).filter(|line| is_of_format(line.text.trim())).count();
    let of_toml = Line::significant(text).filter(|line| is_toml(line.text.trim())).count();
    (of_format > of_toml).then(|| Mistake { offset: failed.start + failed.indentation(), message: (*format).to_owned() })
}

/// Whether a line is of a format.
type IsOfFormat = fn(&str) -> bool;

/// Formats with lines of their own.
const FORMATS: &[(&str, IsOfFormat)] = &[
    (YAML, is_yaml),
    ("this looks like HCL or a similar format with braces: allswell reads TOML: write `[server]` in place of `server {`", is_block),
    (
        "this looks like a file of environment variables: allswell reads TOML here: write `[server]`, and below it `listen = \"0.0.0.0:8080\"`, \
         or pass the file with `--env-file`",
        is_variable,
    ),
];

const YAML: &str =
    "this looks like YAML: allswell reads TOML: write `[server]` in place of `server:`, and below it `listen = \"0.0.0.0:8080\"`";

const JSON: &str = "this looks like JSON: allswell reads TOML: write `[server]`, and below it `listen = \"0.0.0.0:8080\"`";

/// The message for a file that shows its format at once.
fn by_beginning(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = |with: &str| text.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    if text.contains('\0') {
        return Some("this is not a text in UTF-8 but UTF-16 or a binary file: save the file as UTF-8");
    }
    let second = text.get(1..).map(str::trim_start).unwrap_or_default();
    Some(match text.chars().next()? {
        '{' if second.starts_with(['{', '%']) => return None,
        '{' => JSON,
        '[' if second.starts_with('{') => JSON,
        '<' if begins("<!doctype html") || begins("<html") => {
            "this is an HTML page, such as the error page of a download: replace it by a configuration in TOML"
        }
        '<' if begins("<<<<<<<") => return None,
        '<' => "this looks like XML: allswell reads TOML: write `[server]`, and below it `listen = \"0.0.0.0:8080\"`",
        '%' if begins("%YAML") => YAML,
        '-' if begins("-----BEGIN ") => "this is a PEM file with a certificate or key, not a configuration: correct the path",
        '-' if begins("---") => YAML,
        _ => return None,
    })
}

/// `key:`, `key: value` or `- item`.
fn is_yaml(line: &str) -> bool {
    let is_item = line == "-" || line.starts_with("- ");
    let key = line.split_once(':').filter(|(key, rest)| is_word(key) && (rest.is_empty() || rest.starts_with(' ')));
    is_item || (key.is_some() && !line.ends_with('{'))
}

/// `server {`, `check "orders" {` or `}`.
fn is_block(line: &str) -> bool {
    let opens = line.strip_suffix('{').is_some_and(|head| !head.contains('=') && head.starts_with(|c: char| c.is_ascii_alphabetic()));
    opens || line == "}"
}

/// `NAME=value` or `export NAME=value`.
fn is_variable(line: &str) -> bool {
    let name = line.strip_prefix("export ").unwrap_or(line).split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// A table's header, or a key and its value.
fn is_toml(line: &str) -> bool {
    (line.starts_with('[') && line.contains(']')) || line.split_once('=').is_some_and(|(key, _)| is_word(key.trim()) && !is_variable(line))
}

fn is_word(text: &str) -> bool {
    let text = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text);
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(text: &str) -> Option<String> {
        let error = toml_edit::ImDocument::parse(text).expect_err("it is not TOML");
        let found = recognise(text, error.span().map_or(0, |span| span.start))?;
        Some(found.message.split(':').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn other_formats_are_recognised_by_their_beginning_or_by_most_of_their_lines() {
        for (text, format) in [
            ("server:\n  listen: 0.0.0.0:8080\n", "this looks like YAML"),
            ("---\nserver: {}\n", "this looks like YAML"),
            ("checks:\n  - name: db\n    kind: postgres\n", "this looks like YAML"),
            ("{\"server\": {}}", "this looks like JSON"),
            ("[{\"kind\": \"tcp\"}]", "this looks like JSON"),
            ("<!DOCTYPE html>\n<html></html>", "this is an HTML page, such as the error page of a download"),
            ("<?xml version=\"1.0\"?>\n<server/>", "this looks like XML"),
            ("server {\n  listen = \"x\"\n}\ncheck \"db\" {\n}\n", "this looks like HCL or a similar format with braces"),
            ("REDIS_URL=redis://cache\nexport DB=postgres://db\n", "this looks like a file of environment variables"),
            ("s\0e\0r\0v\0", "this is not a text in UTF-8 but UTF-16 or a binary file"),
        ] {
            assert_eq!(recognised(text).as_deref(), Some(format), "{text}");
        }
    }

    #[test]
    fn a_line_of_another_format_in_a_file_of_toml_is_not_another_format() {
        assert_eq!(recognised("[server]\nlisten: \"0.0.0.0:8080\"\n[log]\nlevel = \"info\"\n"), None);
        assert_eq!(recognised("{{ .Values.configuration }}\n"), None);
    }
}
