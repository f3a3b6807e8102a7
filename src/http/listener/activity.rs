//! What one connection is doing, and what that means when room has to be made.

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
    /// The answer is known and being sent.
    Answered,
}

/// How much a connection deserves to be kept: the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// A part of a request was sent, and the rest is missing.
    HalfSent,
    /// The client does not read its answer.
    HalfRead,
    /// The client subscribes to events.
    Subscriber,
    /// There is no request.
    Idle,
    /// The connection is new, or a request is in progress.
    InService,
}

/// A request or an answer that takes longer than this is half-sent or half-read. An honest client takes a packet's time.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

/// A new connection that is silent for longer is idle.
pub(super) const ARRIVAL: Duration = Duration::from_secs(1);

/// What a connection is doing, since when, and the order to close it.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    opened: Instant,
    /// The streams of all connections together.
    streams: Arc<AtomicUsize>,
    close: Notify,
}

#[derive(Clone, Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// When each request began whose answer is not known yet; in HTTP/2 there may be several.
    requests: Vec<Instant>,
    /// Requests whose bodies are not complete.
    uploads: usize,
    /// Answers without an end.
    subscriptions: usize,
    /// When each answer of HTTP/2 was known that the client has not read.
    unread: Vec<Instant>,
    /// Since when the client takes no more bytes, though there are more for it.
    blocked: Option<Instant>,
    /// How many requests were answered.
    answered: u64,
    /// The connection is being closed, and its streams count no more.
    is_closing: bool,
}

impl State {
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
        let state = State {
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
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Orders the connection's task to end. Its streams count no more.
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
    fn with_stream(&self, begins: bool, change: impl FnOnce(&mut State)) {
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

    /// Bytes of the first request's or the next one's head have arrived; with HTTP/2 these are frames, which come between requests as well.
    pub(super) fn received(&self, is_http2: bool) {
        self.with(|state| match state.phase {
            Phase::Head if is_http2 => state.enter(Phase::Idle),
            Phase::Idle if !is_http2 => state.enter(Phase::Head),
            _ => {}
        });
    }

    /// The client takes no more bytes.
    pub(super) fn blocked(&self) {
        self.with(|state| *state.blocked.get_or_insert_with(Instant::now));
    }

    /// Everything that was known has been sent.
    pub(super) fn flushed(&self) {
        self.with(|state| {
            state.blocked = None;
            if state.phase == Phase::Answered {
                state.enter(Phase::Idle);
            }
        });
    }

    /// Whether an answer lasts for as long as the client likes.
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

    /// Streams that are open on this connection, as far as the client may keep them open.
    pub(super) fn streams(&self) -> usize {
        self.with(|state| state.streams())
    }

    /// Since when the client reads an answer that it has not got yet.
    pub(super) fn reading_since(&self) -> Option<Instant> {
        self.with(|state| {
            let answered = (state.phase == Phase::Answered).then_some(state.since);
            state.unread.iter().copied().chain(state.blocked).chain(answered).min()
        })
    }

    /// How much the connection deserves to be kept.
    pub(super) fn claim(&self, now: Instant) -> Claim {
        let lasts = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let is_old = |since: Instant| lasts(since, PATIENCE);
        self.with(|state| {
            let oldest = |list: &[Instant]| list.iter().min().is_some_and(|since| is_old(*since));
            if (state.phase == Phase::Head && is_old(state.since)) || (state.uploads > 0 && oldest(&state.requests)) {
                Claim::HalfSent
            } else if (state.phase == Phase::Answered && is_old(state.since)) || oldest(&state.unread) || state.blocked.is_some_and(is_old)
            {
                Claim::HalfRead
            } else if state.subscriptions > 0 {
                Claim::Subscriber
            } else if state.phase == Phase::Idle && (state.answered > 0 || lasts(self.opened, ARRIVAL)) {
                Claim::Idle
            } else {
                Claim::InService
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

    /// The answer is known.
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
                state.enter(Phase::Answered);
            }
        });
    }
}

/// An answer without an end, until it is dropped.
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

/// A part of an answer of HTTP/2 that the client has not read, until it is dropped.
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
    fn the_last_of_several_requests_makes_it_answered() {
        let activity = activity();
        let (first, second) = (InProgress::begin(&activity, false), InProgress::begin(&activity, false));
        drop(first);
        assert_eq!(activity.phase().0, Phase::Busy);
        drop(second);
        assert_eq!(activity.phase().0, Phase::Answered);
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
            assert_eq!(activity.phase().0, Phase::Answered);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_a_weaker_claim() {
        let activity = activity();
        let claim = || activity.claim(Instant::now());
        assert_eq!(claim(), Claim::InService, "its request may be on the way");
        advance(ARRIVAL).await;
        assert_eq!(claim(), Claim::Idle);
        activity.received(false);
        assert_eq!(claim(), Claim::InService);
        advance(PATIENCE).await;
        assert_eq!(claim(), Claim::HalfSent);
        let request = InProgress::begin(&activity, false);
        advance(PATIENCE).await;
        assert_eq!(claim(), Claim::InService, "we owe an answer");
        request.answered();
        drop(request);
        assert_eq!(claim(), Claim::InService);
        advance(PATIENCE).await;
        assert_eq!(claim(), Claim::HalfRead);
        activity.flushed();
        assert_eq!(claim(), Claim::Idle, "it had its answer");
        let subscription = Subscribed::new(InProgress::begin(&activity, false));
        activity.blocked();
        assert_eq!(claim(), Claim::Subscriber);
        advance(PATIENCE).await;
        activity.blocked();
        assert_eq!(claim(), Claim::HalfRead, "it does not read its events");
        activity.flushed();
        assert_eq!(claim(), Claim::Subscriber);
        drop(subscription);
    }

    #[tokio::test(start_paused = true)]
    async fn small_requests_do_not_strengthen_the_claim_of_a_subscriber_or_of_half_a_request() {
        let activity = activity();
        let small = |activity| {
            let request = InProgress::begin(activity, false);
            request.answered();
        };
        let subscription = Subscribed::new(InProgress::begin(&activity, false));
        small(&activity);
        assert_eq!(activity.claim(Instant::now()), Claim::Subscriber);
        let upload = InProgress::begin(&activity, true);
        advance(PATIENCE).await;
        small(&activity);
        assert_eq!(activity.claim(Instant::now()), Claim::HalfSent);
        drop(upload);
        let unread = Unread::new(&activity);
        advance(PATIENCE).await;
        small(&activity);
        assert_eq!(activity.claim(Instant::now()), Claim::HalfRead);
        drop((unread, subscription));
        assert_eq!(activity.streams(), 0);
    }

    #[tokio::test]
    async fn the_streams_of_a_connection_that_is_closed_count_no_more() {
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
