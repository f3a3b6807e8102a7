//! The result of a probe as it is kept: bounded, and without secrets.

use crate::report::{FailureReport, Status};
use allswell_checks::contract::{Failure, Observation, Redactor, Value, Values, printable};
use std::borrow::Cow;

/// The result of a probe, bounded and without secrets.
pub(crate) struct Outcome {
    pub(super) raw: Status,
    pub(super) warning: Option<String>,
    pub(super) failure: Option<FailureReport>,
    pub(super) values: Values,
}

impl Outcome {
    /// Everything that a check says passes through the redactor here, and nowhere else: message, warning, cause and observed values. Sentences
    /// and names that are part of the program pass as they are: with a gap in them, whoever knows them could tell a password that is a word.
    ///
    /// Calls code of the check: the `Display` of its errors.
    pub(crate) fn new(result: Result<Observation, Failure>, redactor: &Redactor) -> Self {
        match result {
            Ok(observation) => {
                let (warning, values) = observation.into_parts();
                let raw = if warning.is_some() { Status::Warn } else { Status::Pass };
                let warning = warning.map(|text| bounded_text(&redactor.redact(&text)));
                Self { raw, warning, failure: None, values: bounded(values, redactor) }
            }
            Err(failure) => {
                // Redacted first, then cut: half a secret would not be recognised.
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

/// The longest text of a result that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// How many observed values are kept at most.
const MAX_VALUES: usize = 64;
/// The longest observed value that is kept, in bytes of JSON.
const MAX_VALUE_BYTES: usize = 4096;
/// The longest name of an observed value that is kept, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// A text without secrets, unless it is part of the program, and without characters that nobody sees.
fn redacted(text: Cow<'static, str>, redactor: &Redactor) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => printable(text),
        Cow::Owned(text) => redactor.redact(&text).into_owned().into(),
    }
}

/// A check may return anything; what is kept and served is bounded.
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
    fn nothing_that_a_check_says_holds_a_secret_or_an_unseen_character() {
        let redactor = Redactor::new(&["hunter2", "Bearer tok3n-007"].map(Secret::new));
        let said = || "\u{202e}hunter2\u{2028}tok3n-007\u{1b}".to_owned();
        let observed = |name: &str| json!({ name: [name, { name: name }] });
        let passed = Outcome::new(Ok(Observation::warn(said()).with(said(), observed(&said()))), &redactor);
        let failure = Failure::unhealthy(said()).because(said()).with(said(), observed(&said()));
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
    fn our_own_words_have_no_gaps_that_tell_a_password() {
        let redactor = Redactor::new(&["refused", "status", "replica"].map(Secret::new));
        let failure = Failure::unreachable("x").saying("connection refused").with("status_code", 500).with("role", "replica");
        let outcome = Outcome::new(Err(failure), &redactor);
        assert_eq!(outcome.failure.expect("a failure").message, "connection refused");
        assert_eq!(outcome.values["status_code"], 500);
        assert_eq!(outcome.values["role"], "***", "a value may come from anywhere");
    }

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
