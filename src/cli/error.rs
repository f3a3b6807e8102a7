//! Why a command cannot do what it was asked to do.

use super::{exit::Exit, resources::Shortage};
use crate::{config::ConfigError, service::BindError};
use std::io;
use thiserror::Error;

/// Why a command cannot do what it was asked to do. Its text is printed as it is.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    /// The configuration has problems. Each of their lines begins with `error: ` already.
    #[error("{0}")]
    Configuration(#[from] ConfigError),
    /// Files given by `--env-file` cannot be used.
    #[error("{}", lines(.0))]
    EnvironmentFiles(Vec<String>),
    /// The command line is wrong, or names something that does not exist.
    #[error("error: {0}")]
    Usage(String),
    /// The command was right, but what it needs is not there.
    #[error("error: {0}")]
    NotWell(String),
    /// The operating system refuses threads or sockets.
    #[error("error: cannot start: {0}")]
    Start(#[source] io::Error),
    /// The operating system gives this process too little of something.
    #[error("error: cannot start: {0}")]
    Resources(#[from] Shortage),
    #[error("error: cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    #[error("error: {0}")]
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
}

fn lines(errors: &[String]) -> String {
    errors.iter().map(|error| format!("error: {error}")).collect::<Vec<_>>().join("\n")
}
