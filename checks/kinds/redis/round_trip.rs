//! Writes, reads, compares and deletes a key, in one round trip.

use super::CommandReply;
use crate::{contract::prelude::*, wire::resp::failure};
use redis::Pipeline;

/// Prefix of the keys. The part in braces decides which node of a cluster has them, so that it is always the same.
pub(super) const KEY_PREFIX: &str = "allswell:{probe}:";

/// How long a key lives that could not be deleted.
const KEY_TTL_SECONDS: u8 = 10;

/// A unique key and value.
pub(super) struct KeyRoundTrip {
    key: String,
    value: String,
    /// Whether `ASKING` is sent before each command, as a node requires to which the slot is being moved.
    asking: bool,
}

impl KeyRoundTrip {
    pub(super) fn new(asking: bool) -> Self {
        Self { key: format!("{KEY_PREFIX}{:016x}", fastrand::u64(..)), value: format!("{:016x}", fastrand::u64(..)), asking }
    }

    /// Adds the commands. The key is deleted whatever was read.
    pub(super) fn add_to(&self, commands: &mut Pipeline) {
        let each = |commands: &mut Pipeline, name: &str| {
            if self.asking {
                commands.cmd("ASKING");
            }
            commands.cmd(name).arg(&self.key);
        };
        each(commands, "SET");
        commands.arg(&self.value).arg("EX").arg(KEY_TTL_SECONDS);
        each(commands, "GET");
        each(commands, "DEL");
    }

    /// Judges the replies.
    pub(super) fn judge(&self, replies: impl Iterator<Item = CommandReply>) -> Result<(), Failure> {
        let (first, step) = if self.asking { (1, 2) } else { (0, 1) };
        let replies = replies.skip(first).step_by(step).collect::<Result<Vec<_>, _>>().map_err(failure)?;
        match &replies[..] {
            [_, Some(read), _] if *read == self.value => Ok(()),
            [_, None, _] => Err(Failure::unhealthy("the value that was just written is gone: it was evicted, or another server replied")),
            _ => Err(Failure::unhealthy("the data read back is not the data written")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_read_must_be_the_value_written() {
        let round_trip = KeyRoundTrip::new(false);
        let judged =
            |read: Option<&str>| round_trip.judge([Some("OK"), read, Some("1")].into_iter().map(|text| Ok(text.map(str::to_owned))));
        assert!(judged(Some(round_trip.value.as_str())).is_ok());
        for (wrong, message) in [
            (None, "the value that was just written is gone: it was evicted, or another server replied"),
            (Some(""), "the data read back is not the data written"),
            (Some("another"), "the data read back is not the data written"),
        ] {
            let failure = judged(wrong).expect_err("it is wrong");
            assert_eq!((failure.class(), failure.message()), (FailureClass::Unhealthy, message));
        }
    }
}
