//! The status page: its headers, its style and its script.

use super::{
    answer::{READING, answer, complete, may_be_read, not_allowed},
    renderings::Key,
};
use crate::{
    dialect::{self, Dialect, html},
    report::{Probers, Report, Status},
};
use axum::{
    body::Body,
    http::{
        HeaderValue, Method, Response, StatusCode,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY},
    },
};
use bytes::Bytes;

/// Nothing but what is ours, and nothing that stands in the page itself: what a backend says can never become a script.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The page for a key.
pub(super) fn page(code: StatusCode, key: &Key, report: &Report, probers: Option<&Probers>) -> Response<Vec<u8>> {
    let root = "../".repeat(key.depth);
    let page = dialect::page(&html::Place { root: &root, view: &key.view }, report, probers, key.detail);
    guarded(complete(code, report.status, Dialect::Html.content_type(), page))
}

/// How many folders below the root a path is.
pub(super) fn depth(path: &str) -> usize {
    path.matches('/').count().saturating_sub(1)
}

/// The style or the script.
pub(super) fn asset(method: &Method, content_type: &'static str, content: &'static str, whole: Status) -> Response<Body> {
    match *method {
        Method::GET | Method::HEAD => guarded(answer(StatusCode::OK, whole, content_type, Bytes::from_static(content.as_bytes()))),
        Method::OPTIONS => may_be_read(StatusCode::OK, whole),
        _ => not_allowed(READING, "this path can only be read", whole),
    }
}

/// Forbids what a page, a style or a script of ours never needs.
pub(super) fn guarded<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
