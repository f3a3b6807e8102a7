//! The body of an answer on its way to the client.

use super::{
    super::fast_path::AnswerBody,
    activity::{Activity, InProgress, Subscribed, Unread},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The most that is handed over at once where the library below copies it: TLS has no vectored writes.
const PIECE: usize = 16 * 1024;

/// How a connection sends bodies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transport {
    pub(super) is_http2: bool,
    pub(super) is_tls: bool,
}

/// A body that its connection knows of.
pub(super) struct TrackedBody {
    body: AnswerBody,
    /// Of a body without a known end, for as long as it lasts.
    _subscribed: Option<Subscribed>,
    /// With HTTP/2 several answers are sent at a time, and each piece counts until it is sent.
    activity: Option<Arc<Activity>>,
    /// And so does what is left of the body, which stays here while the client gives no window.
    _unread: Option<Unread>,
    /// Whether the body is handed over in pieces.
    in_pieces: bool,
    /// What is left of a frame.
    rest: Bytes,
}

impl TrackedBody {
    pub(super) fn new(body: AnswerBody, in_progress: InProgress, activity: &Arc<Activity>, transport: Transport) -> Self {
        in_progress.answered();
        let subscribed = body.size_hint().exact().is_none().then(|| Subscribed::new(in_progress));
        let unread = (transport.is_http2 && subscribed.is_none()).then(|| Unread::new(activity));
        Self {
            body,
            _subscribed: subscribed,
            activity: transport.is_http2.then(|| Arc::clone(activity)),
            _unread: unread,
            in_pieces: transport.is_tls || transport.is_http2,
            rest: Bytes::new(),
        }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let size = if self.in_pieces { self.rest.len().min(PIECE) } else { self.rest.len() };
        let piece = self.rest.split_to(size);
        let piece = match &self.activity {
            Some(activity) => Bytes::from_owner(Tracked { piece, _unread: Unread::new(activity) }),
            None => piece,
        };
        Frame::data(piece)
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
                None => return Poll::Ready(None),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        Poll::Ready(Some(Ok(self.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before the first piece is taken.
        self.body.size_hint()
    }
}

/// A piece of an answer that the client has not read.
struct Tracked {
    piece: Bytes,
    _unread: Unread,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}
