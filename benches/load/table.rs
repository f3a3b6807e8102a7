//! The table: what each figure must reach, and what it reached.

use std::io::{self, Write};

/// One figure.
pub(crate) struct Row {
    figure: String,
    wanted: String,
    found: String,
    reached: bool,
}

impl Row {
    pub(crate) fn new(figure: &str, wanted: &str, found: String, reached: bool) -> Self {
        let row = Self { figure: figure.to_owned(), wanted: wanted.to_owned(), found, reached };
        tell(&row.shown());
        row
    }

    /// A figure that must not be above a limit.
    pub(crate) fn at_most(figure: &str, wanted: &str, found: String, value: f64, limit: f64) -> Self {
        Self::new(figure, wanted, found, value <= limit)
    }

    /// A figure that must not be below a limit.
    pub(crate) fn at_least(figure: &str, wanted: &str, found: String, value: f64, limit: f64) -> Self {
        Self::new(figure, wanted, found, value >= limit)
    }

    pub(crate) fn shown(&self) -> String {
        let Self { figure, wanted, found, reached } = self;
        format!("| {figure} | {wanted} | {found} | {} |", if *reached { "yes" } else { "**no**" })
    }
}

/// A line for who waits.
pub(crate) fn tell(line: &str) {
    // When nobody listens there is nothing left to do.
    let _ = writeln!(io::stderr(), "{line}");
}
