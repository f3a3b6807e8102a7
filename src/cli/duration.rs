//! Durations as values of options.

use allswell_checks::contract::TimeSpan;
use std::time::Duration;

/// Parses a duration such as `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<TimeSpan>().map(|span| span.0)
}
