//! A poll by HTTP/2: a GET, or a gRPC call as a balancer's health check makes it: an empty message, of which the call's status alone counts.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use super::answer::Answer;
use crate::prober::Manner;
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

/// A message without a byte in it: not compressed, and its length.
const EMPTY: Bytes = Bytes::from_static(&[0; 5]);
pub(super) const NOT_GRPC: &str = "the answer is not gRPC";
/// How large an answer may be.
const ANSWER: usize = 64 * 1024;

/// Asks, and waits until the answer has ended.
pub(super) async fn ask(url: &Url, host: Option<&HeaderValue>, manner: &Manner, stream: TokioIo<Metered>) -> Result<Answer, Failure> {
    let (mut sender, driver) = Builder::new(TokioExecutor::new()).handshake(stream).await.map_err(failure)?;
    let mut driver = Some(driver);
    let answer = drive_while(&mut driver, sender.send_request(request(url, host, manner)?)).await.map_err(failure)?;
    let (head, body) = answer.into_parts();
    let body = drive_while(&mut driver, std::pin::pin!(Limited::new(body, ANSWER).collect())).await.map_err(Failure::protocol)?;
    // A call that fails at once says so in its head.
    let grpc = body.trailers().and_then(status).or_else(|| status(&head.headers));
    if manner.grpc && grpc.is_none() {
        return Err(Failure::new(FailureClass::Protocol, NOT_GRPC).detailed(FailureDetail::NotGrpc));
    }
    let body = body.to_bytes().into();
    Ok(Answer { status: head.status, headers: head.headers, body, grpc: grpc.filter(|_| manner.grpc), framed: true })
}

fn request(url: &Url, host: Option<&HeaderValue>, manner: &Manner) -> Result<Request<Full<Bytes>>, Failure> {
    let authority = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut request = Request::new(Full::new(if manner.grpc { EMPTY } else { Bytes::new() }));
    *request.method_mut() = if manner.grpc { Method::POST } else { Method::GET };
    *request.version_mut() = Version::HTTP_2;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    *request.uri_mut() = format!("{}://{authority}{path}", url.scheme()).parse().map_err(Failure::internal)?;
    let headers = request.headers_mut();
    if manner.grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    for (name, value) in manner.headers.iter().filter(|(name, _)| *name == "User-Agent") {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(Failure::internal)?, HeaderValue::from_static(value));
    }
    Ok(request)
}

fn status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The name of a status: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
pub(super) fn name(code: u16) -> &'static str {
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
    NAMES.get(usize::from(code)).copied().unwrap_or("a status that nobody knows")
}
