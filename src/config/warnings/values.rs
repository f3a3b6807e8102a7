//! Values of variables and of files of secrets that are probably not what was meant.

/// What word processors and chat programs make of `"` and `'`.
const TYPOGRAPHIC_QUOTES: [char; 8] = ['“', '”', '„', '‘', '’', '‚', '«', '»'];

/// What is suspicious about a value, as the end of a sentence that begins with the name of its source. It quotes nothing of the value.
pub(in crate::config) fn suspicion(value: &str) -> Option<&'static str> {
    let trimmed = value.trim();
    if ['"', '\''].iter().any(|quote| trimmed.len() > 1 && trimmed.starts_with(*quote) && trimmed.ends_with(*quote)) {
        return Some("has quotation marks around its value, which are a part of it here: remove them");
    }
    if trimmed.starts_with(TYPOGRAPHIC_QUOTES) && trimmed.ends_with(TYPOGRAPHIC_QUOTES) {
        return Some("has typographic quotation marks around its value, which are a part of it: remove them");
    }
    if trimmed.len() < value.len() {
        return Some("has blanks or a line break around its value: remove them");
    }
    has_reference(value).then_some("has a reference to another variable in its value, which is not replaced")
}

/// Whether a text has `${NAME}`, or `$(NAME)` as Kubernetes leaves it when there is no such variable.
fn has_reference(value: &str) -> bool {
    [("${", '}'), ("$(", ')')].iter().any(|(open, close)| {
        value.split(open).skip(1).any(|rest| {
            let name = rest.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')).next().unwrap_or_default();
            name.len() > 1 && rest[name.len()..].starts_with([*close, ':', '-'])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_not_meant_is_named() {
        for (value, expected) in [
            ("sesame", None),
            ("", None),
            (" \n", Some("blanks")),
            ("sesame\n", Some("blanks")),
            (" sesame", Some("blanks")),
            ("\"sesame\"", Some("quotation marks")),
            ("'sesame'\n", Some("quotation marks")),
            ("“sesame”", Some("typographic")),
            ("‘sesame’\n", Some("typographic")),
            ("it’s", None),
            ("\"", None),
            ("pa\"ss'", None),
            ("x${DB_PASSWORD}", Some("reference")),
            ("x${DB_PASSWORD:-y}", Some("reference")),
            ("x$(DB_PASSWORD)", Some("reference")),
            ("pa${x}$(", None),
            ("pa$WORD", None),
        ] {
            let found = suspicion(value);
            assert_eq!(found.is_some(), expected.is_some(), "{value:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{value:?}: {found:?}");
        }
    }
}
