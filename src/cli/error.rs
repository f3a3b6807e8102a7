//! Why a command cannot do what it was asked to do.

use super::{exit::Exit, resources::Shortage};
use crate::{config::ConfigError, service::BindError};
use std::io;
use thiserror::Error;
use tracing::Level;

/// Why a command cannot do what it was asked to do.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    /// The configuration has problems.
    #[error("{0}")]
    Configuration(#[from] ConfigError),
    /// Files given by `--env-file` cannot be used.
    #[error("{}", .0.join("\n"))]
    EnvironmentFiles(Vec<String>),
    /// The command line is wrong, or names something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The command was right, but what it needs is not there.
    #[error("{0}")]
    NotWell(String),
    /// The operating system refuses threads or sockets.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// The operating system gives this process too little of something.
    #[error("cannot start: {0}")]
    Resources(#[from] Shortage),
    /// Signals cannot be handled.
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    #[error("{0}")]
    Bind(#[from] BindError),
}

impl CommandError {
    /// The exit code.
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) | Self::EnvironmentFiles(_) | Self::Usage(_) | Self::Bind(BindError::Certificate { .. }) => Exit::Usage,
            Self::NotWell(_) | Self::Start(_) | Self::Resources(_) | Self::Signals(_) | Self::Bind(_) => Exit::NotWell,
        }
    }

    /// The lines for people.
    pub(super) fn text(&self) -> String {
        match self {
            // Its lines begin with `error: ` or `warning: ` already.
            Self::Configuration(error) => error.to_string(),
            _ => self.events().iter().map(|(_, message)| format!("error: {message}")).collect::<Vec<_>>().join("\n"),
        }
    }

    /// The events for the log.
    pub(super) fn events(&self) -> Vec<(Level, String)> {
        let error = |message: String| (Level::ERROR, message);
        match self {
            Self::Configuration(found) => {
                let warnings = found.warnings.iter().map(|warning| (Level::WARN, warning.to_string()));
                let problems = found.problems.iter().map(|problem| error(problem.to_string()));
                warnings.chain(problems).chain([error(found.summary())]).collect()
            }
            Self::EnvironmentFiles(errors) => errors.iter().cloned().map(error).collect(),
            _ => vec![error(self.to_string())],
        }
    }
}
