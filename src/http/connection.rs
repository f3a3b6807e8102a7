//! One connection's phase, and the stream through which it is seen.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
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

/// The phase of a connection, since when it lasts, and a bell to close it.
#[derive(Debug)]
pub(super) struct Watch {
    opened: Instant,
    /// Milliseconds after `opened` in the upper bits, the phase in the lowest two.
    state: AtomicU64,
    pub(super) close: Notify,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { opened: Instant::now(), state: AtomicU64::new(0), close: Notify::new() }
    }

    pub(super) fn set(&self, phase: Phase) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.state.store(since << 2 | phase as u64, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> (Phase, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Answered,
        };
        (phase, self.opened + Duration::from_millis(state >> 2))
    }
}

/// A stream that tells its watch when bytes come in and when an answer is out.
pub(super) struct Watched {
    stream: TcpStream,
    watch: Arc<Watch>,
    /// In HTTP/2 frames come and go outside of requests, and its library bounds what a head may be.
    multiplexed: Option<bool>,
}

impl Watched {
    pub(super) const fn new(stream: TcpStream, watch: Arc<Watch>) -> Self {
        Self { stream, watch, multiplexed: None }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            let multiplexed = *self.multiplexed.get_or_insert_with(|| read.starts_with(b"PRI"));
            match self.watch.phase().0 {
                Phase::Idle if multiplexed => self.watch.set(Phase::Idle),
                Phase::Idle => self.watch.set(Phase::Head),
                _ => {}
            }
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        if polled.is_ready() && self.watch.phase().0 == Phase::Answered {
            self.watch.set(Phase::Idle);
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

    #[tokio::test(start_paused = true)]
    async fn a_phase_and_its_beginning_are_kept_together() {
        let watch = Watch::new();
        assert_eq!(watch.phase(), (Phase::Idle, watch.opened));
        tokio::time::advance(Duration::from_secs(3)).await;
        for phase in [Phase::Head, Phase::Busy, Phase::Answered, Phase::Idle] {
            watch.set(phase);
            assert_eq!(watch.phase(), (phase, watch.opened + Duration::from_secs(3)));
        }
    }
}
