//! The calls of `grpc.health.v1.Health`, and the health check of an Application Load Balancer.

use super::{
    super::{
        paths::HealthCall,
        peer::peer,
        renderer::{RenderingFormat, RenderingKey},
        respond::{Serving, UnknownName, not_allowed, problem, respond},
        state::HttpState,
        subscriptions::Subscription,
    },
    messages::{framed, health_response, requested_service, unframed},
};
use crate::{
    dialect::Detail,
    engine::Aggregator,
    report::{Status, View},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header::CONTENT_TYPE},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, Stream},
};
use http_body::Frame;
use http_body_util::{BodyExt, Collected, Limited, StreamBody};
use std::{convert::Infallible, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The status code of a call: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrpcCode {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    Unimplemented = 12,
    Unavailable = 14,
}

/// The largest request: a name of at most 64 bytes, and room for what later versions may add.
const MAX_REQUEST_BYTES: usize = 4096;

/// The status for a watcher is determined at least this often, because it may change by the age of a result alone.
const MAX_WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The status for a watcher is determined at most this often: with very many checks there are always new results.
const MIN_WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Serves a call.
pub(in crate::http) async fn serve(call: HealthCall, state: &HttpState, request: Request<Body>) -> Response<Body> {
    let (aggregator, deadline) = (&state.aggregator, state.deadline());
    if request.method() != Method::POST {
        return not_allowed("POST", "this path supports only POST, for gRPC calls", aggregator.status());
    }
    if request.version() != Version::HTTP_2 {
        return problem(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2", aggregator.status());
    }
    let peer = peer(request.extensions()).map(|peer| peer.address);
    let is_grpc = request.headers().get(CONTENT_TYPE).is_some_and(|kind| is_protobuf(kind.as_bytes()));
    let body = whole_body(request, deadline).await;
    if !is_grpc {
        let text = Bytes::from_static(b"this path supports only gRPC calls: send `Content-Type: application/grpc`\n");
        return respond(StatusCode::UNSUPPORTED_MEDIA_TYPE, aggregator.status(), "text/plain; charset=utf-8", text);
    }
    if body.as_ref().and_then(|body| body.first()) == Some(&1) {
        let mut response = refused(GrpcCode::Unimplemented, "compressed messages are not supported");
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
        return response;
    }
    let Some(service) = body.and_then(unframed).and_then(|message| requested_service(&message)) else {
        return refused(GrpcCode::InvalidArgument, "the request is not a HealthCheckRequest");
    };
    match call {
        HealthCall::Check => match status_by(aggregator, &service, deadline).await {
            Some(status) => {
                let mut response = unary(&health_response(Some(status)));
                response.extensions_mut().insert(Serving(status.is_good()));
                response
            }
            None => unknown_name(),
        },
        HealthCall::Watch => {
            let max_wait = deadline.saturating_duration_since(Instant::now());
            streaming(watch(aggregator.clone(), service, max_wait, state.watchers.subscribe(peer, ())))
        }
        HealthCall::List => {
            // A first result is awaited, as for every other response. The last quarter of the time is for rendering the list.
            aggregator.ready_by(&View::Whole, deadline - deadline.saturating_duration_since(Instant::now()) / 4).await;
            let key = RenderingKey {
                view: View::Whole,
                format: RenderingFormat::ServiceList,
                detail: Detail::Status,
                with_pollers: false,
                depth: 0,
            };
            match state.renderings.get(key, deadline).await {
                Ok(list) => streaming(stream::iter([Frame::data(list.body.clone()), trailers(GrpcCode::Ok, "")])),
                Err(_) => refused(GrpcCode::DeadlineExceeded, "the list was not rendered by the deadline"),
            }
        }
    }
}

fn unknown_name() -> Response<Body> {
    let mut response = refused(GrpcCode::NotFound, "there is no component or group of this name");
    response.extensions_mut().insert(UnknownName);
    response
}

/// Whether a content type is that of gRPC with protobuf messages. There are others, such as `application/grpc-web`.
fn is_protobuf(kind: &[u8]) -> bool {
    let rest = kind.strip_prefix(b"application/grpc").map(|rest| rest.strip_prefix(b"+proto").unwrap_or(rest));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b";"))
}

/// Serves the default path of an Application Load Balancer. Its default for a healthy target is the status 12, `UNIMPLEMENTED`.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
pub(in crate::http) async fn alb(state: &HttpState, request: Request<Body>) -> Response<Body> {
    let (aggregator, deadline) = (&state.aggregator, state.deadline());
    whole_body(request, deadline).await;
    let well = status_by(aggregator, "", deadline).await.is_some_and(Status::is_good);
    let mut response =
        if well { refused(GrpcCode::Unimplemented, "all is well") } else { refused(GrpcCode::Unavailable, "the verdict is fail") };
    response.extensions_mut().insert(Serving(well));
    response
}

/// Reads the body of a request. A response before the end of the request resets its stream, which some clients report as an error.
async fn whole_body(request: Request<Body>, deadline: Instant) -> Option<Bytes> {
    let body = timeout_at(deadline, Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect()).await;
    body.ok().and_then(Result::ok).map(Collected::to_bytes)
}

/// The status of a service, at the latest at the deadline. A service is a component, a group or, with an empty name, the whole.
async fn status_by(aggregator: &Aggregator, service: &str, deadline: Instant) -> Option<Status> {
    let view = view(aggregator, service)?;
    aggregator.ready_by(&view, deadline).await;
    aggregator.status_of(&view)
}

fn view(aggregator: &Aggregator, service: &str) -> Option<View> {
    if service.is_empty() { Some(View::Whole) } else { aggregator.view(service) }
}

/// The status of a service, now and after every change. An unknown service is watched, too, since it may be configured later. The status of a
/// client that loses its subscription is `UNAVAILABLE`, after which clients retry.
fn watch(aggregator: Aggregator, service: String, max_wait: Duration, subscription: Subscription<()>) -> impl Stream<Item = Frame<Bytes>> {
    let (changes, ended) = (aggregator.changes(), subscription.ended());
    let statuses = stream::unfold((aggregator, subscription, changes, None), move |(aggregator, subscription, mut changes, sent)| {
        let service = service.clone();
        async move {
            loop {
                // A missing or stale result is awaited, so that a short stall alone is no change.
                let status = status_by(&aggregator, &service, Instant::now() + max_wait).await;
                let now = health_response(status);
                if sent.as_ref() != Some(&now) {
                    subscription.touch();
                    return Some((Frame::data(framed(&now)), (aggregator, subscription, changes, Some(now))));
                }
                sleep(MIN_WATCH_INTERVAL).await;
                if let Ok(Err(_)) = timeout(MAX_WATCH_INTERVAL, changes.changed()).await {
                    return None;
                }
            }
        }
    });
    statuses
        .take_until(ended)
        .chain(stream::iter([trailers(GrpcCode::Unavailable, "the server shuts down, or too many clients are watching: retry later")]))
}

fn unary(message: &[u8]) -> Response<Body> {
    streaming(stream::iter([Frame::data(framed(message)), trailers(GrpcCode::Ok, "")]))
}

/// The trailers at the end of a call.
fn trailers(code: GrpcCode, message: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(code as u16))]);
    if !message.is_empty() {
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    }
    Frame::trailers(trailers)
}

/// A response with messages, and trailers after the last one.
fn streaming(frames: impl Stream<Item = Frame<Bytes>> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::new(StreamBody::new(frames.map(Ok::<_, Infallible>))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A response without a message.
fn refused(code: GrpcCode, message: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    // The HTTP status code is 200 nevertheless.
    response.extensions_mut().insert(Serving(false));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code as u16));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    response
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_content_types_of_grpc_are_not_protobuf() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc+json", false),
            ("application/json", false),
        ] {
            assert_eq!(is_protobuf(kind.as_bytes()), expected, "{kind}");
        }
    }
}
