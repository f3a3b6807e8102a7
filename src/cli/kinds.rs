//! `allswell kinds`: the reference, on the terminal.

use super::{DONE, USAGE, complain, print};
use crate::kinds::{Registry, reference};
use clap::Args;

/// The arguments of `kinds`.
#[derive(Debug, Args)]
pub(super) struct Kinds {
    /// Only this kind, with its keys
    kind: Option<String>,
    /// Print the whole reference as Markdown
    #[arg(long, conflicts_with = "kind")]
    markdown: bool,
}

impl Kinds {
    pub(super) fn run(self, registry: &Registry) -> u8 {
        let Some(name) = self.kind else {
            print(&if self.markdown { reference::markdown(registry) } else { reference::list(registry) });
            return DONE;
        };
        match registry.find(&name) {
            Ok(kind) => {
                print(&reference::kind(kind));
                DONE
            }
            Err(found) => {
                let hint = found.hint.map_or_else(String::new, |hint| format!("; {hint}"));
                complain(&format!("error: {}{hint}", found.issue));
                USAGE
            }
        }
    }
}
