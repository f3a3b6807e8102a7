//! Text from servers and files, made safe to print.

use allswell_checks::contract::printable;
use hyper::StatusCode;

/// Text from a server or a file, on one line, without control characters, at most 120 characters.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let text = printable(text);
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// A status code and its reason phrase: `404 Not Found`.
pub(super) fn status_line(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}
