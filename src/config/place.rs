//! The place of a value in the configuration: a line of a file, an environment variable or a flag.

use std::{fmt, path::PathBuf};

/// Where a value of the configuration comes from. Places are ordered as problems are printed: files from top to bottom first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A file; line and column count from 1.
    File {
        /// As it was named.
        path: PathBuf,
        /// Line and column, where they are known.
        at: Option<(usize, usize)>,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
    /// Nowhere in particular.
    Configuration,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, at: Some((line, column)) } => write!(formatter, "{}:{line}:{column}", path.display()),
            Self::File { path, at: None } => write!(formatter, "{}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
            Self::Configuration => formatter.write_str("configuration"),
        }
    }
}
