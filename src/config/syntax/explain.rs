//! Finds every mistake in the syntax of a text, not only the first.

use super::{characters, duplicates, language, line::Line, mistake::Mistake, slips};
use toml_edit::{ImDocument, TomlError};

/// The most mistakes of one file that are reported.
const MAX_MISTAKES: usize = 20;

/// The mistakes in a text whose parser stopped with this error; at least one.
///
/// The parser stops at the first mistake. So a line with a mistake is blanked, if it is one that others do not depend on, and the rest is parsed
/// again.
pub(in crate::config) fn mistakes(text: &str, error: TomlError) -> Vec<Mistake> {
    let first = offset_of(&error);
    if let Some(found) = language::recognise(text, first) {
        return vec![found];
    }
    let mut rest = text.to_owned();
    let mut next = Some(error);
    let mut found: Vec<Mistake> = Vec::new();
    while let Some(error) = next.take().filter(|_| found.len() < MAX_MISTAKES) {
        let line = Line::around(&rest, offset_of(&error));
        let (mistake, is_isolated) = explain(&rest, &line, &error);
        found.push(mistake);
        if is_isolated && let Some(blanked) = line.blanked(&rest) {
            next = ImDocument::parse(blanked.clone()).err();
            rest = blanked;
        }
    }
    found
}

/// The mistake behind an error of the parser, and whether the lines after it can be read without its line.
fn explain(text: &str, line: &Line<'_>, error: &TomlError) -> (Mistake, bool) {
    if let Some(message) = duplicates::explain(text, line, error.message()) {
        return (Mistake { offset: line.start + line.indentation(), message: not_toml(&message) }, line.is_assignment());
    }
    if let Some((at, message)) = characters::explain(line.text) {
        return (Mistake { offset: line.start + at, message: not_toml(&message) }, line.is_assignment());
    }
    if let Some(slip) = slips::explain(line.text, error.message()) {
        return (Mistake { offset: line.start + slip.column, message: not_toml(&slip.message) }, slip.is_isolated);
    }
    (Mistake { offset: offset_of(error), message: not_toml(&words_of_parser(error.message())) }, false)
}

fn not_toml(message: &str) -> String {
    format!("not valid TOML: {message}")
}

fn offset_of(error: &TomlError) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// All lines of the parser's message in one, without what it quotes of the file.
fn words_of_parser(message: &str) -> String {
    if message.starts_with("invalid array") {
        return "a list before this place has no `]` at its end, or no comma between two items".to_owned();
    }
    let lines = message.lines().filter(|line| !line.is_empty()).map(without_quotes);
    let words = lines.collect::<Vec<_>>().join(": ");
    if words.is_empty() { "this cannot be read".to_owned() } else { words }
}

/// Removes what a message quotes, unless it is punctuation of TOML, as in "expected `=`".
fn without_quotes(message: &str) -> String {
    let is_punctuation = |quoted: &str| quoted.len() <= 64 && quoted.chars().all(|c| c.is_ascii_punctuation() || c == ' ');
    match (message.find('`'), message.rfind('`')) {
        (Some(first), Some(last)) if first < last && !is_punctuation(&message[first..=last]) && !message.starts_with("expected ") => {
            format!("{}`…`{}", &message[..first], &message[last + 1..])
        }
        _ => message.to_owned(),
    }
}
