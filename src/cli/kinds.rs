//! `allswell kinds`: the reference of the kinds, on the terminal.

use super::{error::CommandError, exit::Exit, terminal::print};
use crate::kinds::{Registry, reference};
use clap::Args;

/// The arguments of `kinds`.
#[derive(Debug, Args)]
pub(super) struct Kinds {
    /// Kind to describe, with its keys [default: list all kinds]
    kind: Option<String>,
    /// Print the reference of all kinds as Markdown
    #[arg(long, conflicts_with = "kind")]
    markdown: bool,
}

impl Kinds {
    pub(super) fn run(self, registry: &Registry) -> Result<Exit, CommandError> {
        let text = match self.kind {
            Some(name) => reference::kind(registry.find(&name).map_err(|unknown| {
                let hint = unknown.hint.map_or_else(String::new, |hint| format!("; {hint}"));
                CommandError::Usage(format!("{}{hint}", unknown.issue))
            })?),
            None if self.markdown => reference::markdown(registry),
            None => reference::list(registry),
        };
        print(&text);
        Ok(Exit::Done)
    }
}
