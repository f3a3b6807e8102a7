//! The result of a probe in the form in which it is kept: bounded in size and redacted.

use crate::report::{FailureReport, Status};
use allswell_checks::contract::{Failure, Observation, Redactor, Value, Values, printable};
use std::borrow::Cow;

/// The bounded and redacted result of a probe.
pub(crate) struct Outcome {
    pub(super) raw: Status,
    pub(super) warning: Option<String>,
    pub(super) failure: Option<FailureReport>,
    pub(super) values: Values,
}

impl Outcome {
    /// Redacts and bounds a result. This is the one place where everything that a check returns is redacted: message, warning, cause and observed
    /// values. Static sentences and names are part of the program and pass unchanged: a gap in a known sentence would reveal a password that is a
    /// common word.
    ///
    /// Calls code of the check, namely the `Display` of its errors.
    pub(crate) fn new(result: Result<Observation, Failure>, redactor: &Redactor) -> Self {
        match result {
            Ok(observation) => {
                let (warning, values) = observation.into_parts();
                let raw = if warning.is_some() { Status::Warn } else { Status::Pass };
                let warning = warning.map(|text| bounded_text(&redactor.redact(&text)));
                Self { raw, warning, failure: None, values: bounded(values, redactor) }
            }
            Err(failure) => {
                // Redact before truncating: half a secret would not be recognised.
                let cause = failure.cause().map(|cause| bounded_text(&redactor.redact(&cause)));
                let (class, message, values) = failure.into_parts();
                let message = match redacted(message, redactor) {
                    Cow::Borrowed(text) if text.len() <= MAX_TEXT_BYTES => Cow::Borrowed(text),
                    text => bounded_text(&text).into(),
                };
                let failure = Some(FailureReport { class, message, cause });
                Self { raw: Status::Fail, warning: None, failure, values: bounded(values, redactor) }
            }
        }
    }
}

/// The maximum length of a message, warning or cause, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// The maximum number of observed values.
const MAX_VALUES: usize = 64;
/// The maximum length of an observed value, in bytes of JSON.
const MAX_VALUE_BYTES: usize = 4096;
/// The maximum length of the name of an observed value, in bytes. Values with longer names are dropped.
const MAX_NAME_BYTES: usize = 128;

/// Removes invisible characters from a text, and secrets unless the text is part of the program.
fn redacted(text: Cow<'static, str>, redactor: &Redactor) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => printable(text),
        Cow::Owned(text) => redactor.redact(&text).into_owned().into(),
    }
}

/// Bounds observed values: a check may return anything.
fn bounded(values: Values, redactor: &Redactor) -> Values {
    let mut values: Values = values.into_iter().map(|(name, value)| (redacted(name, redactor), redactor.redact_value(value))).collect();
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
    use serde_json::json;

    #[test]
    fn no_part_of_a_result_keeps_a_secret_or_an_invisible_character() {
        let redactor = Redactor::new(&["hunter2", "Bearer tok3n-007"].map(Secret::new));
        let hostile = || "\u{202e}hunter2\u{2028}tok3n-007\u{1b}".to_owned();
        let observed = |name: &str| json!({ name: [name, { name: name }] });
        let passed = Outcome::new(Ok(Observation::warn(hostile()).with(hostile(), observed(&hostile()))), &redactor);
        let failure = Failure::unhealthy(hostile()).because(hostile()).with(hostile(), observed(&hostile()));
        let failed = Outcome::new(Err(failure), &redactor);
        let clean = "*** *** ";
        assert_eq!(passed.warning.as_deref(), Some(clean));
        let report = failed.failure.expect("a failure");
        assert_eq!((&*report.message, report.cause.as_deref()), (clean, Some(clean)));
        for values in [passed.values, failed.values] {
            assert_eq!(values.iter().collect::<Vec<_>>(), [(clean, &observed(clean))]);
        }
    }

    #[test]
    fn static_sentences_are_not_redacted_because_a_gap_would_reveal_the_password() {
        let redactor = Redactor::new(&["refused", "status", "replica"].map(Secret::new));
        let failure = Failure::unreachable("x").saying("connection refused").with("status_code", 500).with("role", "replica");
        let outcome = Outcome::new(Err(failure), &redactor);
        assert_eq!(outcome.failure.expect("a failure").message, "connection refused");
        assert_eq!(outcome.values["status_code"], 500);
        assert_eq!(outcome.values["role"], "***", "a value may come from anywhere");
    }

    #[test]
    fn a_secret_is_redacted_before_the_text_is_truncated() {
        let long = format!("{}hunter2 postgres://app:secret@db/ tail", "x".repeat(MAX_TEXT_BYTES - 3));
        let outcome = Outcome::new(Err(Failure::unreachable(long)), &Redactor::new([&Secret::new("hunter2")]));
        let cause = outcome.failure.and_then(|failure| failure.cause).expect("a cause");
        assert!(cause.ends_with("x***…") && cause.len() < 1100, "{cause}");
    }

    #[test]
    fn huge_results_are_truncated() {
        let huge = (0..1000).fold(Observation::warn("w".repeat(1 << 20)), |seen, n| seen.with(format!("v{n:04}"), "x".repeat(1 << 14)));
        let outcome = Outcome::new(Ok(huge.with("a".repeat(1 << 20), 1)), &Redactor::default());
        assert_eq!(outcome.values.len(), MAX_VALUES);
        assert!(outcome.values.iter().all(|(name, value)| value == "(too long to show)" && name.len() == 5));
        assert!(outcome.warning.is_some_and(|warning| warning.len() < 1100));
    }
}
