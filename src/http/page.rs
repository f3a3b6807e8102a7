//! The status page: its headers, its style and its script.

use super::answer::{READING, answer, may_be_read, not_allowed};
use crate::{
    dialect::{self, Detail, Dialect, html},
    report::{Probers, Report, Status, View},
};
use axum::{
    body::Body,
    http::{
        HeaderValue, Method, Response, StatusCode,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
};
use bytes::Bytes;

/// Paths, media types and contents. No component and no group has a name that begins with an underscore.
pub(super) const ASSETS: [(&str, &str, &str); 2] = [
    ("/health/_assets/allswell.css", "text/css; charset=utf-8", html::STYLE),
    ("/health/_assets/allswell.js", "text/javascript; charset=utf-8", html::SCRIPT),
];

/// Nothing but what is ours, and nothing that stands in the page itself: what a backend says can never become a script.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The page on a view, for whoever reads it at `path`.
pub(super) fn page(
    code: StatusCode,
    view: &View,
    report: &Report,
    probers: Option<&Probers>,
    detail: Detail,
    path: &str,
) -> Response<Body> {
    let root = "../".repeat(path.matches('/').count().saturating_sub(1));
    let page = dialect::page(&html::Place { root: &root, view }, report, probers, detail);
    guarded(answer(code, report.status, Dialect::Html.content_type(), page))
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
pub(super) fn guarded(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
