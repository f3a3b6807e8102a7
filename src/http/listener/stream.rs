//! The byte stream of a connection, which reports its activity, and replaces hyper's responses to bytes that are no request.

use super::{
    activity::Activity,
    frames::{Credit, FrameReader, PREFACE},
    refusal::{MAX_FIRST_BYTES, Refuser, is_no_request},
};
use bytes::Bytes;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much a client may still send after the response to bytes that are no request.
const MAX_DISCARDED_BYTES: usize = 1 << 20;

/// The end of a request's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A stream that updates its connection's activity, and ends when the client sends too many frames.
pub(super) struct ObservedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    protocol: Protocol,
    refuser: Refuser,
    refusal: Refusal,
}

/// The response to bytes that are no request.
enum Refusal {
    /// There is none.
    None,
    /// The part that is not sent yet.
    Sending(Bytes),
    /// It is sent. If the connection was closed while bytes of the client's are unread, TCP would reset it and the client could lose the response:
    /// so these are read and discarded, at most this many.
    Discarding { left: usize, is_shut_down: bool },
}

/// The protocol, recognised by the first bytes.
enum Protocol {
    /// This many bytes of the HTTP/2 preface have arrived.
    Unknown(usize),
    Http1(FirstBytes),
    Http2 {
        received: FrameReader,
        sent: FrameReader,
        credit: Credit,
    },
}

/// The first bytes of a connection.
struct FirstBytes {
    bytes: [u8; MAX_FIRST_BYTES],
    count: usize,
    /// What hyper has yet to read of the end of a head. The client does not send it: its first line shows that there is no request. hyper searches
    /// for the end before it looks at a line that arrives in parts.
    head_end: &'static [u8],
}

impl FirstBytes {
    fn new(bytes: &[u8]) -> Self {
        let mut first = Self { bytes: [0; MAX_FIRST_BYTES], count: 0, head_end: &[] };
        first.add(bytes);
        first
    }

    fn add(&mut self, bytes: &[u8]) {
        let was_decided = is_no_request(self.visible()).is_some();
        let added = bytes.len().min(MAX_FIRST_BYTES - self.count);
        self.bytes[self.count..self.count + added].copy_from_slice(&bytes[..added]);
        self.count += added;
        if !was_decided && is_no_request(self.visible()) == Some(true) {
            self.head_end = HEAD_END;
        }
    }

    fn visible(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}

impl<S> ObservedStream<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>, refuser: Refuser) -> Self {
        Self { stream, activity, protocol: Protocol::Unknown(0), refuser, refusal: Refusal::None }
    }

    /// Processes received bytes. `false`: the client has sent too many frames.
    fn received(&mut self, mut bytes: &[u8]) -> bool {
        let is_new = matches!(self.protocol, Protocol::Unknown(_));
        if let Protocol::Unknown(seen) = self.protocol {
            let rest = &PREFACE[seen..];
            let compared = rest.len().min(bytes.len());
            if rest[..compared] != bytes[..compared] {
                let mut first = FirstBytes::new(&PREFACE[..seen]);
                first.add(bytes);
                self.protocol = Protocol::Http1(first);
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
            Protocol::Http1(first) if !is_new => {
                first.add(bytes);
                true
            }
            Protocol::Unknown(_) | Protocol::Http1(_) => true,
        }
    }

    /// Notices the response that hyper sends of its own accord to bytes that are no request, and prepares the one to send instead.
    fn replace_automatic(&mut self, bytes: &[u8]) {
        let Protocol::Http1(first) = &self.protocol else { return };
        if !is_automatic(bytes) || !self.activity.is_between_requests() {
            return;
        }
        let first = if self.activity.answered() == 0 { first.visible() } else { &[] };
        self.refusal = Refusal::Sending(self.refuser.response(bytes, first).unwrap_or_default());
        // The client has the same time as for a request to receive it.
        self.activity.received(false);
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
    /// Sends the response instead of hyper's, if there is one.
    fn send_refusal(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        loop {
            match &mut self.refusal {
                Refusal::None => return None,
                Refusal::Sending(rest) if !rest.is_empty() => match Pin::new(&mut self.stream).poll_write(context, rest) {
                    Poll::Ready(Ok(count)) => drop(rest.split_to(count)),
                    Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                    Poll::Pending => {
                        self.activity.blocked();
                        return Some(Poll::Pending);
                    }
                },
                Refusal::Sending(_) => self.refusal = Refusal::Discarding { left: MAX_DISCARDED_BYTES, is_shut_down: false },
                Refusal::Discarding { .. } => return Some(Poll::Ready(Ok(()))),
            }
        }
    }

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
        if let Protocol::Http1(first) = &mut self.protocol
            && !first.head_end.is_empty()
        {
            let (now, later) = first.head_end.split_at(buffer.remaining().min(first.head_end.len()));
            buffer.put_slice(now);
            first.head_end = later;
            return Poll::Ready(Ok(()));
        }
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ObservedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.replace_automatic(bytes);
        if let Some(sent) = self.send_refusal(context) {
            return sent.map_ok(|()| bytes.len());
        }
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
        let this = &mut *self;
        let Refusal::Discarding { left, is_shut_down } = &mut this.refusal else {
            return Pin::new(&mut this.stream).poll_shutdown(context);
        };
        if !*is_shut_down {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            *is_shut_down = true;
        }
        let mut scratch = [0; 4096];
        while *left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            if ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)).is_err() || buffer.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.replace_automatic(slices.first().map_or(&[], |first| first));
        if let Some(sent) = self.send_refusal(context) {
            return sent.map_ok(|()| slices.iter().map(|slice| slice.len()).sum());
        }
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

/// Whether bytes look like hyper's response to bytes that are no request. Our own responses have a body, except those to OPTIONS, which are sent
/// during a request.
fn is_automatic(bytes: &[u8]) -> bool {
    const EMPTY_BODY: &[u8] = b"\r\ncontent-length: 0\r\n";
    bytes.starts_with(b"HTTP/1.1 4") && bytes.ends_with(b"\r\n\r\n") && bytes.windows(EMPTY_BODY.len()).any(|part| part == EMPTY_BODY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Aggregator,
        http::{
            Control, ResponseMemory, build_routes,
            listener::{activity::Phase, refusal::Refusals},
            peer::Peer,
            test_check::PassingCheck,
        },
    };
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn refuser() -> Refuser {
        let checks = Aggregator::builder().check("fleet", PassingCheck).build();
        let routes = build_routes(checks.aggregator(), Arc::default(), ResponseMemory::new(usize::MAX), &Control::new().0);
        let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], 1)));
        Refuser { refusals: Arc::new(Refusals::new(routes)), reads_proxy_header: false, peer }
    }

    #[tokio::test]
    async fn a_connection_is_http_2_after_the_whole_preface() {
        for (pieces, phase) in [
            (vec![&b"GET / HTTP/1.1"[..]], Phase::Head),
            (vec![&b"PRI"[..]], Phase::Head),
            (vec![&b"PRI * HTTP/2.0\r\n"[..], &b"\r\nSM\r\n\r\nframe"[..]], Phase::Idle),
            (vec![&b"PRIX"[..], &b" / HTTP/1.1"[..]], Phase::Head),
        ] {
            let mut stream = ObservedStream::new((), Activity::new(Arc::default()), refuser());
            for piece in &pieces {
                assert!(stream.received(piece));
            }
            assert_eq!(stream.activity.phase().0, phase, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_pings_ends_the_connection_with_goaway() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut stream = ObservedStream::new(server, Activity::new(Arc::default()), refuser());
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
