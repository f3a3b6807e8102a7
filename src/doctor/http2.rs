//! A poll over HTTP/2: a GET, or a gRPC call with an empty message, as the health checks of load balancers make it.
//!
//! gRPC over HTTP/2: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use super::response::PollResponse;
use crate::pollers::PollerProfile;
use allswell_checks::{
    contract::{Failure, FailureClass, FailureDetail},
    wire::{
        http1::{drive_while, failure},
        meter::Metered,
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Version,
    client::conn::http2::Builder,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, TE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use url::{Position, Url};

/// A gRPC message of length zero: the flag for compression and four bytes of length.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);
/// Bounds the body of a response.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Sends the request, and waits for the end of the response.
pub(super) async fn request_response(
    url: &Url,
    host: Option<&HeaderValue>,
    profile: &PollerProfile,
    stream: TokioIo<Metered>,
) -> Result<PollResponse, Failure> {
    let (mut sender, driver) = Builder::new(TokioExecutor::new()).handshake(stream).await.map_err(failure)?;
    let mut driver = Some(driver);
    let response = drive_while(&mut driver, sender.send_request(request(url, host, profile)?)).await.map_err(failure)?;
    let (head, body) = response.into_parts();
    let body = drive_while(&mut driver, std::pin::pin!(Limited::new(body, MAX_BODY_BYTES).collect())).await.map_err(Failure::protocol)?;
    // A call that fails immediately has its status in the headers.
    let grpc_status = body.trailers().and_then(parse_status).or_else(|| parse_status(&head.headers));
    if profile.grpc && grpc_status.is_none() {
        return Err(Failure::new(FailureClass::Protocol, "the response is not gRPC").detailed(FailureDetail::NotGrpc));
    }
    let body = body.to_bytes().into();
    let grpc_status = grpc_status.filter(|_| profile.grpc);
    Ok(PollResponse { status: head.status, headers: head.headers, body, grpc_status, is_framed: true })
}

fn request(url: &Url, host: Option<&HeaderValue>, profile: &PollerProfile) -> Result<Request<Full<Bytes>>, Failure> {
    let authority = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut request = Request::new(Full::new(if profile.grpc { EMPTY_MESSAGE } else { Bytes::new() }));
    *request.method_mut() = if profile.grpc { Method::POST } else { Method::GET };
    *request.version_mut() = Version::HTTP_2;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    *request.uri_mut() = format!("{}://{authority}{path}", url.scheme()).parse().map_err(Failure::internal)?;
    let headers = request.headers_mut();
    if profile.grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    for (name, value) in profile.headers.iter().filter(|(name, _)| *name == "User-Agent") {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(Failure::internal)?, HeaderValue::from_static(value));
    }
    Ok(request)
}

fn parse_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The name of a gRPC status: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
pub(super) fn status_name(code: u16) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("(an unknown status)")
}
