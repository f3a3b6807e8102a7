//! Parses the replies to `INFO` and `CLUSTER INFO`.

use super::CommandReply;
use crate::{contract::prelude::*, wire::resp::failure};
use std::collections::HashMap;

/// The fields by name.
pub(super) struct InfoFields<'a>(HashMap<&'a str, &'a str>);

impl<'a> InfoFields<'a> {
    /// Parses `name:value` lines.
    pub(super) fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    /// The version of Redis, or of Valkey, which also reports the version of Redis that it is compatible with.
    pub(super) fn server_version(&self) -> Option<&'a str> {
        self.get("valkey_version").or(self.get("redis_version"))
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// A reply that must be a text.
pub(super) fn text(reply: Option<CommandReply>) -> Result<String, Failure> {
    reply.and_then(Result::transpose).ok_or_else(|| Failure::protocol("a reply without text"))?.map_err(failure)
}
