//! Error responses of object storage, and what they mean with every provider.

use super::connection::StorageResponse;
use crate::contract::{Failure, FailureClass};
use hyper::{
    StatusCode,
    header::{HeaderMap, HeaderName},
};
use std::fmt;

/// What the probe tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Write,
    Read,
    Delete,
}

/// An error response.
pub(crate) struct Refusal {
    pub(crate) action: Action,
    pub(crate) status: StatusCode,
    /// The error code of the provider: `NoSuchBucket`, `ContainerNotFound`. Empty if there is none.
    pub(crate) code: String,
    headers: HeaderMap,
    body: String,
}

impl Refusal {
    pub(crate) fn new(action: Action, response: &StorageResponse) -> Self {
        let mut refusal = Self {
            action,
            status: response.status,
            code: String::new(),
            headers: response.headers.clone(),
            body: String::from_utf8_lossy(&response.body).into_owned(),
        };
        let code =
            refusal.header("x-ms-error-code").or_else(|| refusal.element("Code")).or_else(|| refusal.inner_header("x-ms-error-code"));
        refusal.code = code.unwrap_or_default();
        refusal
    }

    /// The value of a header, if it is a plain word.
    pub(crate) fn header(&self, name: &'static str) -> Option<String> {
        self.headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok()).and_then(plain_word)
    }

    /// The text of an element of the XML body, if it is a plain word. The elements of interest occur once, flat and unescaped.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        plain_word(rest.split_once('<')?.0)
    }

    /// A header of a response inside the body of another, as in a batch.
    fn inner_header(&self, name: &str) -> Option<String> {
        let lines = self.body.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).find_map(|(_, value)| plain_word(value))
    }

    /// Whether the body contains a text.
    #[cfg(any(feature = "azure_blob", feature = "gcs"))]
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// Whether the bucket exists and is accessible, and the object does not exist.
    pub(crate) fn is_missing_object(&self) -> bool {
        matches!(self.code.as_str(), "NoSuchKey" | "BlobNotFound")
    }

    /// Classifies a response by its status only.
    pub(crate) fn explain_status(&self) -> Failure {
        let class = match self.status.as_u16() {
            401 | 403 => FailureClass::Rejected,
            429 | 507 => FailureClass::Exhausted,
            _ => FailureClass::Unhealthy,
        };
        Failure::new(class, format!("the storage answered {self}"))
    }
}

/// The status and the error code.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.status.as_str())?;
        let words = if self.code.is_empty() { self.status.canonical_reason().unwrap_or_default() } else { &self.code };
        if words.is_empty() { Ok(()) } else { write!(formatter, " {words}") }
    }
}

/// A text that may be part of a message: 1 to 64 letters, digits and hyphens.
fn plain_word(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| text.to_owned())
}

/// Classifies the error codes of S3, which Google Cloud Storage uses, too. `bucket` and `object` are for the message, and `right` is what
/// the action requires. <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
#[cfg(any(feature = "gcs", feature = "s3"))]
pub(crate) fn explain_s3_code(refusal: &Refusal, bucket: &str, object: &str, right: &str) -> Failure {
    match refusal.code.as_str() {
        "NoSuchBucket" => Failure::unhealthy(format!("there is no bucket {bucket}")),
        "InvalidBucketName" => Failure::unhealthy(format!("{bucket} is not a valid bucket name")),
        "NoSuchKey" => Failure::unhealthy(format!("there is no object {object}")),
        "AccessDenied" | "Forbidden" => Failure::rejected(format!("access denied: needs {right} on {bucket}/{object}")),
        "InvalidObjectState" => Failure::unhealthy(format!("the object {object} is archived and cannot be read")),
        "AllAccessDisabled" | "AccountProblem" | "UserProjectAccountProblem" => Failure::rejected("the account may not be used"),
        "AuthenticationRequired" => Failure::rejected("the storage requires credentials, and none were sent"),
        "ExpiredToken" | "TokenRefreshRequired" => Failure::rejected("the credentials have expired"),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidSecurity" | "NotSignedUp" => {
            Failure::rejected("the credentials are not accepted")
        }
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => {
            Failure::rejected("the clocks of this machine and the storage differ too much")
        }
        "SlowDown" | "TooManyRequests" | "ThrottlingException" | "RequestLimitExceeded" => {
            Failure::exhausted("the storage is throttling our requests")
        }
        "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" => Failure::exhausted("the quota is used up"),
        "XMinioStorageFull" | "InsufficientStorage" => Failure::exhausted("no space is left"),
        "MethodNotAllowed" | "NotImplemented" => {
            Failure::unhealthy(format!("the storage does not support the operation: it answered {refusal}"))
        }
        _ => refusal.explain_status(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &'static str) -> Refusal {
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal::new(Action::Write, &StorageResponse { status, headers: HeaderMap::new(), body: body.into() })
    }

    #[test]
    fn codes_are_found_and_only_plain_words_are_quoted() {
        assert_eq!(refusal(404, "<?xml?><Error><Code>NoSuchBucket</Code></Error>").to_string(), "404 NoSuchBucket");
        assert_eq!(refusal(404, "<Error><Code>see http://secret</Code></Error>").to_string(), "404 Not Found");
        assert_eq!(refusal(599, "").to_string(), "599");
        let batch = refusal(202, "HTTP/1.1 403 No\r\nx-ms-error-code: AuthorizationFailure\r\n\r\n");
        assert_eq!(batch.code, "AuthorizationFailure");
    }

    #[test]
    fn without_a_code_the_status_decides() {
        for (status, class) in
            [(403, FailureClass::Rejected), (429, FailureClass::Exhausted), (500, FailureClass::Unhealthy), (404, FailureClass::Unhealthy)]
        {
            assert_eq!(refusal(status, "<html>").explain_status().class(), class, "{status}");
        }
    }
}
