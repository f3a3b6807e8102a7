//! The client at the other end of a connection: its address, and which poller it is.

use crate::pollers::{PollerKind, RecordedPoll};
use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderValue, Request, Version, header::USER_AGENT},
};
use std::net::{IpAddr, SocketAddr};
use tokio::task_local;

task_local! {
    /// The client's address, provided by our own listener: a request extension would be an allocation for each request.
    pub(super) static PEER: SocketAddr;
}

/// The address of the client, if the server provides it.
pub(super) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    // Servers other than our listener provide it in the request.
    let provided = || extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    PEER.try_with(|peer| *peer).ok().or_else(provided)
}

/// What identifies a poller besides the path that it polls.
pub(super) struct PollerIdentity {
    address: Option<IpAddr>,
    agent: Option<HeaderValue>,
    kind: Option<PollerKind>,
}

impl PollerIdentity {
    pub(super) fn new<B>(request: &Request<B>, peer: Option<SocketAddr>) -> Self {
        let agent = request.headers().get(USER_AGENT);
        let (method, is_http_1_0) = (request.method().as_str(), request.version() == Version::HTTP_10);
        let kind = PollerKind::recognize(agent.map_or(&b""[..], HeaderValue::as_bytes), method, is_http_1_0);
        Self { address: peer.map(|peer| peer.ip().to_canonical()), agent: agent.cloned(), kind }
    }

    /// Its poll of a path, and the response.
    pub(super) fn poll<'a>(&'a self, path: &'a str, code: u16, serving: Option<bool>) -> RecordedPoll<'a> {
        let agent = self.agent.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        RecordedPoll { address: self.address, agent, path, kind: self.kind, code, serving }
    }
}
