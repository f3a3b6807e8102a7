//! Characters that look like others, or like nothing: quotes of word processors, invisible characters, letters of other alphabets.

/// The first character of a line, outside of texts and comments, that TOML does not know there: where it is, and what to write instead.
pub(super) fn explain(line: &str) -> Option<(usize, String)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quote {
            None if c == '#' => return None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => {
                if let Some(message) = foreign(c) {
                    return Some((at, message));
                }
            }
            Some(_) if c.is_control() && c != '\t' => return foreign(c).map(|message| (at, message)),
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
        }
    }
    None
}

/// What is wrong with a character outside of texts and comments.
fn foreign(c: char) -> Option<String> {
    let code = u32::from(c);
    if c == '\r' {
        return Some("the lines end with CR alone: save the file with LF, the line ends of Unix".to_owned());
    }
    if let Some(straight) = straight_quote(c) {
        let shown = if c == '`' { "a backtick".to_owned() } else { format!("`{c}`") };
        return Some(format!("{shown} is not a quote of TOML: write the straight quote `{straight}`"));
    }
    if let Some(name) = invisible_name(c) {
        let instead = if is_blank(c) { "replace it by a normal blank" } else { "delete it" };
        return Some(format!("the invisible character U+{code:04X} ({name}) is here: {instead}"));
    }
    if c.is_control() && c != '\t' {
        return Some(format!("the control character U+{code:04X} is here: delete it"));
    }
    if let Some((_, latin)) = LOOKALIKES.iter().find(|(foreign, _)| *foreign == c) {
        return Some(format!("the character U+{code:04X} only looks like `{latin}`: write `{latin}`"));
    }
    (!c.is_ascii())
        .then(|| format!("the character U+{code:04X} may only be in quotes: keys are written with ASCII letters, digits, `_` and `-`"))
}

/// The straight quote for one of a word processor.
fn straight_quote(c: char) -> Option<char> {
    match c {
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '＂' => Some('"'),
        '‘' | '’' | '‚' | '‛' | '‹' | '›' | '´' | '`' | '′' | '＇' => Some('\''),
        _ => None,
    }
}

/// The name of a character that nobody can see.
pub(in crate::config) fn invisible_name(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{a0}' | '\u{202f}' => "no-break space",
        '\u{ad}' => "soft hyphen",
        '\u{200b}' => "zero-width space",
        '\u{200c}' => "zero-width non-joiner",
        '\u{200d}' => "zero-width joiner",
        '\u{2060}' => "word joiner",
        '\u{feff}' => "byte-order mark",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{85}' => "next line",
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "direction of writing",
        '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' | '\u{1680}' => "wide or narrow space",
        '\u{180e}' | '\u{2061}'..='\u{2064}' | '\u{115f}' | '\u{3164}' | '\u{e0000}'..='\u{e007f}' => "without a glyph",
        _ => return None,
    })
}

/// Whether an invisible character takes the place of a blank or of the end of a line.
const fn is_blank(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{202f}' | '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' | '\u{1680}')
}

/// Characters of other alphabets that look like one of ASCII.
const LOOKALIKES: &[(char, char)] = &[
    ('а', 'a'),
    ('с', 'c'),
    ('е', 'e'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ј', 'j'),
    ('ԛ', 'q'),
    ('о', 'o'),
    ('р', 'p'),
    ('ѕ', 's'),
    ('у', 'y'),
    ('х', 'x'),
    ('ԁ', 'd'),
    ('ο', 'o'),
    ('α', 'a'),
    ('ν', 'v'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ı', 'i'),
    ('ℓ', 'l'),
    ('＝', '='),
    ('：', ':'),
    ('，', ','),
    ('．', '.'),
    ('［', '['),
    ('］', ']'),
    ('｛', '{'),
    ('｝', '}'),
    ('＃', '#'),
    ('＿', '_'),
    ('‐', '-'),
    ('‑', '-'),
    ('–', '-'),
    ('—', '-'),
    ('−', '-'),
    ('․', '.'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_outside_of_texts_and_comments_count() {
        assert_eq!(explain("kind = \"“tcp”\" # ‘\u{a0}’"), None);
        assert_eq!(explain("kind = 'o\\' \u{200b}").map(|(at, _)| at), Some(12));
        assert_eq!(explain("kind = \"o\\\"\u{200b}\""), None);
        assert_eq!(
            explain("\u{a0}kind = \"tcp\""),
            Some((0, "the invisible character U+00A0 (no-break space) is here: replace it by a normal blank".to_owned()))
        );
        assert_eq!(explain("kіnd = \"tcp\""), Some((1, "the character U+0456 only looks like `i`: write `i`".to_owned())));
        assert_eq!(explain("kind = “tcp”"), Some((7, "`“` is not a quote of TOML: write the straight quote `\"`".to_owned())));
    }
}
