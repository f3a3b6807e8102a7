//! Limits how much is read of a stream: drivers that buffer everything must not fill our memory.

use crate::{
    contract::{Failure, FailureClass, FailureDetail},
    wire::address::Stream,
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The message of a failure for which [`is_too_long`] is true.
pub(crate) const TOO_LONG_MESSAGE: &str = "the reply is too long";

/// The error of a reader whose meter is empty.
#[derive(Debug, thiserror::Error)]
#[error("{TOO_LONG_MESSAGE}")]
struct TooLong;

/// Whether an error, or its cause, is that a meter was empty.
#[cfg(any(feature = "exchange", feature = "memcached", feature = "resp", feature = "sql-server"))]
pub(crate) fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    super::cause::find_cause::<TooLong>(error).is_some()
}

/// Maximum number of first bytes that are remembered.
const MAX_BEGINNING_BYTES: usize = 4096;

/// How much may still be read of a stream, and its first bytes.
#[derive(Clone)]
pub struct Meter(Arc<MeterState>);

struct MeterState {
    left: AtomicUsize,
    beginning: Mutex<Vec<u8>>,
    /// The first bytes since the last refill.
    #[cfg(feature = "redis")]
    recent: Mutex<Vec<u8>>,
}

impl Meter {
    /// Allows this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(MeterState {
            left: bytes.into(),
            beginning: Mutex::default(),
            #[cfg(feature = "redis")]
            recent: Mutex::default(),
        }))
    }

    /// Allows this many bytes from now on.
    pub fn refill(&self, bytes: usize) {
        self.0.left.store(bytes, Relaxed);
        #[cfg(feature = "redis")]
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether the limit is used up.
    #[cfg(feature = "resp")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.left.load(Relaxed) == 0
    }

    /// The first bytes read, at most 4 KiB, which drivers do not return.
    pub(crate) fn beginning(&self) -> Vec<u8> {
        self.0.beginning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first bytes read since the last refill, at most 4 KiB: replies that a driver holds back until it has read others.
    #[cfg(feature = "redis")]
    pub(crate) fn recent(&self) -> Vec<u8> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Corrects a driver's failure by the first bytes of the server: after a first byte, an end is a truncated reply; and a TLS alert means
    /// that the server expects TLS.
    #[must_use]
    pub fn explain(&self, failure: Failure) -> Failure {
        // <https://www.rfc-editor.org/rfc/rfc8446#section-5.1>: the type `alert`, and a version that has begun with 3 since 1996.
        const ALERT: &[u8] = &[21, 3];
        let beginning = self.beginning();
        if beginning.starts_with(ALERT) {
            let failure = failure.reclassified(FailureClass::Protocol).saying("the server expects TLS, but the connection was plaintext");
            return failure.detailed(FailureDetail::ExpectsTls);
        }
        if beginning.is_empty() { failure } else { failure.truncated() }
    }

    fn count(&self, read: &[u8]) {
        self.0.left.store(self.0.left.load(Relaxed).saturating_sub(read.len()), Relaxed);
        remember(&self.0.beginning, read);
        #[cfg(feature = "redis")]
        remember(&self.0.recent, read);
    }
}

/// Appends bytes as long as there is room.
fn remember(bytes: &Mutex<Vec<u8>>, read: &[u8]) {
    let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
    let room = MAX_BEGINNING_BYTES - bytes.len();
    bytes.extend_from_slice(&read[..read.len().min(room)]);
}

/// A stream with a limit. It may read one buffer more than the meter allows.
pub struct Metered {
    stream: Stream,
    meter: Meter,
}

impl Metered {
    /// A stream that reads no more than the meter allows.
    #[must_use]
    pub const fn new(stream: Stream, meter: Meter) -> Self {
        Self { stream, meter }
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.meter.0.left.load(Relaxed) == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooLong)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.meter.count(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn an_endless_reply_ends() {
        let meter = Meter::new(1000);
        let mut endless = Metered::new(Box::new(tokio::io::join(tokio::io::repeat(b'x'), tokio::io::sink())), meter.clone());
        let mut read = Vec::new();
        let error = endless.read_to_end(&mut read).await.expect_err("it is endless");
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidData, TOO_LONG_MESSAGE));
        assert!(read.len() < 100_000 && meter.beginning().starts_with(b"xxx"));
        meter.refill(10);
        assert!(endless.read_u8().await.is_ok());
    }
}
