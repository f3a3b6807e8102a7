//! The table of results: each figure, its requirement, and the measurement.

use std::io::{self, Write};

/// One figure, its requirement, and the measurement.
pub(crate) struct Row {
    figure: String,
    requirement: String,
    measured: String,
    is_met: bool,
}

impl Row {
    /// Makes a row, and prints it at once, because the whole comparison takes about 25 minutes.
    pub(crate) fn new(figure: &str, requirement: &str, measured: String, is_met: bool) -> Self {
        let row = Self { figure: figure.to_owned(), requirement: requirement.to_owned(), measured, is_met };
        print_line(&row.to_markdown());
        row
    }

    /// A figure that must not exceed a limit.
    pub(crate) fn at_most(figure: &str, requirement: &str, measured: String, value: f64, limit: f64) -> Self {
        Self::new(figure, requirement, measured, value <= limit)
    }

    /// A figure that must reach a limit.
    pub(crate) fn at_least(figure: &str, requirement: &str, measured: String, value: f64, limit: f64) -> Self {
        Self::new(figure, requirement, measured, value >= limit)
    }

    pub(crate) fn to_markdown(&self) -> String {
        let Self { figure, requirement, measured, is_met } = self;
        format!("| {figure} | {requirement} | {measured} | {} |", if *is_met { "yes" } else { "**no**" })
    }
}

/// Prints a line on standard error.
pub(crate) fn print_line(line: &str) {
    // There is no other place to report a closed standard error.
    let _ = writeln!(io::stderr(), "{line}");
}
