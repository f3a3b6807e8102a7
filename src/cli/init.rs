//! `allswell init`: prints a first configuration.

use super::{
    error::CommandError,
    exit::Exit,
    terminal::{print, print_warning},
};
use crate::{
    config::{Sources, init, read_text},
    kinds::Registry,
};
use clap::Args;
use std::path::PathBuf;

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Compose file to read as well [default: docker-compose.yml or compose.yaml in the working directory, if it exists]
    #[arg(long, value_name = "FILE")]
    compose: Option<PathBuf>,
}

/// The names that Docker Compose looks for.
const COMPOSE_FILES: [&str; 4] = ["docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"];

impl Init {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> Result<Exit, CommandError> {
        sources.environment.warnings().iter().for_each(print_warning);
        let is_named = self.compose.is_some();
        let path = self.compose.or_else(|| COMPOSE_FILES.into_iter().map(PathBuf::from).find(|path| path.is_file()));
        let compose = match path.as_ref().map(|path| read_text(path)).transpose() {
            Ok(compose) => compose,
            Err(_) if !is_named => None,
            Err(error) => return Err(CommandError::Usage(format!("--compose: {error}"))),
        };
        let configuration = init(&sources.environment, compose.as_deref(), registry).map_err(CommandError::Usage)?;
        print(&configuration);
        Ok(Exit::Done)
    }
}
