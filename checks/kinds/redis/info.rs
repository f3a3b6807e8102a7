//! What `INFO` and `CLUSTER INFO` tell.

use super::CommandReply;
use crate::{contract::prelude::*, wire::resp::failure};
use std::collections::HashMap;

/// Fields by name.
pub(super) struct InfoFields<'a>(HashMap<&'a str, &'a str>);

impl<'a> InfoFields<'a> {
    /// Reads `name:value`, one a line.
    pub(super) fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// An answer that must be a text.
pub(super) fn text(answer: Option<CommandReply>) -> Result<String, Failure> {
    answer.and_then(Result::transpose).ok_or_else(|| Failure::protocol("a reply without text"))?.map_err(failure)
}
