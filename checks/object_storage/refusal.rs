//! Error responses of object storage, and what they mean with every provider.

use super::connection::StorageResponse;
use crate::contract::{Failure, FailureClass};
use hyper::{
    StatusCode,
    header::{HeaderMap, HeaderName},
};
use std::fmt;
#[cfg(any(feature = "gcs", feature = "s3"))]
use std::time::SystemTime;

/// What the probe tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Write,
    Read,
    Delete,
    DeleteVersion,
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
        let code = refusal.header("x-ms-error-code").or_else(|| refusal.code()).or_else(|| refusal.inner_header("x-ms-error-code"));
        refusal.code = code.unwrap_or_default();
        refusal
    }

    /// An error response with a code and a text in XML.
    #[cfg(test)]
    pub(crate) fn with_code(action: Action, status: u16, code: &str, text: &str) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>");
        let status = StatusCode::from_u16(status).expect("a status");
        Self::new(action, &StorageResponse { uri: hyper::Uri::default(), status, headers: HeaderMap::new(), body: body.into() })
    }

    /// The error code of the body. S3 puts `KMS.` before those of KMS.
    fn code(&self) -> Option<String> {
        let text = self.text("Code")?;
        text.strip_prefix("KMS.").map_or_else(|| plain_word(text), |code| plain_word(code).map(|code| format!("KMS.{code}")))
    }

    /// The value of a header, if it is a plain word.
    pub(crate) fn header(&self, name: &'static str) -> Option<String> {
        self.headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok()).and_then(plain_word)
    }

    /// The text of an element of the XML body. The elements of interest occur once, flat and unescaped.
    fn text(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.trim())
    }

    /// The text of an element of the XML body, if it is a plain word.
    #[cfg(feature = "s3")]
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        self.text(name).and_then(plain_word)
    }

    /// The time in an element of the XML body: `20261120T100000Z` or `2026-11-20T10:00:00Z`.
    #[cfg(any(feature = "gcs", feature = "s3"))]
    pub(super) fn time(&self, name: &str) -> Option<SystemTime> {
        let digits: String = self.text(name)?.chars().filter(char::is_ascii_digit).collect();
        let part = |from: usize, to: usize| digits.get(from..to);
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
    }

    /// Whether the body is a web page, as proxies, firewalls and captive portals send.
    fn is_web_page(&self) -> bool {
        let start: String = self.body.trim_start().chars().take(14).collect::<String>().to_ascii_lowercase();
        start.starts_with("<html") || start.starts_with("<!doctype html")
    }

    /// The status and the error code, or the reason in JSON, as servers of credentials send it.
    pub(super) fn with_reason(&self) -> String {
        let reason = || {
            let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
            let word = ["error", "code", "Code"].iter().find_map(|key| body[key].as_str())?;
            plain_word(&word.replace('_', "-")).map(|_| word.trim().to_owned())
        };
        match reason().filter(|_| self.code.is_empty()) {
            Some(reason) => format!("{} {reason}", self.status.as_str()),
            None => self.to_string(),
        }
    }

    /// A header of a response inside the body of another, as in a batch.
    fn inner_header(&self, name: &str) -> Option<String> {
        let lines = self.body.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).find_map(|(_, value)| plain_word(value))
    }

    /// Whether the body contains a text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// Whether the bucket exists and is accessible, and the object does not exist.
    pub(crate) fn is_missing_object(&self) -> bool {
        matches!(self.code.as_str(), "NoSuchKey" | "NoSuchVersion" | "BlobNotFound")
    }

    /// Classifies a response by its status only.
    pub(crate) fn explain_status(&self) -> Failure {
        let class = match self.status.as_u16() {
            401 | 403 => FailureClass::Rejected,
            429 | 507 => FailureClass::Exhausted,
            _ => FailureClass::Unhealthy,
        };
        if self.code.is_empty() && self.is_web_page() {
            return Failure::new(class, format!("a proxy or web server answered {self} instead of the storage"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Uri;

    fn refusal(status: u16, body: &'static str) -> Refusal {
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal::new(Action::Write, &StorageResponse { uri: Uri::default(), status, headers: HeaderMap::new(), body: body.into() })
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
