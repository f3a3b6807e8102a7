//! gRPC: the service `grpc.health.v1.Health`, and the path that an Application Load Balancer asks by default.
//!
//! <https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto>, and for the frames
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. Its three messages are so small that they are coded here.

use super::{
    answer::{answer, complete, not_allowed, problem},
    paths::Call,
    polls::{Serving, UnknownName, peer},
    renderings::{Format, Key},
    state::HttpState,
    subscriptions::Seat,
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
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{
    StreamExt,
    stream::{self, Stream},
};
use http_body::Frame;
use http_body_util::{BodyExt, Collected, Limited, StreamBody};
use std::{convert::Infallible, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Statuses of a call: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    Unimplemented = 12,
    Unavailable = 14,
}

/// How large a request may be: a name, and what later versions may add.
const REQUEST: usize = 4096;

/// A watcher is looked after at least this often: results grow old without anything happening.
const LOOK: Duration = Duration::from_secs(1);

/// And at most this often: with very many checks there is a result in every moment.
const PACE: Duration = Duration::from_millis(100);

/// Serves a call.
pub(super) async fn serve(call: Call, state: &HttpState, request: Request<Body>) -> Response<Body> {
    let (aggregator, deadline) = (&state.aggregator, state.deadline());
    if request.method() != Method::POST {
        return not_allowed("POST", "this path takes gRPC calls alone", aggregator.status());
    }
    if request.version() != Version::HTTP_2 {
        return problem(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC is spoken by HTTP/2 alone", aggregator.status());
    }
    let peer = peer(request.extensions());
    let is_grpc = request.headers().get(CONTENT_TYPE).is_some_and(|kind| is_protobuf(kind.as_bytes()));
    let body = whole_body(request, deadline).await;
    if !is_grpc {
        let words = Bytes::from_static(b"this path takes gRPC calls alone\n");
        return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, aggregator.status(), "text/plain; charset=utf-8", words);
    }
    if body.as_ref().and_then(|body| body.first()) == Some(&1) {
        let mut response = refused(Code::Unimplemented, "compressed messages are not understood");
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
        return response;
    }
    let Some(service) = body.and_then(message).and_then(|message| name(&message)) else {
        return refused(Code::InvalidArgument, "the request is not a HealthCheckRequest");
    };
    match call {
        Call::Check => match judged(aggregator, &service, deadline).await {
            Some(status) => {
                let mut response = unary(&serving(Some(status)));
                response.extensions_mut().insert(Serving(status.is_good()));
                response
            }
            None => unknown_name(),
        },
        Call::Watch => {
            let patience = deadline.saturating_duration_since(Instant::now());
            streaming(watch(aggregator.clone(), service, patience, state.watchers.enter(peer, ())))
        }
        Call::List => {
            // As for every other answer, a first result is waited for; and there must be time for the list.
            aggregator.ready_by(&View::Whole, deadline - deadline.saturating_duration_since(Instant::now()) / 4).await;
            let key = Key { view: View::Whole, format: Format::ServiceList, detail: Detail::Status, with_pollers: false, depth: 0 };
            match state.renderings.get(key, deadline).await {
                Ok(list) => streaming(stream::iter([Frame::data(list.body.clone()), trailers(Code::Ok, "")])),
                Err(_) => refused(Code::DeadlineExceeded, "the list was not ready by the deadline"),
            }
        }
    }
}

fn unknown_name() -> Response<Body> {
    let mut response = refused(Code::NotFound, "there is no component or group of this name");
    response.extensions_mut().insert(UnknownName);
    response
}

/// Whether a content type is that of gRPC with messages of protobuf; there are others, such as `application/grpc-web`.
fn is_protobuf(kind: &[u8]) -> bool {
    let rest = kind.strip_prefix(b"application/grpc").map(|rest| rest.strip_prefix(b"+proto").unwrap_or(rest));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b";"))
}

/// What an Application Load Balancer asks where nobody set a path: 12, `UNIMPLEMENTED`, is its default for a healthy target.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
pub(super) async fn alb(state: &HttpState, request: Request<Body>) -> Response<Body> {
    let (aggregator, deadline) = (&state.aggregator, state.deadline());
    whole_body(request, deadline).await;
    let well = judged(aggregator, "", deadline).await.is_some_and(Status::is_good);
    let mut response = if well { refused(Code::Unimplemented, "all is well") } else { refused(Code::Unavailable, "not all is well") };
    response.extensions_mut().insert(Serving(well));
    response
}

/// What was sent. To be read in any case: an answer before the end of a request resets it, which some clients take for an error.
async fn whole_body(request: Request<Body>, deadline: Instant) -> Option<Bytes> {
    let body = timeout_at(deadline, Limited::new(request.into_body(), REQUEST).collect()).await;
    body.ok().and_then(Result::ok).map(Collected::to_bytes)
}

/// The status of a service: a component, a group, or with an empty name everything.
async fn judged(aggregator: &Aggregator, service: &str, deadline: Instant) -> Option<Status> {
    let view = view(aggregator, service)?;
    aggregator.ready_by(&view, deadline).await;
    aggregator.status_of(&view)
}

fn view(aggregator: &Aggregator, service: &str) -> Option<View> {
    if service.is_empty() { Some(View::Whole) } else { aggregator.view(service) }
}

/// The status of a service, now and after every change; also of an unknown one, since it may be configured later. A client that loses its seat
/// is asked to come again.
fn watch(aggregator: Aggregator, service: String, patience: Duration, seat: Seat<()>) -> impl Stream<Item = Frame<Bytes>> {
    let (changes, ended) = (aggregator.changes(), seat.ended());
    let statuses = stream::unfold((aggregator, seat, changes, None), move |(aggregator, seat, mut changes, sent)| {
        let service = service.clone();
        async move {
            loop {
                // A result that is missing or too old is waited for, so that a stall alone is no change.
                let status = judged(&aggregator, &service, Instant::now() + patience).await;
                let now = serving(status);
                if sent.as_ref() != Some(&now) {
                    seat.touch();
                    return Some((Frame::data(framed(&now)), (aggregator, seat, changes, Some(now))));
                }
                sleep(PACE).await;
                if let Ok(Err(_)) = timeout(LOOK, changes.changed()).await {
                    return None;
                }
            }
        }
    });
    statuses.take_until(ended).chain(stream::iter([trailers(Code::Unavailable, "too many clients watch: call again later")]))
}

/// Every service and its status, as a whole answer to `List`.
pub(super) fn list(aggregator: &Aggregator) -> Response<Vec<u8>> {
    let mut message = BytesMut::new();
    for (name, status) in aggregator.statuses() {
        let mut entry = BytesMut::new();
        put_field(&mut entry, 1, name.as_bytes());
        put_field(&mut entry, 2, &serving(Some(status)));
        put_field(&mut message, 1, &entry);
    }
    complete(StatusCode::OK, Status::Pass, "application/grpc", framed(&message).into())
}

/// A `HealthCheckResponse`: its field 1 is `SERVING` 1, `NOT_SERVING` 2, or of an unknown service 3.
fn serving(status: Option<Status>) -> BytesMut {
    let status = match status {
        Some(Status::Pass | Status::Warn) => 1,
        Some(Status::Fail) => 2,
        None => 3,
    };
    BytesMut::from(&[1 << 3, status][..])
}

/// A field that has a length.
fn put_field(message: &mut BytesMut, number: u8, value: &[u8]) {
    message.put_u8(number << 3 | 2);
    let mut length = value.len();
    while length >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits of it")]
        message.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than seven bits are left")]
    message.put_u8(length as u8);
    message.put_slice(value);
}

/// The one message of a request.
fn message(mut body: Bytes) -> Option<Bytes> {
    let compressed = body.try_get_u8().ok()?;
    let length = usize::try_from(body.try_get_u32().ok()?).ok()?;
    (compressed == 0 && body.len() == length).then_some(body)
}

/// The name in a `HealthCheckRequest`: its field 1; others are none of ours.
fn name(mut message: &[u8]) -> Option<String> {
    let mut name = String::new();
    while message.has_remaining() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(length)?;
        message = rest;
        if tag == 1 << 3 | 2 {
            name = String::from_utf8(value.to_vec()).ok()?;
        }
    }
    Some(name)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = message.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A message in its frame: not compressed, and its length.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    // Names have at most 64 bytes, and nobody has millions of them.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

fn unary(message: &[u8]) -> Response<Body> {
    streaming(stream::iter([Frame::data(framed(message)), trailers(Code::Ok, "")]))
}

/// How a call ended.
fn trailers(code: Code, message: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(code as u16))]);
    if !message.is_empty() {
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    }
    Frame::trailers(trailers)
}

/// Messages, and trailers after the last.
fn streaming(frames: impl Stream<Item = Frame<Bytes>> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::new(StreamBody::new(frames.map(Ok::<_, Infallible>))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// An answer without a message.
fn refused(code: Code, message: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    // HTTP's status is 200 all the same.
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
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_whatever_later_versions_add() {
        assert_eq!(name(b""), Some(String::new()));
        assert_eq!(name(b"\x0a\x05ready"), Some("ready".to_owned()));
        // A number, eight bytes, a text and four bytes under other numbers.
        assert_eq!(name(b"\x10\x96\x01\x19........\x22\x03abc\x0a\x02db\x2d...."), Some("db".to_owned()));
        for wrong in [&b"\x0a\x05db"[..], b"\x0a", b"\x0b", b"\x0a\x01\xff", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_one_plain_message_is_a_request() {
        assert_eq!(message(Bytes::from_static(b"\0\0\0\0\x02ab")), Some(Bytes::from_static(b"ab")));
        for wrong in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x02ab", b"\0\0\0\0\x03ab", b"\0\0\0\0\x01ab"] {
            assert_eq!(message(Bytes::from_static(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn other_sorts_of_grpc_are_told_from_ours() {
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

    #[test]
    fn long_fields_have_long_lengths() {
        let mut message = BytesMut::new();
        put_field(&mut message, 1, &[b'x'; 300]);
        assert_eq!((&message[..3], message.len()), (&b"\x0a\xac\x02"[..], 303));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            name(&bytes);
            message(bytes.into());
        }
    }
}
