//! Makes foreign text safe for logs, terminals and reports: removes characters that are invisible, or that change how others are shown.

use std::borrow::Cow;

/// The Unicode category Cf, format characters: zero-width, bidirectional controls, tags. From
/// <https://www.unicode.org/Public/17.0.0/ucd/extracted/DerivedGeneralCategory.txt>; a test compares it with a crate generated from that
/// file.
const FORMAT_CHARACTERS: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

/// The text on one line: format characters are removed, and each control character (Cc) and line or paragraph separator (Zl, Zp) becomes a
/// blank.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_printable = |c: char| matches!(c, ' '..='~') || !(is_break(c) || is_format(c));
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| !is_format(*c)).map(|c| if is_break(c) { ' ' } else { c }).collect()
}

fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_format(c: char) -> bool {
    let after = FORMAT_CHARACTERS.partition_point(|(first, _)| *first <= c);
    after.checked_sub(1).is_some_and(|at| c <= FORMAT_CHARACTERS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_general_category::{GeneralCategory, get_general_category};

    #[test]
    fn the_categories_match_unicode() {
        for c in '\0'..=char::MAX {
            let category = get_general_category(c);
            let is_separator = matches!(category, GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator);
            assert_eq!(is_format(c), category == GeneralCategory::Format, "{c:?}");
            assert_eq!(is_break(c), category == GeneralCategory::Control || is_separator, "{c:?}");
        }
    }

    #[test]
    fn invisible_characters_are_removed_and_line_breaks_become_blanks() {
        assert_eq!(printable("a\u{202e}b\u{200b}c\u{2028}d\u{1b}[1m\r\ne"), "abc d [1m  e");
        assert!(matches!(printable("as it is, ü"), Cow::Borrowed("as it is, ü")));
    }
}
