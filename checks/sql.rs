//! What the SQL databases share: one row of an answer, and how sqlx's errors become failures.

use crate::contract::{Failure, FailureClass};
use sqlx::Error;

/// Compares the first column of the first row with what is expected.
pub(crate) fn expect(found: Option<&str>, expected: Option<&str>) -> Result<(), Failure> {
    match (found, expected) {
        (found, Some(expected)) if found != Some(expected) => Err(Failure::unhealthy(if found.is_none() {
            "the query returned nothing"
        } else {
            "the query did not return the expected value"
        })),
        _ => Ok(()),
    }
}

/// Classifies an error; what the database itself said is for the kind to classify.
pub(crate) fn failure(error: Error, classify: fn(code: &str) -> (FailureClass, &'static str)) -> Failure {
    match error {
        Error::Database(said) => {
            let (class, message) = classify(said.code().as_deref().unwrap_or_default());
            Failure::new(class, message).because(said.message().to_owned())
        }
        Error::Io(error) => Failure::network(error),
        Error::Tls(error) => Failure::tls(error),
        Error::Configuration(error) => Failure::internal(error).saying("the driver does not take these settings"),
        error @ (Error::Protocol(_) | Error::Decode(_) | Error::ColumnDecode { .. }) => Failure::protocol(error),
        error => Failure::internal(error),
    }
}
