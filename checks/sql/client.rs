//! What all SQL kinds share: the result of a query, and the classification of errors of sqlx.

use crate::{
    contract::{Failure, FailureClass, InvalidConfig},
    wire::tls,
};
use sqlx::Error;

/// A `query` is not empty, and `expect` applies to its result.
pub(crate) fn needs_query(query: Option<&String>, expect: Option<&String>) -> Result<(), InvalidConfig> {
    if query.is_some_and(|query| query.trim().is_empty()) {
        return Err(InvalidConfig::new("query", "is empty: write a statement, or remove the key"));
    }
    if expect.is_some() && query.is_none() {
        return Err(InvalidConfig::new("expect", "needs a `query` whose result it is compared with"));
    }
    Ok(())
}

/// Judges the result of a query: `row` is whether there is a row, and `found` its first column. There must be a row, and its first column
/// must be `expected`, if that is set.
pub(crate) fn expect(row: bool, found: Option<&str>, expected: Option<&str>) -> Result<(), Failure> {
    match expected {
        _ if !row => Err(no_row()),
        Some(expected) if found != Some(expected) => Err(Failure::unhealthy("the query did not return the expected value")),
        _ => Ok(()),
    }
}

/// A query without a result.
pub(crate) fn no_row() -> Failure {
    Failure::unhealthy("the query returned no row")
}

/// Classifies an error. The kind classifies the error codes of the database itself.
pub(crate) fn failure(error: Error, classify: fn(code: &str) -> (FailureClass, &'static str)) -> Failure {
    match error {
        Error::Database(said) => {
            let (class, message) = classify(said.code().as_deref().unwrap_or_default());
            Failure::new(class, message).because(said.message().to_owned())
        }
        Error::Io(error) => tls::io_failure(error),
        // sqlx has no type for this.
        Error::Tls(error) if error.to_string().contains("does not support TLS") => {
            Failure::tls(error).saying("the server does not offer TLS")
        }
        Error::Tls(error) => tls::failure(error),
        Error::Configuration(error) => Failure::internal(error).saying("the driver rejected these settings"),
        error @ (Error::Protocol(_) | Error::Decode(_) | Error::ColumnDecode { .. }) => Failure::protocol(error),
        error => Failure::internal(error),
    }
}
