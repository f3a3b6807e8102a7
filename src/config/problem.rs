//! What is wrong with a configuration, in words for the person who has to mend it.

use super::place::Place;
use allswell_checks::contract::Redactor;
use std::{fmt, path::PathBuf};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file and line, or the environment variable.
    pub(crate) place: Place,
    /// The whole key.
    pub(crate) path: Vec<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Takes secrets out of what is said. A hint is made of our own words alone.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        self.message = redactor.redact(&self.message).into_owned();
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place)?;
        if !self.path.is_empty() {
            let keys: Vec<_> = self.path.iter().map(|key| if is_plain(key) { key } else { "…" }).collect();
            write!(formatter, "{}: ", keys.join("."))?;
        }
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Whether a key looks like one. Others are not quoted: `"X-Key: hunter2" = ""` has a value in its key.
fn is_plain(key: &str) -> bool {
    key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Everything that is wrong with a configuration; a line each.
#[derive(Debug)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// The files that were read, or should have been, as far as they are known.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(formatter, "error: {problem}")?;
        }
        match self.problems.len() {
            1 => formatter.write_str("1 problem in the configuration; nothing was started"),
            many => write!(formatter, "{many} problems in the configuration; nothing was started"),
        }
    }
}

impl std::error::Error for ConfigError {}
