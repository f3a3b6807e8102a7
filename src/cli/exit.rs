//! Exit codes.

use std::process::{ExitCode, Termination};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// 0: the command did what it was asked to do, and the answer is yes.
    Done,
    /// 1: the answer is no: something is not well, or cannot be reached or started.
    NotWell,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// Another code, of a command that was to be run.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::NotWell => 1,
            Exit::Usage => 2,
            Exit::Code(code) => code,
        })
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}
