//! `allswell init`: a first configuration.

use super::{DONE, USAGE, complain, print};
use crate::{
    config::{Sources, init, read_text},
    kinds::Registry,
};
use clap::Args;
use std::path::PathBuf;

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// A compose file to look through, too [default: docker-compose.yml or compose.yaml in the working directory, if it is there]
    #[arg(long, value_name = "FILE")]
    compose: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(self, sources: &Sources, registry: &Registry) -> u8 {
        let usual = ["docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"].map(PathBuf::from);
        let named = self.compose.is_some();
        let path = self.compose.or_else(|| usual.into_iter().find(|path| path.is_file()));
        let compose = match path.as_ref().map(|path| read_text(path)).transpose() {
            Ok(compose) => compose,
            Err(_) if !named => None,
            Err(error) => {
                complain(&format!("error: --compose: {error}"));
                return USAGE;
            }
        };
        match init(&sources.environment, compose.as_deref(), registry) {
            Ok(text) => {
                print(&text);
                DONE
            }
            Err(error) => {
                complain(&format!("error: {error}"));
                USAGE
            }
        }
    }
}
