//! A line of a file that is not TOML.

use std::iter;

/// A line, and where it is.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The offset of its beginning in the text.
    pub(super) start: usize,
    /// The line without its end.
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    /// The line at an offset. A mistake that the parser notices only at the end of a text is on the last line with content.
    pub(super) fn around(text: &'a str, offset: usize) -> Self {
        let content = text.trim_end().len();
        let offset = text.floor_char_boundary(offset.min(content));
        let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        Self { start, text: text[start..end].trim_end_matches('\r') }
    }

    /// Every line of a text that is neither empty nor a comment.
    pub(super) fn significant(text: &'a str) -> impl Iterator<Item = Self> {
        let mut start = 0;
        let lines = iter::from_fn(move || {
            let line = text.get(start..).filter(|rest| !rest.is_empty())?.split('\n').next()?;
            let found = Self { start, text: line.trim_end_matches('\r') };
            start += line.len() + 1;
            Some(found)
        });
        lines.filter(|line| !matches!(line.text.trim_start_matches('\u{feff}').trim_start().chars().next(), None | Some('#')))
    }

    /// The bytes of white space at its beginning.
    pub(super) fn indentation(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// Whether it is a key and its value, both complete, so that other lines do not depend on it.
    pub(super) fn is_assignment(&self) -> bool {
        let Some((key, value)) = self.text.split_once('=') else { return false };
        let is_open = |value: &str| {
            value.contains("\"\"\"") || value.contains("'''") || (value.starts_with('[') && !value.contains(']')) || {
                value.starts_with('{') && !value.contains('}')
            }
        };
        !key.trim_start().starts_with(['[', '{', ',']) && !is_open(value.trim())
    }

    /// The text with this line replaced by blanks, so that all offsets stay as they are.
    pub(super) fn blanked(&self, text: &str) -> Option<String> {
        let end = self.start + self.text.len();
        // Otherwise the same error would come again.
        (!self.text.trim().is_empty()).then(|| format!("{}{}{}", &text[..self.start], " ".repeat(self.text.len()), &text[end..]))
    }
}
