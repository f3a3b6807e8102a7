//! What one connection is doing, and how soon it is closed when there are too many.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests, or before the first.
    Idle,
    /// A part of a request's head has arrived.
    Head,
    /// A request is complete and in progress.
    Busy,
    /// The response is known and being sent.
    Responding,
}

/// The order in which connections are closed when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CloseOrder {
    /// The client has sent a part of a request, and not the rest.
    HalfSent,
    /// The client does not read its response.
    HalfRead,
    /// The client subscribes to events.
    Subscriber,
    /// There is no request in progress.
    Idle,
    /// The connection is new, or a request is in progress.
    InService,
}

/// A request or a response that takes longer than this is half-sent or half-read. An honest client needs the time of a packet.
pub(super) const STALL_THRESHOLD: Duration = Duration::from_millis(50);

/// A new connection without a request is idle after this time.
pub(super) const IDLE_THRESHOLD: Duration = Duration::from_secs(1);

/// What a connection is doing, since when, and the order to close it.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<ActivityState>,
    opened: Instant,
    /// The streams of all connections together.
    streams: Arc<AtomicUsize>,
    close: Notify,
}

#[derive(Clone, Debug)]
struct ActivityState {
    phase: Phase,
    since: Instant,
    /// When each request began that has no response yet; with HTTP/2 there may be several.
    requests: Vec<Instant>,
    /// The number of requests whose bodies are not complete.
    uploads: usize,
    /// The number of responses without an end.
    subscriptions: usize,
    /// When each HTTP/2 response was known that the client has not read.
    unread: Vec<Instant>,
    /// Since when the client has accepted no more bytes, although there are more.
    blocked: Option<Instant>,
    /// The number of responses.
    answered: u64,
    /// The connection is being closed, and its streams are not counted any more.
    is_closing: bool,
}

impl ActivityState {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }

    fn streams(&self) -> usize {
        self.requests.len() + self.unread.len()
    }
}

impl Activity {
    pub(super) fn new(streams: Arc<AtomicUsize>) -> Arc<Self> {
        let now = Instant::now();
        let state = ActivityState {
            phase: Phase::Idle,
            since: now,
            requests: Vec::new(),
            uploads: 0,
            subscriptions: 0,
            unread: Vec::new(),
            blocked: None,
            answered: 0,
            is_closing: false,
        };
        Arc::new(Self { state: Mutex::new(state), opened: now, streams, close: Notify::new() })
    }

    /// Several threads may serve one connection: a phase changes together with what it depends on.
    fn with<R>(&self, change: impl FnOnce(&mut ActivityState) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the connection's task to end. Its streams are not counted any more.
    pub(super) fn close(&self) {
        self.with(|state| {
            if !state.is_closing {
                state.is_closing = true;
                self.streams.fetch_sub(state.streams(), Ordering::Relaxed);
            }
        });
        self.close.notify_one();
    }

    /// Counts a stream that begins or ends, together with the list in which it is.
    fn with_stream(&self, begins: bool, change: impl FnOnce(&mut ActivityState)) {
        self.with(|state| {
            change(state);
            match (state.is_closing, begins) {
                (true, _) => {}
                (false, true) => {
                    self.streams.fetch_add(1, Ordering::Relaxed);
                }
                (false, false) => {
                    self.streams.fetch_sub(1, Ordering::Relaxed);
                }
            }
        });
    }

    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    pub(super) fn phase(&self) -> (Phase, Instant) {
        self.with(|state| (state.phase, state.since))
    }

    /// Bytes have arrived. With HTTP/1 they are a part of a request's head; with HTTP/2 they are frames, which also arrive between requests.
    pub(super) fn received(&self, is_http2: bool) {
        self.with(|state| match state.phase {
            Phase::Head if is_http2 => state.enter(Phase::Idle),
            Phase::Idle if !is_http2 => state.enter(Phase::Head),
            _ => {}
        });
    }

    /// The client accepts no more bytes at the moment.
    pub(super) fn blocked(&self) {
        self.with(|state| *state.blocked.get_or_insert_with(Instant::now));
    }

    /// Everything that was ready has been sent.
    pub(super) fn flushed(&self) {
        self.with(|state| {
            state.blocked = None;
            if state.phase == Phase::Responding {
                state.enter(Phase::Idle);
            }
        });
    }

    /// Whether there is no request in progress and no response being sent.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.phase().0, Phase::Idle | Phase::Head)
    }

    /// Whether there is a response without an end.
    pub(super) fn has_subscription(&self) -> bool {
        self.with(|state| state.subscriptions > 0)
    }

    /// Since when the client has not read what it was sent.
    pub(super) fn unread_since(&self) -> Option<Instant> {
        self.with(|state| state.unread.iter().copied().chain(state.blocked).min())
    }

    pub(super) fn answered(&self) -> u64 {
        self.with(|state| state.answered)
    }

    /// The number of open streams on this connection that the client can keep open.
    pub(super) fn streams(&self) -> usize {
        self.with(|state| state.streams())
    }

    /// Since when the client has been reading a response that is not complete.
    pub(super) fn reading_since(&self) -> Option<Instant> {
        self.with(|state| {
            let answered = (state.phase == Phase::Responding).then_some(state.since);
            state.unread.iter().copied().chain(state.blocked).chain(answered).min()
        })
    }

    /// Its place in the order of closing.
    pub(super) fn close_order(&self, now: Instant) -> CloseOrder {
        let lasts = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let is_old = |since: Instant| lasts(since, STALL_THRESHOLD);
        self.with(|state| {
            let oldest = |list: &[Instant]| list.iter().min().is_some_and(|since| is_old(*since));
            if (state.phase == Phase::Head && is_old(state.since)) || (state.uploads > 0 && oldest(&state.requests)) {
                CloseOrder::HalfSent
            } else if (state.phase == Phase::Responding && is_old(state.since))
                || oldest(&state.unread)
                || state.blocked.is_some_and(is_old)
            {
                CloseOrder::HalfRead
            } else if state.subscriptions > 0 {
                CloseOrder::Subscriber
            } else if state.phase == Phase::Idle && (state.answered > 0 || lasts(self.opened, IDLE_THRESHOLD)) {
                CloseOrder::Idle
            } else {
                CloseOrder::InService
            }
        })
    }
}

/// A request in progress, until it is dropped.
pub(super) struct InProgress {
    activity: Arc<Activity>,
    began: Instant,
    is_upload: bool,
}

impl InProgress {
    pub(super) fn begin(activity: &Arc<Activity>, is_upload: bool) -> Self {
        let began = Instant::now();
        activity.with_stream(true, |state| {
            state.requests.push(began);
            state.uploads += usize::from(is_upload);
            state.enter(Phase::Busy);
        });
        Self { activity: Arc::clone(activity), began, is_upload }
    }

    /// The response is known.
    pub(super) fn answered(&self) {
        self.activity.with(|state| state.answered += 1);
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.activity.with_stream(false, |state| {
            remove(&mut state.requests, self.began);
            state.uploads -= usize::from(self.is_upload);
            if state.requests.is_empty() {
                state.enter(Phase::Responding);
            }
        });
    }
}

/// A response without an end, until it is dropped.
pub(super) struct Subscribed {
    in_progress: InProgress,
}

impl Subscribed {
    pub(super) fn new(in_progress: InProgress) -> Self {
        in_progress.activity.with(|state| state.subscriptions += 1);
        Self { in_progress }
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.in_progress.activity.with(|state| state.subscriptions -= 1);
    }
}

/// A part of an HTTP/2 response that the client has not read, until it is dropped.
pub(super) struct Unread {
    activity: Arc<Activity>,
    since: Instant,
}

impl Unread {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        let since = Instant::now();
        activity.with_stream(true, |state| state.unread.push(since));
        Self { activity: Arc::clone(activity), since }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.activity.with_stream(false, |state| remove(&mut state.unread, self.since));
    }
}

fn remove(list: &mut Vec<Instant>, one: Instant) {
    if let Some(index) = list.iter().position(|listed| *listed == one) {
        list.swap_remove(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tokio::time::advance;

    fn activity() -> Arc<Activity> {
        Activity::new(Arc::default())
    }

    #[test]
    fn a_connection_is_responding_when_its_last_request_is_answered() {
        let activity = activity();
        let (first, second) = (InProgress::begin(&activity, false), InProgress::begin(&activity, false));
        drop(first);
        assert_eq!(activity.phase().0, Phase::Busy);
        drop(second);
        assert_eq!(activity.phase().0, Phase::Responding);
    }

    #[test]
    fn a_request_that_begins_while_another_ends_keeps_the_connection_busy() {
        for _ in 0..200 {
            let activity = activity();
            let first = InProgress::begin(&activity, false);
            let second = thread::scope(|scope| {
                scope.spawn(|| drop(first));
                scope.spawn(|| InProgress::begin(&activity, false)).join().expect("no panic")
            });
            assert_eq!(activity.phase().0, Phase::Busy);
            drop(second);
            assert_eq!(activity.phase().0, Phase::Responding);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_slow_clients_are_closed_earlier() {
        let activity = activity();
        let close_order = || activity.close_order(Instant::now());
        assert_eq!(close_order(), CloseOrder::InService, "its request may be on the way");
        advance(IDLE_THRESHOLD).await;
        assert_eq!(close_order(), CloseOrder::Idle);
        activity.received(false);
        assert_eq!(close_order(), CloseOrder::InService);
        advance(STALL_THRESHOLD).await;
        assert_eq!(close_order(), CloseOrder::HalfSent);
        let request = InProgress::begin(&activity, false);
        advance(STALL_THRESHOLD).await;
        assert_eq!(close_order(), CloseOrder::InService, "its response is due");
        request.answered();
        drop(request);
        assert_eq!(close_order(), CloseOrder::InService);
        advance(STALL_THRESHOLD).await;
        assert_eq!(close_order(), CloseOrder::HalfRead);
        activity.flushed();
        assert_eq!(close_order(), CloseOrder::Idle, "it has its response");
        let subscription = Subscribed::new(InProgress::begin(&activity, false));
        activity.blocked();
        assert_eq!(close_order(), CloseOrder::Subscriber);
        advance(STALL_THRESHOLD).await;
        activity.blocked();
        assert_eq!(close_order(), CloseOrder::HalfRead, "it does not read its events");
        activity.flushed();
        assert_eq!(close_order(), CloseOrder::Subscriber);
        drop(subscription);
    }

    #[tokio::test(start_paused = true)]
    async fn small_requests_do_not_protect_a_subscriber_or_half_a_request() {
        let activity = activity();
        let small = |activity| {
            let request = InProgress::begin(activity, false);
            request.answered();
        };
        let subscription = Subscribed::new(InProgress::begin(&activity, false));
        small(&activity);
        assert_eq!(activity.close_order(Instant::now()), CloseOrder::Subscriber);
        let upload = InProgress::begin(&activity, true);
        advance(STALL_THRESHOLD).await;
        small(&activity);
        assert_eq!(activity.close_order(Instant::now()), CloseOrder::HalfSent);
        drop(upload);
        let unread = Unread::new(&activity);
        advance(STALL_THRESHOLD).await;
        small(&activity);
        assert_eq!(activity.close_order(Instant::now()), CloseOrder::HalfRead);
        drop((unread, subscription));
        assert_eq!(activity.streams(), 0);
    }

    #[tokio::test]
    async fn streams_of_a_closed_connection_are_not_counted() {
        let streams = Arc::<AtomicUsize>::default();
        let (one, other) = (Activity::new(Arc::clone(&streams)), Activity::new(Arc::clone(&streams)));
        let held = (InProgress::begin(&one, false), Unread::new(&one), InProgress::begin(&other, false));
        assert_eq!(streams.load(Ordering::Relaxed), 3);
        one.close();
        one.close();
        assert_eq!(streams.load(Ordering::Relaxed), 1);
        let late = InProgress::begin(&one, false);
        drop((held, late));
        assert_eq!(streams.load(Ordering::Relaxed), 0);
    }
}
