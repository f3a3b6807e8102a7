//! The byte stream of a connection, which reports its activity.

use super::{
    activity::Activity,
    frames::{Credit, FrameReader, PREFACE},
};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that updates its connection's activity, and ends when the client sends too many frames.
pub(super) struct ObservedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    protocol: Protocol,
}

/// The protocol, recognised by the first bytes.
enum Protocol {
    /// This many bytes of the HTTP/2 preface have arrived.
    Unknown(usize),
    Http1,
    Http2 {
        received: FrameReader,
        sent: FrameReader,
        credit: Credit,
    },
}

impl<S> ObservedStream<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity, protocol: Protocol::Unknown(0) }
    }

    /// Processes received bytes. `false`: the client has sent too many frames.
    fn received(&mut self, mut bytes: &[u8]) -> bool {
        if let Protocol::Unknown(seen) = self.protocol {
            let rest = &PREFACE[seen..];
            let compared = rest.len().min(bytes.len());
            if rest[..compared] != bytes[..compared] {
                self.protocol = Protocol::Http1;
            } else if compared < rest.len() {
                self.protocol = Protocol::Unknown(seen + compared);
            } else {
                bytes = &bytes[compared..];
                self.protocol = Protocol::Http2 { received: FrameReader::default(), sent: FrameReader::default(), credit: Credit::new() };
            }
        }
        self.activity.received(matches!(self.protocol, Protocol::Http2 { .. }));
        match &mut self.protocol {
            Protocol::Http2 { received, credit, .. } => credit.pay(received.read(bytes), self.activity.answered()),
            Protocol::Unknown(_) | Protocol::Http1 => true,
        }
    }

    fn sent<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, mut count: usize) {
        if let Protocol::Http2 { sent, credit, .. } = &mut self.protocol {
            credit.sent(u64::try_from(count).unwrap_or(u64::MAX));
            for slice in slices {
                let part = slice.len().min(count);
                sent.read(&slice[..part]);
                count -= part;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> ObservedStream<S> {
    /// Sends the reason why the connection ends, if that is possible without waiting.
    fn send_goaway(&mut self, context: &mut Context<'_>) {
        if let Protocol::Http2 { received, sent, .. } = &self.protocol
            && sent.is_between_frames()
        {
            let goaway = received.goaway();
            let _ = Pin::new(&mut self.stream).poll_write(context, &goaway);
            let _ = Pin::new(&mut self.stream).poll_flush(context);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ObservedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() && !self.received(read) {
            self.send_goaway(context);
            return Poll::Ready(Err(io::Error::other("too many frames")));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ObservedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        match polled {
            Poll::Ready(Ok(count)) => self.sent([bytes].into_iter(), count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.blocked(),
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        if polled.is_ready() {
            self.activity.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        match polled {
            Poll::Ready(Ok(count)) => self.sent(slices.iter().map(|slice| &**slice), count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.blocked(),
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::listener::activity::Phase;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_connection_is_http_2_after_the_whole_preface() {
        for (pieces, phase) in [
            (vec![&b"GET / HTTP/1.1"[..]], Phase::Head),
            (vec![&b"PRI"[..]], Phase::Head),
            (vec![&b"PRI * HTTP/2.0\r\n"[..], &b"\r\nSM\r\n\r\nframe"[..]], Phase::Idle),
            (vec![&b"PRIX"[..], &b" / HTTP/1.1"[..]], Phase::Head),
        ] {
            let mut stream = ObservedStream::new((), Activity::new(Arc::default()));
            for piece in &pieces {
                assert!(stream.received(piece));
            }
            assert_eq!(stream.activity.phase().0, phase, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_pings_ends_the_connection_with_goaway() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut stream = ObservedStream::new(server, Activity::new(Arc::default()));
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[0; 8]].concat();
        client.write_all(PREFACE).await.expect("room");
        client.write_all(&ping.repeat(1000)).await.expect("room");
        let mut buffer = vec![0; 1 << 16];
        let error = loop {
            match stream.read(&mut buffer).await {
                Ok(read) => assert!(read > 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "too many frames");
        let mut goaway = [0; 17];
        client.read_exact(&mut goaway).await.expect("a response");
        assert_eq!((goaway[3], goaway[16]), (7, 0xb));
    }
}
