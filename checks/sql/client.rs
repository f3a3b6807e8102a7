//! What the SQL databases share: the answer of a query, and how sqlx's errors become failures.

use crate::{
    contract::{Failure, FailureClass, InvalidConfig},
    wire::tls,
};
use sqlx::Error;

/// An expectation is one of a query's answer.
pub(crate) fn needs_query(query: Option<&String>, expect: Option<&String>) -> Result<(), InvalidConfig> {
    if expect.is_some() && query.is_none() {
        return Err(InvalidConfig::new("expect", "needs a `query` whose result it is compared with"));
    }
    Ok(())
}

/// Looks at an answer: whether there was a row, and what its first column holds. There must be one, and it must hold what is expected, if
/// anything is.
pub(crate) fn expect(row: bool, found: Option<&str>, expected: Option<&str>) -> Result<(), Failure> {
    match expected {
        _ if !row => Err(Failure::unhealthy("the query returned no row")),
        Some(expected) if found != Some(expected) => Err(Failure::unhealthy("the query did not return the expected value")),
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
        Error::Io(error) => tls::io_failure(error),
        Error::Tls(error) if error.to_string().contains("does not support TLS") => {
            Failure::tls(error).saying("the server does not offer TLS")
        }
        Error::Tls(error) => tls::failure(error),
        Error::Configuration(error) => Failure::internal(error).saying("the driver rejected these settings"),
        error @ (Error::Protocol(_) | Error::Decode(_) | Error::ColumnDecode { .. }) => Failure::protocol(error),
        error => Failure::internal(error),
    }
}
