//! `allswell completions`: completion scripts for shells.

use super::{exit::Exit, terminal::print};
use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell to print the script for
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, mut program: Command) -> Exit {
        let mut script = Vec::new();
        generate(self.shell, &mut program, "allswell", &mut script);
        print(&String::from_utf8_lossy(&script));
        Exit::Done
    }
}
