//! The problems of a configuration, as users read them: place, key, what is wrong and what to do.

use super::place::Place;
use allswell_checks::contract::Redactor;
use std::{fmt, path::PathBuf};

/// One problem of a configuration, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the key is set, or should be.
    pub(crate) place: Place,
    /// The whole key.
    pub(crate) path: Vec<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Removes secrets from the message. A hint never contains values.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        self.message = redactor.redact(&self.message).into_owned();
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place)?;
        if !self.path.is_empty() {
            let keys: Vec<_> = self.path.iter().map(|key| if is_quotable(key) { key } else { "…" }).collect();
            write!(formatter, "{}: ", keys.join("."))?;
        }
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Whether a key looks like a key and can be quoted: `"X-Key: hunter2" = ""` has a value in place of one.
pub(super) fn is_quotable(key: &str) -> bool {
    key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// All problems of a configuration. `Display` prints a line for each.
#[derive(Debug)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// Warnings that may explain the problems: variables that were skipped, and names that are probably misspelled.
    pub warnings: Vec<Problem>,
    /// The files that were read, or should have been, as far as they are known. A service watches them for a fix.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(formatter, "warning: {warning}")?;
        }
        for problem in &self.problems {
            writeln!(formatter, "error: {problem}")?;
        }
        formatter.write_str(&self.summary())
    }
}

impl ConfigError {
    /// How many problems there are, and the consequence.
    pub(crate) fn summary(&self) -> String {
        match self.problems.len() {
            1 => "1 problem in the configuration; nothing was started".to_owned(),
            many => format!("{many} problems in the configuration; nothing was started"),
        }
    }
}

impl std::error::Error for ConfigError {}
