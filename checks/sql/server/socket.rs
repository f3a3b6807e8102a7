//! Lets the drivers of sqlx read and write our own stream.

use crate::wire::address::Stream;
use sqlx_core::{io::ReadBuf as Reading, net::Socket};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Size of the read-ahead buffer and of the buffer of unwritten bytes.
const BUFFER_BYTES: usize = 8 * 1024;

/// A stream with buffers. The drivers try first and wait only if that fails, which streams of tokio do not support.
pub(crate) struct DriverSocket {
    stream: Stream,
    read: Vec<u8>,
    /// How many bytes of `read` were taken.
    taken: usize,
    is_at_end: bool,
    unwritten: Vec<u8>,
}

impl DriverSocket {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, read: Vec::new(), taken: 0, is_at_end: false, unwritten: Vec::new() }
    }

    /// The stream alone; `None` if more was read than the driver took: bytes sent before encryption may come from anyone.
    #[cfg(feature = "mysql")]
    pub(crate) fn into_stream(self) -> Option<Stream> {
        (self.taken == self.read.len() && self.unwritten.is_empty()).then_some(self.stream)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unwritten))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unwritten.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Socket for DriverSocket {
    fn try_read(&mut self, buffer: &mut dyn Reading) -> io::Result<usize> {
        let unread = &self.read[self.taken..];
        if unread.is_empty() {
            return if self.is_at_end { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let length = unread.len().min(buffer.remaining_mut());
        buffer.put_slice(&unread[..length]);
        self.taken += length;
        Ok(length)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(BUFFER_BYTES.saturating_sub(self.unwritten.len()));
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.unwritten.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.taken < self.read.len() || self.is_at_end {
            return Poll::Ready(Ok(()));
        }
        self.read.resize(BUFFER_BYTES, 0);
        self.taken = BUFFER_BYTES;
        let mut buffer = ReadBuf::new(&mut self.read);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        self.read.truncate(length);
        self.taken = 0;
        self.is_at_end = length == 0;
        Poll::Ready(Ok(()))
    }

    fn poll_write_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(context)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn writes_arrive_and_replies_are_read() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut socket = DriverSocket::new(Box::new(ours));
        let sent = vec![7; 3 * BUFFER_BYTES];
        let writing = async {
            let mut rest = &sent[..];
            while !rest.is_empty() {
                rest = &rest[socket.write(rest).await.expect("room")..];
            }
            socket.flush().await.expect("a peer that reads");
            let mut read = [0; 5];
            assert_eq!(socket.read(&mut &mut read[..]).await.expect("an answer"), 5);
            assert_eq!(&read, b"hello");
            assert_eq!(socket.read(&mut &mut read[..]).await.expect("an end"), 0);
        };
        let reading = async {
            let mut arrived = vec![0; 3 * BUFFER_BYTES];
            theirs.read_exact(&mut arrived).await.expect("bytes");
            assert!(arrived.iter().all(|byte| *byte == 7));
            theirs.write_all(b"hello").await.expect("a peer that reads");
            drop(theirs);
        };
        tokio::join!(writing, reading);
    }

    #[cfg(feature = "mysql")]
    #[tokio::test]
    async fn bytes_sent_before_the_encryption_are_noticed() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        theirs.write_all(b"greeting and more").await.expect("room");
        let mut socket = DriverSocket::new(Box::new(ours));
        let mut greeting = [0; 8];
        assert_eq!(socket.read(&mut &mut greeting[..]).await.expect("bytes"), 8);
        assert!(socket.into_stream().is_none());
    }
}
