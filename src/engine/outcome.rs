//! The result of a probe as it is kept: bounded, and without secrets.

use crate::report::{FailureReport, Status};
use allswell_checks::contract::{Failure, Observation, Redactor, Value, Values};

/// The result of a probe, bounded and without secrets.
pub(crate) struct Outcome {
    pub(super) raw: Status,
    pub(super) warning: Option<String>,
    pub(super) failure: Option<FailureReport>,
    pub(super) values: Values,
}

impl Outcome {
    /// Calls code of the check: the `Display` of its errors.
    pub(crate) fn new(result: Result<Observation, Failure>, redactor: &Redactor) -> Self {
        match result {
            Ok(observation) => {
                let (warning, values) = observation.into_parts();
                let raw = if warning.is_some() { Status::Warn } else { Status::Pass };
                Self { raw, warning: warning.map(|text| bounded_text(&text)), failure: None, values: bounded(values) }
            }
            Err(failure) => {
                // Redacted first, then cut: half a secret would not be recognised.
                let cause = failure.cause().map(|cause| bounded_text(&redactor.redact(&cause)));
                let (class, message, values) = failure.into_parts();
                let message = if message.len() > MAX_TEXT_BYTES { bounded_text(&message).into() } else { message };
                Self { raw: Status::Fail, warning: None, failure: Some(FailureReport { class, message, cause }), values: bounded(values) }
            }
        }
    }
}

/// The longest text of a result that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// How many observed values are kept at most.
const MAX_VALUES: usize = 64;
/// The longest observed value that is kept, in bytes of JSON.
const MAX_VALUE_BYTES: usize = 4096;
/// The longest name of an observed value that is kept, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// A check may return anything; what is kept and served is bounded.
fn bounded(mut values: Values) -> Values {
    let fits = |value: &Value| serde_json::to_string(value).is_ok_and(|json| json.len() <= MAX_VALUE_BYTES);
    let mut kept = 0;
    values.retain(|name, value| {
        if name.len() > MAX_NAME_BYTES || kept == MAX_VALUES {
            return false;
        }
        kept += 1;
        if !fits(value) {
            *value = "(too long to show)".into();
        }
        true
    });
    values
}

fn bounded_text(text: &str) -> String {
    let mut bounded = text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned();
    if bounded.len() < text.len() {
        bounded.push('…');
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use allswell_checks::contract::Secret;

    #[test]
    fn a_secret_is_redacted_before_the_text_is_cut() {
        let long = format!("{}hunter2 postgres://app:secret@db/ tail", "x".repeat(MAX_TEXT_BYTES - 3));
        let outcome = Outcome::new(Err(Failure::unreachable(long)), &Redactor::new([&Secret::new("hunter2")]));
        let cause = outcome.failure.and_then(|failure| failure.cause).expect("a cause");
        assert!(cause.ends_with("x***…") && cause.len() < 1100, "{cause}");
    }

    #[test]
    fn huge_results_are_cut() {
        let huge = (0..1000).fold(Observation::warn("w".repeat(1 << 20)), |seen, n| seen.with(format!("v{n:04}"), "x".repeat(1 << 14)));
        let outcome = Outcome::new(Ok(huge.with("a".repeat(1 << 20), 1)), &Redactor::default());
        assert_eq!(outcome.values.len(), MAX_VALUES);
        assert!(outcome.values.iter().all(|(name, value)| value == "(too long to show)" && name.len() == 5));
        assert!(outcome.warning.is_some_and(|warning| warning.len() < 1100));
    }
}
