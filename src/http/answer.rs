//! Answers: from a report to a status, headers and a body.

use super::{page, polls::Polls, renderings::Key};
use crate::{
    component::CheckName,
    dialect::{Detail, Dialect},
    report::{Report, Status, View},
};
use allswell_checks::contract::Secret;
use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
        header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
    },
};
use bytes::Bytes;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// How reports are answered.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The HTTP status of `fail`; default 500.
    pub fail_status: u16,
    /// The HTTP status of `warn`; default 200.
    pub warn_status: u16,
    /// Every answer leaves by then; default 800 ms.
    pub deadline: Duration,
    /// Unlocks causes and fresh probes; default: none, so fresh probes are for everybody and causes for nobody.
    pub token: Option<Secret>,
    /// What is told without the token; default: all but causes.
    pub detail: Detail,
    /// Groups with a status of their own for `fail`.
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

const X_HEALTH_STATUS: HeaderName = HeaderName::from_static("x-health-status");
/// The methods of a health path.
pub(super) const READING: &str = "GET, HEAD, OPTIONS";

impl Answers {
    /// The HTTP status of a verdict.
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
        // Embedders may have set anything; a status that HTTP cannot carry must not turn a failure into a pass.
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the request shows the token.
    pub(super) fn shows_token(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().zip(shown_token(headers)).is_some_and(|(token, shown)| is_same(shown, token.expose().as_bytes()))
    }

    /// Whether the request shows another token.
    pub(super) fn has_wrong_token(&self, headers: &HeaderMap) -> bool {
        self.token.is_some() && shown_token(headers).is_some() && !self.shows_token(headers)
    }

    /// Whether the request may have fresh probes: everybody may, where there is no token.
    pub(super) fn may_refresh(&self, headers: &HeaderMap) -> bool {
        self.token.is_none() || self.shows_token(headers)
    }

    /// How much whoever asks is told.
    pub(super) fn detail(&self, headers: &HeaderMap) -> Detail {
        if self.shows_token(headers) { Detail::Causes } else { self.detail }
    }

    /// The answer with a report.
    pub(super) fn report(&self, key: &Key, dialect: Dialect, report: &Report, polls: &Polls) -> Response<Vec<u8>> {
        let pollers = key.with_pollers.then(|| polls.ledger.report());
        let code = if dialect.is_for_collectors() { StatusCode::OK } else { self.code(&key.view, report.status) };
        if dialect == Dialect::Html {
            return page::page(code, key, report, pollers.as_ref());
        }
        complete(code, report.status, dialect.content_type(), dialect.render_with(report, pollers.as_ref(), key.detail))
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// A problem of the request, not of the health: RFC 9457.
pub(super) fn problem(code: StatusCode, detail: &str, whole: Status) -> Response<Body> {
    let problem = Problem { r#type: "about:blank", title: code.canonical_reason().unwrap_or_default(), status: code.as_u16(), detail };
    // Plain texts and a number always serialise.
    let mut document = serde_json::to_vec_pretty(&problem).unwrap_or_default();
    document.push(b'\n');
    answer(code, whole, "application/problem+json", document.into())
}

/// A method that a path does not take.
pub(super) fn not_allowed(allowed: &'static str, detail: &str, whole: Status) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, detail, whole);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// What may be done with a path that can only be read.
pub(super) fn may_be_read(code: StatusCode, whole: Status) -> Response<Body> {
    let mut response = answer(code, whole, "text/plain; charset=utf-8", Bytes::new());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(READING));
    response
}

pub(super) fn answer(code: StatusCode, status: Status, content_type: &'static str, body: Bytes) -> Response<Body> {
    complete(code, status, content_type, body).map(Body::from)
}

/// An answer of which the whole body is known.
pub(super) fn complete<B: AsRef<[u8]>>(code: StatusCode, status: Status, content_type: &'static str, body: B) -> Response<B> {
    let length = HeaderValue::from(body.as_ref().len());
    let mut response = lasting(code, status, content_type, body);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// An answer of which the length is not known when it begins.
pub(super) fn lasting<B>(code: StatusCode, status: Status, content_type: &'static str, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.reserve(7);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // A cached 200 would hide an outage, and a 500 from a cache would prolong it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(X_HEALTH_STATUS, HeaderValue::from_static(status.as_str()));
    // What a backend says may contain HTML; no browser may guess so.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The bearer token of a request: RFC 6750, section 2.1.
fn shown_token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(shown)
}

/// Compares in a time that depends on the length alone.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    shown.len() == token.len() && shown.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
