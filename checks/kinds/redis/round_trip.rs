//! A key of ours: written, read, compared and deleted, in one round trip.

use super::CommandReply;
use crate::{contract::prelude::*, wire::resp::failure};
use redis::Pipeline;

/// How our keys begin. What stands in braces decides which node of a cluster has them, so that it is always the same one.
pub(super) const KEY_PREFIX: &str = "allswell:{probe}:";

/// How many seconds a key lives that could not be deleted.
const KEY_TTL_SECONDS: u8 = 10;

/// One key, which nobody else has.
pub(super) struct KeyRoundTrip {
    key: String,
    value: String,
}

impl KeyRoundTrip {
    pub(super) fn new() -> Self {
        Self { key: format!("{KEY_PREFIX}{:016x}", fastrand::u64(..)), value: format!("{:016x}", fastrand::u64(..)) }
    }

    /// The commands: it is deleted whatever was read. A node that is still to get the key's slot must be told that we know.
    pub(super) fn add_to(&self, commands: &mut Pipeline, asking: bool) {
        let each = |commands: &mut Pipeline, name: &str| {
            if asking {
                commands.cmd("ASKING").ignore();
            }
            commands.cmd(name).arg(&self.key);
        };
        each(commands, "SET");
        commands.arg(&self.value).arg("EX").arg(KEY_TTL_SECONDS);
        each(commands, "GET");
        each(commands, "DEL");
    }

    /// What was answered to them.
    pub(super) fn judge(&self, answers: impl Iterator<Item = CommandReply>) -> Result<(), Failure> {
        let answers = answers.collect::<Result<Vec<_>, _>>().map_err(failure)?;
        match &answers[..] {
            [_, Some(read), _] if *read == self.value => Ok(()),
            _ => Err(Failure::unhealthy("the data read back is not the data written")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_must_be_what_was_written() {
        let round_trip = KeyRoundTrip::new();
        let judged =
            |read: Option<&str>| round_trip.judge([Some("OK"), read, Some("1")].into_iter().map(|text| Ok(text.map(str::to_owned))));
        assert!(judged(Some(round_trip.value.as_str())).is_ok());
        for wrong in [None, Some(""), Some("another")] {
            assert_eq!(judged(wrong).expect_err("it is wrong").class(), FailureClass::Unhealthy);
        }
    }
}
