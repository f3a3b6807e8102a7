//! One connection's phase, and the stream through which it is seen.

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests, or before the first.
    Idle,
    /// Some of a request's head has come.
    Head,
    /// A request is complete and in progress.
    Busy,
    /// The answer is known and on its way.
    Answered,
}

/// What a connection is doing, since when, and a bell to close it.
#[derive(Debug)]
pub(super) struct Watch {
    state: Mutex<State>,
    pub(super) close: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Requests in progress: in HTTP/2 there may be several.
    requests: usize,
    /// Those of them whose answers have no known end: events, and gRPC's Watch.
    watchers: usize,
}

impl State {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }
}

impl Watch {
    pub(super) fn new() -> Self {
        let state = State { phase: Phase::Idle, since: Instant::now(), requests: 0, watchers: 0 };
        Self { state: Mutex::new(state), close: Notify::new() }
    }

    /// Several threads may serve one connection: a phase changes together with what it depends on.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn phase(&self) -> (Phase, Instant) {
        self.change(|state| (state.phase, state.since))
    }

    /// Whether an answer on it may last for as long as the client likes.
    pub(super) fn is_watched(&self) -> bool {
        self.change(|state| state.watchers > 0)
    }

    /// Whether no request on it waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase().0, Phase::Idle | Phase::Head)
    }
}

/// A request in progress, until it is dropped.
pub(super) struct InProgress(Arc<Watch>);

impl InProgress {
    pub(super) fn begin(watch: &Arc<Watch>) -> Self {
        watch.change(|state| {
            state.requests += 1;
            state.enter(Phase::Busy);
        });
        Self(Arc::clone(watch))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.requests -= 1;
            if state.requests == 0 {
                state.enter(Phase::Answered);
            }
        });
    }
}

/// The body of an answer, which is in progress for as long as the body lasts: its end is not known when it begins.
pub(super) struct Lasting {
    body: Body,
    in_progress: InProgress,
}

impl Lasting {
    pub(super) fn new(body: Body, in_progress: InProgress) -> Self {
        in_progress.0.change(|state| state.watchers += 1);
        Self { body, in_progress }
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.in_progress.0.change(|state| state.watchers -= 1);
    }
}

impl http_body::Body for Lasting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
}

/// The beginning of every HTTP/2 connection with prior knowledge: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that tells its watch when bytes come in and when an answer is out.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    /// How much of the preface has come; `None`: this is HTTP/1.
    preface: Option<usize>,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, preface: Some(0) }
    }

    /// In HTTP/2 frames come and go outside of requests, so that only the preface counts as a head; its library bounds what follows.
    fn saw(&mut self, read: &[u8]) {
        let before = self.preface;
        self.preface = before.and_then(|seen| {
            let rest = &PREFACE[seen..];
            let compared = rest.len().min(read.len());
            (rest[..compared] == read[..compared]).then_some(seen + compared)
        });
        let is_preface = self.preface.is_some_and(|seen| seen == PREFACE.len());
        self.watch.change(|state| match state.phase {
            Phase::Head if is_preface => state.enter(Phase::Idle),
            Phase::Idle if !is_preface => state.enter(Phase::Head),
            _ => {}
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.saw(read);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        if polled.is_ready() {
            self.watch.change(|state| {
                if state.phase == Phase::Answered {
                    state.enter(Phase::Idle);
                }
            });
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn the_last_of_several_requests_makes_it_answered() {
        let watch = Arc::new(Watch::new());
        let (first, second) = (InProgress::begin(&watch), InProgress::begin(&watch));
        drop(first);
        assert_eq!(watch.phase().0, Phase::Busy);
        drop(second);
        assert_eq!(watch.phase().0, Phase::Answered);
    }

    #[test]
    fn a_request_that_begins_while_another_ends_keeps_the_connection_busy() {
        for _ in 0..200 {
            let watch = Arc::new(Watch::new());
            let first = InProgress::begin(&watch);
            let second = thread::scope(|scope| {
                scope.spawn(|| drop(first));
                scope.spawn(|| InProgress::begin(&watch)).join().expect("no panic")
            });
            assert_eq!(watch.phase().0, Phase::Busy);
            drop(second);
            assert_eq!(watch.phase().0, Phase::Answered);
        }
    }

    #[tokio::test]
    async fn only_the_whole_preface_makes_it_http_2() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        for (pieces, phase) in [
            (vec![&b"GET / HTTP/1.1"[..]], Phase::Head),
            (vec![&b"PRI"[..]], Phase::Head),
            (vec![&b"PRI * HTTP/2.0\r\n"[..], &b"\r\nSM\r\n\r\nframe"[..]], Phase::Idle),
            (vec![&b"PRIX"[..], &b" / HTTP/1.1"[..]], Phase::Head),
        ] {
            let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
            let mut watched = Watched::new(stream, Arc::new(Watch::new()));
            for piece in &pieces {
                watched.saw(piece);
            }
            assert_eq!(watched.watch.phase().0, phase, "{pieces:?}");
        }
    }
}
