//! Live events of the status page. Each view is rendered once for all of its subscribers, and each subscriber gets what it has not seen yet.
//!
//! [`Events::serve`] responds with a stream of server-sent events. The first events contain the whole page, later ones the parts that have changed: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

mod rendering;

use super::{
    answers::Answers,
    peer::peer,
    renderings::is_large,
    respond::{guarded, options, problem, read_only, streaming},
    subscriptions::{Subscription, Subscriptions},
};
use crate::{
    dialect::{
        Detail,
        html::{self, PageParts},
    },
    engine::Aggregator,
    pollers::Polls,
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
use rendering::{Difference, PageRendering, Position};
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

/// The shortest time between two changes of a feed.
const MIN_CHANGE_INTERVAL: Duration = Duration::from_secs(1);
/// The most bytes that a feed sends in [`MIN_CHANGE_INTERVAL`], about: with very many components there is always a change.
const MAX_BYTES_PER_INTERVAL: usize = 128 * 1024;
/// The shortest time between two changes that concern only the pollers, which poll all the time.
const MIN_POLLERS_INTERVAL: Duration = Duration::from_secs(5);
/// After this time without a change an empty event is sent, so that the page can distinguish silence from a lost connection.
const MAX_SILENCE: Duration = Duration::from_secs(15);
/// The page is rendered at least this often, because it may change by time alone, and a stalled engine announces nothing.
const MAX_RENDER_INTERVAL: Duration = Duration::from_secs(1);
/// The page is rendered at most this often, because with very many components there are always new results.
const MIN_RENDER_INTERVAL: Duration = Duration::from_millis(100);
/// After a rendering there is a rest of this many times its duration, which limits rendering to about 5 % of a processor.
const RENDER_REST_FACTOR: u32 = 20;
/// The time that a browser waits before it reconnects, in milliseconds.
const RECONNECT_DELAY_MS: u32 = 2_000;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// All feeds that have subscribers.
#[derive(Debug, Default)]
pub(super) struct Events {
    feeds: Mutex<BTreeMap<(View, Detail), Weak<Feed>>>,
    /// A feed lives for as long as it has a subscription.
    subscriptions: Subscriptions<Arc<Feed>>,
}

impl Events {
    /// Responds with the events of the view that the query names.
    pub(super) fn serve(&self, aggregator: &Aggregator, polls: &Arc<Polls>, answers: &Answers, request: &Request) -> Response<Body> {
        let status = aggregator.status();
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return options(StatusCode::OK, status),
            _ => return read_only(status),
        }
        let query = request.uri.query().unwrap_or_default();
        let of = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "of").map(|(_, of)| of);
        let view = of.map_or(Some(View::Whole), |of| html::view_by_name(&of).or_else(|| aggregator.view(&of)));
        let Some(view) = view else {
            return problem(StatusCode::NOT_FOUND, "there is no component or group of this name", status);
        };
        if request.method == Method::HEAD {
            return event_stream(status, Body::empty());
        }
        let source =
            EventSource { aggregator: aggregator.clone(), polls: Arc::clone(polls), view, detail: answers.detail(&request.headers) };
        let events = self.subscribe(source, peer(&request.extensions).map(|peer| peer.address));
        let frames = events.flat_map(stream::iter).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        event_stream(status, Body::new(StreamBody::new(frames)))
    }

    /// Ends the events of all clients.
    #[cfg(feature = "server")]
    pub(super) fn end(&self) {
        self.subscriptions.end_all();
    }

    /// The events for one client. They end when the view is removed, and when the client loses its subscription.
    fn subscribe(&self, source: EventSource, peer: Option<SocketAddr>) -> impl Stream<Item = [Bytes; 2]> + use<> {
        let feed = self.feed(source);
        let (latest, changes) = (Arc::downgrade(&feed.latest), feed.changes.clone());
        FeedSubscriber { latest, changes, position: Position::default(), subscription: self.subscriptions.subscribe(peer, feed) }
            .into_events()
    }

    /// The feed of a view, which is started if there is none.
    fn feed(&self, source: EventSource) -> Arc<Feed> {
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

/// A response with a stream of events, which no proxy may buffer.
fn event_stream(status: Status, body: Body) -> Response<Body> {
    let mut response = guarded(streaming(StatusCode::OK, status, "text/event-stream", body));
    // Without this header, nginx sends events only when its buffer is full.
    response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// What a feed is rendered from.
struct EventSource {
    aggregator: Aggregator,
    polls: Arc<Polls>,
    view: View,
    detail: Detail,
}

impl EventSource {
    /// The page as it is now; `None` if the view was removed.
    async fn render(self: &Arc<Self>) -> Option<PageParts> {
        if !is_large(&self.aggregator, &self.view) {
            return self.render_inline();
        }
        let source = Arc::clone(self);
        spawn_blocking(move || source.render_inline()).await.ok()?
    }

    fn render_inline(&self) -> Option<PageParts> {
        let report = self.aggregator.report_on(&self.view)?;
        Some(PageParts::render(&report, &self.polls.ledger.report(), self.detail))
    }
}

/// The last rendering of a view, renewed by a task that ends with the feed.
#[derive(Debug)]
struct Feed {
    latest: Arc<ArcSwapOption<PageRendering>>,
    /// Wakes subscribers; closed when the view is removed.
    changes: watch::Receiver<()>,
    task: AbortHandle,
}

impl Feed {
    fn start(source: EventSource) -> Self {
        let latest = Arc::<ArcSwapOption<PageRendering>>::default();
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
async fn run(source: Arc<EventSource>, latest: Arc<ArcSwapOption<PageRendering>>, wake: watch::Sender<()>) {
    let mut changes = source.aggregator.changes();
    let mut sent_at = Instant::now();
    loop {
        let began = Instant::now();
        let Some(parts) = source.render().await else { return };
        let (next, difference) = PageRendering::after(latest.load().as_deref(), parts);
        let now = Instant::now();
        let rest = match difference {
            Difference::Bytes(bytes) => Some(rest(bytes)),
            Difference::PollersOnly if now >= sent_at + MIN_POLLERS_INTERVAL => Some(MIN_CHANGE_INTERVAL),
            Difference::PollersOnly | Difference::None => None,
        };
        let cost = (now - began) * RENDER_REST_FACTOR;
        if let Some(rest) = rest {
            latest.store(Some(Arc::new(next)));
            wake.send_replace(());
            sent_at = now;
            sleep(rest.max(cost)).await;
        } else {
            let _ = timeout(MAX_RENDER_INTERVAL, changes.changed()).await;
            sleep_until(now + cost.max(MIN_RENDER_INTERVAL)).await;
        }
    }
}

/// How long a feed rests after a change of this many bytes.
fn rest(bytes: usize) -> Duration {
    MIN_CHANGE_INTERVAL.saturating_mul(u32::try_from(1 + bytes / MAX_BYTES_PER_INTERVAL).unwrap_or(u32::MAX)).min(MAX_SILENCE)
}

/// One client of a feed. It does not keep the feed alive, since it is not polled while its connection is blocked, and so could not notice that
/// it has lost its subscription.
struct FeedSubscriber {
    latest: Weak<ArcSwapOption<PageRendering>>,
    changes: watch::Receiver<()>,
    position: Position,
    subscription: Subscription<Arc<Feed>>,
}

impl FeedSubscriber {
    fn into_events(self) -> impl Stream<Item = [Bytes; 2]> {
        let ended = self.subscription.ended();
        stream::unfold(self, |mut subscriber| async move { Some((subscriber.next().await?, subscriber)) }).take_until(ended)
    }

    /// The next event. After a long silence it is empty.
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
        self.subscription.touch();
        Some(event)
    }
}

/// The head of an event. Its id is the time at which it is sent, from which the page computes the difference between the clocks.
fn head() -> Bytes {
    format!("retry: {RECONNECT_DELAY_MS}\nid: {}\n", Timestamp::now().as_millisecond()).into()
}

/// An empty event. A comment would keep the connection open, too, but the page's script would not see it.
fn beat() -> [Bytes; 2] {
    [head(), Bytes::from_static(b"event: beat\ndata: nothing new\n\n")]
}

#[cfg(test)]
mod tests;
