//! The status page: its headers, its style and script, and the events by which it is live.

use super::{
    answer::{Answers, READING, answer, lasting, may_be_read, not_allowed, problem},
    polls::Polls,
};
use crate::{
    dialect::{self, Detail, Dialect, html},
    engine::Aggregator,
    report::{Probers, Report, Status, View},
};
use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Method, Response, StatusCode,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
        request::Parts,
    },
};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use jiff::Timestamp;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until, timeout};

/// Paths, media types and contents. No component and no group has a name that begins with an underscore.
pub(super) const ASSETS: [(&str, &str, &str); 2] = [
    ("/health/_assets/allswell.css", "text/css; charset=utf-8", html::STYLE),
    ("/health/_assets/allswell.js", "text/javascript; charset=utf-8", html::SCRIPT),
];

/// Nothing but what is ours, and nothing that stands in the page itself: what a backend says can never become a script.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// At most one event in this time.
const PACE: Duration = Duration::from_secs(1);
/// And at most about so many bytes: the page of a thousand components changes all the time.
const LOT: usize = 128 * 1024;
/// Somebody polls all the time: that alone is told at most once in this time.
const POLLED: Duration = Duration::from_secs(5);
/// After this silence an event that says no more than that we are there.
const BEAT: Duration = Duration::from_secs(15);
/// What is shown may change by time alone, and when the engine is dead nobody says so.
const LOOK: Duration = Duration::from_secs(1);
/// How long a browser waits until it tries again, in milliseconds.
const RETRY: u32 = 2_000;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

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

/// What is shown, and again whenever that changes, until whoever asked goes away: <https://html.spec.whatwg.org/#server-sent-events>.
pub(super) fn events(aggregator: &Aggregator, polls: &Arc<Polls>, answers: &Answers, request: &Parts) -> Response<Body> {
    let whole = aggregator.status();
    match request.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return may_be_read(StatusCode::OK, whole),
        _ => return not_allowed(READING, "this path can only be read", whole),
    }
    let query = request.uri.query().unwrap_or_default();
    let of = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "of").map(|(_, of)| of);
    let view = of.map_or(Some(View::Whole), |of| html::view(&of).or_else(|| aggregator.view(&of)));
    let Some(view) = view else {
        return problem(StatusCode::NOT_FOUND, "there is no component or group of this name", whole);
    };
    let news = news(aggregator.clone(), Arc::clone(polls), view, answers.detail(&request.headers));
    let body = Body::new(StreamBody::new(news.map(|event| Ok::<_, Infallible>(Frame::data(event)))));
    let mut response = guarded(lasting(StatusCode::OK, whole, "text/event-stream", body));
    // nginx would keep events until it has a bufferful.
    response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// Forbids what a page, a style or a script of ours never needs.
fn guarded(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// What a client was told last, and when.
struct Told {
    /// Without who polls.
    fragment: Bytes,
    whole: Bytes,
    at: Instant,
}

/// Events for one client: what is shown now, every change of it, and a beat in every long silence. They end when there is no such view.
fn news(aggregator: Aggregator, polls: Arc<Polls>, view: View, detail: Detail) -> impl Stream<Item = Bytes> {
    let changes = aggregator.changes();
    stream::unfold((aggregator, changes, None::<Told>), move |(aggregator, mut changes, mut told)| {
        let (view, polls) = (view.clone(), Arc::clone(&polls));
        async move {
            loop {
                if let Some(told) = &told {
                    sleep_until(told.at + rest(told.whole.len())).await;
                }
                let report = aggregator.report_on(&view)?;
                let fragment = dialect::fragment(&report, None, detail);
                let whole = dialect::fragment(&report, Some(&polls.ledger.report()), detail);
                let now = Instant::now();
                let event = match told.take() {
                    Some(known) if known.fragment == fragment && now < known.at + if known.whole == whole { BEAT } else { POLLED } => {
                        told = Some(known);
                        // An engine that ended wakes nobody.
                        let _ = timeout(LOOK, changes.changed()).await;
                        continue;
                    }
                    Some(known) if known.whole == whole => beat(),
                    _ => event(&whole),
                };
                return Some((event, (aggregator, changes, Some(Told { fragment, whole, at: now }))));
            }
        }
    })
}

/// How long nothing is told after that many bytes.
fn rest(bytes: usize) -> Duration {
    PACE.saturating_mul(u32::try_from(1 + bytes / LOT).unwrap_or(u32::MAX)).min(BEAT)
}

/// What is shown, all in one line. Its number is the time, by which the page knows how far the browser's clock is off.
fn event(fragment: &[u8]) -> Bytes {
    let head = format!("retry: {RETRY}\nid: {}\ndata: ", Timestamp::now().as_millisecond());
    [head.as_bytes(), fragment, b"\n\n"].concat().into()
}

/// A comment would do to keep the connection open, but the page would not see it, and could not tell silence from a broken line.
fn beat() -> Bytes {
    format!("event: beat\nid: {}\ndata: nothing new\n\n", Timestamp::now().as_millisecond()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Check, Failure, Observation, async_trait};
    use std::pin::pin;

    struct Well;

    #[async_trait]
    impl Check for Well {
        async fn probe(&self) -> Result<Observation, Failure> {
            Ok(Observation::pass())
        }
    }

    fn text(event: Option<Bytes>) -> String {
        String::from_utf8(event.expect("an event").to_vec()).expect("text")
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_at_most_once_a_second_and_silence_by_a_beat() {
        let mut checks = Aggregator::builder().check("fleet", Well).build();
        let mut news = pin!(news(checks.aggregator().clone(), Arc::default(), View::Whole, Detail::Status));
        let start = Instant::now();
        let first = text(news.next().await);
        assert!(first.starts_with("retry: 2000\nid: ") && first.contains("\ndata: <div id=\"page\" data-status=\"fail\""), "{first}");
        assert!(first.ends_with("</div>\n\n") && first.lines().count() == 4, "{first}");
        checks.probe_all(|_, _| {}).await;
        checks.aggregator().drain();
        let second = text(news.next().await);
        assert!(second.contains("Draining") && second.contains("id=\"c-fleet\""), "{second}");
        assert_eq!(start.elapsed(), PACE);
        let third = text(news.next().await);
        assert!(third.starts_with("event: beat\nid: "), "{third}");
        assert!((PACE + BEAT..PACE + BEAT + LOOK).contains(&start.elapsed()), "{:?}", start.elapsed());
    }

    #[test]
    fn after_much_the_rest_is_longer_but_never_a_silence() {
        for (bytes, expected) in [(0, PACE), (100_000, PACE), (300_000, PACE * 3), (usize::MAX, BEAT)] {
            assert_eq!(rest(bytes), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_news_of_a_component_end_with_it() {
        let checks = Aggregator::builder().check("fleet", Well).build();
        let aggregator = checks.aggregator();
        let mut news = pin!(news(aggregator.clone(), Arc::default(), View::Component("fleet".parse().expect("a name")), Detail::Full));
        assert!(news.next().await.is_some());
        aggregator.replace(Aggregator::builder());
        assert!(news.next().await.is_none());
    }
}
