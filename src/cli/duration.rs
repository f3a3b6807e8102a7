//! Durations as values of options.

use allswell_checks::contract::TimeSpan;
use std::time::Duration;

/// Parses a duration such as `500ms`. None is zero: nothing could be done in that time.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<TimeSpan>()?;
    if span.0.is_zero() { Err("must be greater than zero".to_owned()) } else { Ok(span.0) }
}
