//! Gets a key, or sets, reads, compares and deletes one, in one round trip.

use super::client::{MemcachedClient, failure, is_error};
use crate::contract::prelude::*;

/// How long a key lives that could not be deleted.
const KEY_TTL_SECONDS: u8 = 10;

/// Gets a key that normally does not exist. Unlike `version`, a proxy does not answer it itself.
pub(super) fn get_command() -> String {
    "get allswell:probe\r\n".to_owned()
}

/// Reads the reply to [`get_command`].
pub(super) async fn judge_get(client: &mut MemcachedClient) -> Result<(), Failure> {
    let line = client.line().await?;
    match line.as_str() {
        "END" => Ok(()),
        _ if line.starts_with("VALUE allswell:probe ") => {
            while client.line().await? != "END" {}
            Ok(())
        }
        // A proxy that confuses connections gives the application the values of other keys, too.
        _ if line.starts_with("VALUE ") => Err(Failure::protocol(line).saying("the server replied with another key")),
        _ => Err(failure(&line)),
    }
}

/// A unique key and value: set, read, compared and deleted.
pub(super) struct ItemRoundTrip {
    key: String,
    value: String,
}

impl ItemRoundTrip {
    pub(super) fn new() -> Self {
        Self { key: format!("allswell:{:016x}", fastrand::u64(..)), value: format!("{:016x}", fastrand::u64(..)) }
    }

    /// The key is deleted whatever was read.
    pub(super) fn commands(&self) -> String {
        let Self { key, value } = self;
        format!("set {key} 0 {KEY_TTL_SECONDS} {}\r\n{value}\r\nget {key}\r\ndelete {key}\r\n", value.len())
    }

    pub(super) async fn judge(&self, client: &mut MemcachedClient) -> Result<(), Failure> {
        client.expect("STORED").await?;
        let found = client.line().await?;
        if is_error(&found) {
            return Err(failure(&found));
        }
        if found == "END" {
            return Err(Failure::unhealthy("the value that was just written is gone: it was evicted, or another server replied"));
        }
        if found != format!("VALUE {} 0 {}", self.key, self.value.len()) || client.line().await? != self.value {
            return Err(Failure::unhealthy("the data read back is not the data written"));
        }
        client.expect("END").await?;
        // The cache may have been flushed in between.
        let deleted = client.line().await?;
        if matches!(deleted.as_str(), "DELETED" | "NOT_FOUND") { Ok(()) } else { Err(failure(&deleted)) }
    }
}
