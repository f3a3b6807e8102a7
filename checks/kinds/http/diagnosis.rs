//! Explains a response with an unexpected status: the usual mistakes behind load balancers, and their remedies.

use super::request::RequestSpec;
use crate::{
    contract::prelude::*,
    wire::http_symptoms::{is_address, names_allowed_hosts, protects_from_csrf, redirects_to_https, requires_tls},
};
use hyper::{HeaderMap, StatusCode, header::LOCATION};
use std::fmt::Write as _;

/// The failure for an unexpected status.
pub(super) fn unexpected(spec: &RequestSpec, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    if status == StatusCode::BAD_REQUEST && !spec.origin.encrypted && requires_tls(body) {
        return Failure::new(FailureClass::Protocol, "the server expects TLS, but the connection was plaintext");
    }
    let message = django(spec, status, headers, body).or_else(|| misdirected(spec, status));
    let message = message.map_or_else(|| answered(status), str::to_owned);
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::exhausted(message),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Failure::rejected(message),
        _ => Failure::unhealthy(message),
    }
}

/// The usual mistakes of a Django app behind a load balancer, or of a request to it.
fn django(spec: &RequestSpec, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<&'static str> {
    match status {
        // The page names the setting only with DEBUG.
        StatusCode::BAD_REQUEST if is_address(spec.url.host_str()?) || names_allowed_hosts(body) => {
            Some("the app rejects this Host: add it to ALLOWED_HOSTS or set `host`")
        }
        StatusCode::FORBIDDEN if protects_from_csrf(body) => {
            Some("the app's CSRF protection rejects the request: exempt the path, or add its origin to CSRF_TRUSTED_ORIGINS")
        }
        _ if status.is_redirection() && requires_https(spec, headers) => Some(if spec.says_https() {
            "the app redirects to HTTPS despite `forwarded_proto`: set SECURE_PROXY_SSL_HEADER or exempt the path"
        } else {
            "the app redirects to HTTPS: set `forwarded_proto = \"https\"` or exempt the path"
        }),
        _ => None,
    }
}

/// The server's sites differ by the name in TLS, which is the host of `url`, and this one does not answer for the name in `Host`.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20>
fn misdirected(spec: &RequestSpec, status: StatusCode) -> Option<&'static str> {
    let is_other_name = spec.origin.encrypted && spec.url.host_str() != Some(spec.origin.address.host.as_str());
    (status == StatusCode::MISDIRECTED_REQUEST && is_other_name)
        .then_some("answered 421 Misdirected Request: the name in TLS is not that in `host`: set `tls.server_name` to the same name")
}

/// Whether a plaintext request is redirected to the same path over HTTPS.
fn requires_https(spec: &RequestSpec, headers: &HeaderMap) -> bool {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    !spec.origin.encrypted && location.is_some_and(|location| redirects_to_https(spec.url.path(), location))
}

fn answered(status: StatusCode) -> String {
    let mut message = format!("answered {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        // Writing to a String cannot fail.
        let _ = write!(message, " {reason}");
    }
    message
}
