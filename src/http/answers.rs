//! What operators and embedding applications choose about responses: status codes, the deadline, the token, and the level of detail.

use crate::{
    component::CheckName,
    dialect::Detail,
    report::{Status, View},
};
use allswell_checks::contract::Secret;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use std::{collections::BTreeMap, time::Duration};

/// How requests for a report are answered.
///
/// ```
/// use allswell::http::Answers;
///
/// let mut answers = Answers::default();
/// answers.fail_status = 503;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answers {
    /// The HTTP status code of `fail`; default 500.
    pub fail_status: u16,
    /// The HTTP status code of `warn`; default 200.
    pub warn_status: u16,
    /// Every response leaves by then, counted from the request, with what is known; default 800 ms.
    pub deadline: Duration,
    /// The bearer token that unlocks causes and fresh probes. Default: none; then any client may request fresh probes, and no client gets
    /// causes.
    pub token: Option<Secret>,
    /// What clients without the token see; default: everything but causes.
    pub detail: Detail,
    /// Groups whose `fail` has a status code of its own.
    pub group_fail_status: BTreeMap<CheckName, u16>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            fail_status: 500,
            warn_status: 200,
            deadline: Duration::from_millis(800),
            token: None,
            detail: Detail::Full,
            group_fail_status: BTreeMap::new(),
        }
    }
}

impl Answers {
    /// The HTTP status code of a verdict.
    pub(super) fn code(&self, view: &View, status: Status) -> StatusCode {
        let group = match view {
            View::Ready => self.group_fail_status.get("ready"),
            View::Group(name) => self.group_fail_status.get(name),
            _ => None,
        };
        let code = match status {
            Status::Pass => 200,
            Status::Warn => self.warn_status,
            Status::Fail => *group.unwrap_or(&self.fail_status),
        };
        // Embedding applications may set any number; one that HTTP cannot carry must not turn a failure into a pass.
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the request carries the token.
    pub(super) fn has_token(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().zip(bearer_token(headers)).is_some_and(|(token, sent)| is_same(sent, token.expose().as_bytes()))
    }

    /// Whether the request carries another token than the configured one.
    pub(super) fn has_wrong_token(&self, headers: &HeaderMap) -> bool {
        self.token.is_some() && bearer_token(headers).is_some() && !self.has_token(headers)
    }

    /// Whether the request may trigger fresh probes. Without a configured token every request may.
    pub(super) fn may_refresh(&self, headers: &HeaderMap) -> bool {
        self.token.is_none() || self.has_token(headers)
    }

    /// The level of detail for this request.
    pub(super) fn detail(&self, headers: &HeaderMap) -> Detail {
        if self.has_token(headers) { Detail::Causes } else { self.detail }
    }
}

/// The bearer token of a request: RFC 6750, section 2.1.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Compares in a time that depends on the length alone, so that the time does not reveal how many bytes are right.
fn is_same(sent: &[u8], token: &[u8]) -> bool {
    sent.len() == token.len() && sent.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
