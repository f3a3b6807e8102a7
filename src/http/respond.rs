//! Responses: the headers that all of them have, and the responses that need no report.

use crate::report::Status;
use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{
            ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
};
use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use serde::Serialize;

/// The media type of plain text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

const X_HEALTH_STATUS: HeaderName = HeaderName::from_static("x-health-status");

/// The methods of a path that can only be read.
pub(super) const READ_METHODS: &str = "GET, HEAD, OPTIONS";

/// Allows only our own files, and nothing inline: no text from a backend can ever become a script.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri \
                              'none'; form-action 'none'; frame-ancestors 'none'";

/// The health status that a gRPC response carries besides the HTTP status code, which is 200 for `NOT_SERVING`, too. For the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving(pub(super) bool);

/// Marks the response to a request for an unknown component or group: it is no verdict, so the request is not recorded as a poll.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnknownName;

/// A response with a whole body. `whole` is the status of all components, for the header `X-Health-Status`.
pub(super) fn respond(code: StatusCode, whole: Status, content_type: &'static str, body: Bytes) -> Response<Body> {
    complete(code, whole, content_type, body).map(Body::from)
}

/// A response with a body of any type whose length is known.
pub(super) fn complete<B: AsRef<[u8]>>(code: StatusCode, status: Status, content_type: &'static str, body: B) -> Response<B> {
    let length = HeaderValue::from(body.as_ref().len());
    let mut response = streaming(code, status, content_type, body);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// A response whose length is not known when it begins.
pub(super) fn streaming<B>(code: StatusCode, status: Status, content_type: &'static str, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    if code.canonical_reason().is_none() {
        response.extensions_mut().insert(reason(status));
    }
    let headers = response.headers_mut();
    headers.reserve(7);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // A cached 200 would hide an outage, and a 500 from a cache would prolong it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(X_HEALTH_STATUS, HeaderValue::from_static(status.as_str()));
    // A backend's text may contain HTML: browsers must not guess the type from it.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The reason phrase for a status code without a standard one, such as a `fail_status` of 599. Some clients require a phrase.
const fn reason(status: Status) -> ReasonPhrase {
    ReasonPhrase::from_static(match status {
        Status::Pass => b"Healthy",
        Status::Warn => b"Degraded",
        Status::Fail => b"Unhealthy",
    })
}

/// Adds the headers of the status page and its files: they forbid browsers everything that these never need.
pub(super) fn guarded<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[derive(Serialize)]
struct ProblemDocument<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// A problem with the request, not with a component: RFC 9457.
pub(super) fn problem(code: StatusCode, detail: &str, whole: Status) -> Response<Body> {
    problem_bytes(code, detail, whole).map(Body::from)
}

/// The same with the body as bytes.
pub(super) fn problem_bytes(code: StatusCode, detail: &str, whole: Status) -> Response<Bytes> {
    let title = code.canonical_reason().unwrap_or_default();
    let document = ProblemDocument { r#type: "about:blank", title, status: code.as_u16(), detail };
    complete(code, whole, "application/problem+json", pretty(&document))
}

/// The head of a response as HTTP/1.1 transmits it.
#[cfg(feature = "server")]
pub(super) fn head_of<B>(response: &Response<B>) -> Vec<u8> {
    let code = response.status();
    let own_reason = response.extensions().get::<ReasonPhrase>();
    let reason = own_reason.map_or_else(|| code.canonical_reason().unwrap_or_default().as_bytes(), ReasonPhrase::as_bytes);
    let mut head = [b"HTTP/1.1 ", code.as_str().as_bytes(), b" ", reason, b"\r\n"].concat();
    for (name, value) in response.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    head
}

/// The response to a method that a path does not support.
pub(super) fn not_allowed(allowed: &'static str, detail: &str, whole: Status) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, detail, whole);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The response to any method but GET, HEAD and OPTIONS on a path that can only be read.
pub(super) fn read_only(whole: Status) -> Response<Body> {
    not_allowed(READ_METHODS, "this path supports only GET, HEAD and OPTIONS", whole)
}

/// The response to OPTIONS on a path that can only be read.
pub(super) fn options(code: StatusCode, status: Status) -> Response<Body> {
    let mut response = respond(code, status, TEXT, Bytes::new());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(READ_METHODS));
    response
}

/// Indented JSON with a newline at its end.
pub(super) fn pretty(value: &impl Serialize) -> Bytes {
    // Plain texts, numbers and lists always serialise.
    let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
    body.push(b'\n');
    body.into()
}
