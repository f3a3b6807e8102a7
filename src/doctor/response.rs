//! The response to a poll.

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, LOCATION},
};

/// Status, headers and the beginning of the body.
#[derive(Clone, Debug)]
pub(super) struct PollResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// At most 64 KiB of the body.
    pub(super) body: Vec<u8>,
    /// The `grpc-status`, if the poll was a gRPC call.
    pub(super) grpc_status: Option<u16>,
    /// Whether the body has a Content-Length or is chunked: otherwise only the end of the connection ends it.
    pub(super) is_framed: bool,
}

impl PollResponse {
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The target of a redirect.
    pub(super) fn location(&self) -> Option<&str> {
        self.header(LOCATION).filter(|_| self.status.is_redirection())
    }
}
