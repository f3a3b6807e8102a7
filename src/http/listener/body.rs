//! The body of a response on its way to the client.

use super::{
    super::fast_path::ResponseBody,
    activity::{Activity, InProgress, Subscribed, Unread},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The largest piece of a body where hyper copies it into a buffer: TLS has no vectored writes.
const MAX_PIECE_BYTES: usize = 16 * 1024;

/// The protocols of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransportProtocol {
    pub(super) is_http2: bool,
    pub(super) is_tls: bool,
}

/// A body that its connection keeps track of.
pub(super) struct TrackedBody {
    body: ResponseBody,
    /// Held while a body without a known end lasts.
    _subscribed: Option<Subscribed>,
    /// With HTTP/2: several responses are sent at a time, and each piece counts until it is sent.
    activity: Option<Arc<Activity>>,
    /// With HTTP/2: the rest of the body, which stays here while the client's window is closed.
    _unread: Option<Unread>,
    /// Whether the body is passed on in pieces.
    in_pieces: bool,
    /// The rest of a frame.
    rest: Bytes,
}

impl TrackedBody {
    pub(super) fn new(body: ResponseBody, in_progress: InProgress, activity: &Arc<Activity>, transport: TransportProtocol) -> Self {
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
        let size = if self.in_pieces { self.rest.len().min(MAX_PIECE_BYTES) } else { self.rest.len() };
        let piece = self.rest.split_to(size);
        let piece = match &self.activity {
            Some(activity) => Bytes::from_owner(TrackedPiece { piece, _unread: Unread::new(activity) }),
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
        // hyper calls this before it takes the first piece.
        self.body.size_hint()
    }
}

/// A piece of a response that the client has not read.
struct TrackedPiece {
    piece: Bytes,
    _unread: Unread,
}

impl AsRef<[u8]> for TrackedPiece {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}
