//! Standard output and standard error. Nothing else in the program writes to them, except the log.

use crate::config::Environment;
use allswell_checks::contract::printable;
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

/// Writes the result of a command to standard output. The reader may have left, as `head` does.
pub(super) fn print(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes lines to standard error. Control characters from a file or a server never reach the terminal.
pub(super) fn print_error(lines: &str) {
    // If standard error is closed, there is no other place to write to.
    let _ = writeln!(io::stderr(), "{}", printable_lines(lines));
}

/// Writes a warning to standard error.
pub(super) fn print_warning(warning: impl Display) {
    print_error(&format!("warning: {warning}"));
}

/// The text with its line breaks, and each line [`printable`].
pub(super) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Whether results are printed in colour: on a terminal, unless `NO_COLOR` is set.
pub(super) fn uses_colour(environment: &Environment) -> bool {
    io::stdout().is_terminal() && environment.get("NO_COLOR").is_none()
}
