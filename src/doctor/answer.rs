//! What a server answered.

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, LOCATION},
};

/// The head of an answer, and the beginning of its body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// How a gRPC call ended.
    pub(super) grpc: Option<u16>,
    /// The end of the body is known without the end of the connection.
    pub(super) framed: bool,
}

impl Answer {
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where it redirects to.
    pub(super) fn location(&self) -> Option<&str> {
        self.header(LOCATION).filter(|_| self.status.is_redirection())
    }
}
