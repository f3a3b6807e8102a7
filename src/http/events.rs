//! Live events of the status page: each view is rendered once for all of its subscribers, and each subscriber gets what it has not seen yet.
//!
//! [`Events::serve`] answers a request with a stream of server-sent events. The first ones bring the whole page, later ones the parts that have
//! changed: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

mod rendering;

use super::{
    answer::{Answers, READING, lasting, may_be_read, not_allowed, problem},
    page::guarded,
    polls::{Polls, peer},
    renderings::is_large,
    subscriptions::{Seat, Subscriptions},
};
use crate::{
    dialect::{
        Detail,
        html::{self, Parts},
    },
    engine::Aggregator,
    report::{Status, View},
};
use arc_swap::ArcSwapOption;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode, request::Parts as Request},
};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use jiff::Timestamp;
use rendering::{Difference, Position, Rendering};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{AbortHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

/// A feed changes at most once in this time.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// With very many components something changes all the time: a feed sends at most about this many bytes in [`MIN_INTERVAL`].
const MAX_BYTES: usize = 128 * 1024;
/// Clients poll all the time: a change of what they do, and of nothing else, is sent at most once in this time.
const MIN_PROBERS_INTERVAL: Duration = Duration::from_secs(5);
/// After this time without a change there is an event without content, so that the page can distinguish silence from a lost connection.
const MAX_SILENCE: Duration = Duration::from_secs(15);
/// The page may change by time alone, and a stalled engine announces nothing.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// With very many components there is a result at every moment: they are not looked at more often than this.
const MIN_WAIT: Duration = Duration::from_millis(100);
/// Rendering takes at most about one part in so many of a core's time.
const REST_FACTOR: u32 = 20;
/// How long a browser waits before it reconnects, in milliseconds.
const RETRY: u32 = 2_000;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// All feeds that have subscribers.
#[derive(Debug, Default)]
pub(super) struct Events {
    feeds: Mutex<BTreeMap<(View, Detail), Weak<Feed>>>,
    /// A feed lives for as long as one of its subscribers has a seat.
    subscriptions: Subscriptions<Arc<Feed>>,
}

impl Events {
    /// Answers with the events of the view that the query names.
    pub(super) fn serve(&self, aggregator: &Aggregator, polls: &Arc<Polls>, answers: &Answers, request: &Request) -> Response<Body> {
        let status = aggregator.status();
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return may_be_read(StatusCode::OK, status),
            _ => return not_allowed(READING, "this path can only be read", status),
        }
        let query = request.uri.query().unwrap_or_default();
        let of = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "of").map(|(_, of)| of);
        let view = of.map_or(Some(View::Whole), |of| html::view(&of).or_else(|| aggregator.view(&of)));
        let Some(view) = view else {
            return problem(StatusCode::NOT_FOUND, "there is no component or group of this name", status);
        };
        if request.method == Method::HEAD {
            return event_stream(status, Body::empty());
        }
        let source = Source { aggregator: aggregator.clone(), polls: Arc::clone(polls), view, detail: answers.detail(&request.headers) };
        let events = self.subscribe(source, peer(&request.extensions));
        let frames = events.flat_map(stream::iter).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        event_stream(status, Body::new(StreamBody::new(frames)))
    }

    /// The events for one client. They end when the view is removed, and when the client loses its seat.
    fn subscribe(&self, source: Source, peer: Option<SocketAddr>) -> impl Stream<Item = [Bytes; 2]> + use<> {
        let feed = self.feed(source);
        let (latest, changes) = (Arc::downgrade(&feed.latest), feed.changes.clone());
        Subscriber { latest, changes, position: Position::default(), seat: self.subscriptions.enter(peer, feed) }.into_events()
    }

    /// The feed of a view, which is begun if there is none.
    fn feed(&self, source: Source) -> Arc<Feed> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let key = (source.view.clone(), source.detail);
        if let Some(feed) = feeds.get(&key).and_then(Weak::upgrade)
            && feed.is_running()
        {
            return feed;
        }
        let feed = Arc::new(Feed::start(source));
        feeds.insert(key, Arc::downgrade(&feed));
        feed
    }
}

/// An answer with a stream of events, which no proxy may hold back.
fn event_stream(status: Status, body: Body) -> Response<Body> {
    let mut response = guarded(lasting(StatusCode::OK, status, "text/event-stream", body));
    // nginx would keep events until its buffer is full.
    response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// What a feed is rendered from.
struct Source {
    aggregator: Aggregator,
    polls: Arc<Polls>,
    view: View,
    detail: Detail,
}

impl Source {
    /// The page as it is now; `None` if the view was removed.
    async fn render(self: &Arc<Self>) -> Option<Parts> {
        if !is_large(&self.aggregator, &self.view) {
            return self.render_inline();
        }
        let source = Arc::clone(self);
        spawn_blocking(move || source.render_inline()).await.ok()?
    }

    fn render_inline(&self) -> Option<Parts> {
        let report = self.aggregator.report_on(&self.view)?;
        Some(Parts::of(&report, &self.polls.ledger.report(), self.detail))
    }
}

/// The last rendering of a view, renewed by a task that ends with the feed.
#[derive(Debug)]
struct Feed {
    latest: Arc<ArcSwapOption<Rendering>>,
    /// Wakes subscribers; closed when the view was removed.
    changes: watch::Receiver<()>,
    task: AbortHandle,
}

impl Feed {
    fn start(source: Source) -> Self {
        let latest = Arc::<ArcSwapOption<Rendering>>::default();
        let (wake, changes) = watch::channel(());
        let task = tokio::spawn(run(Arc::new(source), Arc::clone(&latest), wake)).abort_handle();
        Self { latest, changes, task }
    }

    fn is_running(&self) -> bool {
        self.changes.has_changed().is_ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Renders a view again and again, until it is removed.
async fn run(source: Arc<Source>, latest: Arc<ArcSwapOption<Rendering>>, wake: watch::Sender<()>) {
    let mut changes = source.aggregator.changes();
    let mut sent_at = Instant::now();
    loop {
        let began = Instant::now();
        let Some(parts) = source.render().await else { return };
        let (next, difference) = Rendering::after(latest.load().as_deref(), parts);
        let now = Instant::now();
        let rest = match difference {
            Difference::Bytes(bytes) => Some(rest(bytes)),
            Difference::ProbersOnly if now >= sent_at + MIN_PROBERS_INTERVAL => Some(MIN_INTERVAL),
            Difference::ProbersOnly | Difference::None => None,
        };
        let cost = (now - began) * REST_FACTOR;
        if let Some(rest) = rest {
            latest.store(Some(Arc::new(next)));
            wake.send_replace(());
            sent_at = now;
            sleep(rest.max(cost)).await;
        } else {
            let _ = timeout(MAX_WAIT, changes.changed()).await;
            sleep_until(now + cost.max(MIN_WAIT)).await;
        }
    }
}

/// How long a feed rests after so many bytes.
fn rest(bytes: usize) -> Duration {
    MIN_INTERVAL.saturating_mul(u32::try_from(1 + bytes / MAX_BYTES).unwrap_or(u32::MAX)).min(MAX_SILENCE)
}

/// One client of a feed. It does not keep the feed alive: its connection may be blocked, and then it is not asked whether it has a seat.
struct Subscriber {
    latest: Weak<ArcSwapOption<Rendering>>,
    changes: watch::Receiver<()>,
    position: Position,
    seat: Seat<Arc<Feed>>,
}

impl Subscriber {
    fn into_events(self) -> impl Stream<Item = [Bytes; 2]> {
        let ended = self.seat.ended();
        stream::unfold(self, |mut subscriber| async move { Some((subscriber.next().await?, subscriber)) }).take_until(ended)
    }

    /// The next event, which is an empty one after a long silence.
    async fn next(&mut self) -> Option<[Bytes; 2]> {
        let silent_until = Instant::now() + MAX_SILENCE;
        let event = loop {
            let latest = self.latest.upgrade()?.load_full();
            if let Some(event) = latest.and_then(|latest| latest.next_event(&mut self.position)) {
                break [head(), event];
            }
            match timeout_at(silent_until, self.changes.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) => break beat(),
            }
        };
        self.seat.touch();
        Some(event)
    }
}

/// The beginning of an event. Its id is the time at which it is sent, from which the page knows the difference of the clocks.
fn head() -> Bytes {
    format!("retry: {RETRY}\nid: {}\n", Timestamp::now().as_millisecond()).into()
}

/// A comment would be enough to keep the connection open, but the page would not see it.
fn beat() -> [Bytes; 2] {
    [head(), Bytes::from_static(b"event: beat\ndata: nothing new\n\n")]
}

#[cfg(test)]
mod tests;
