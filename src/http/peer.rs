//! The client at the other end of a connection: its address, and which poller it is.

use crate::pollers::{PollerKind, RecordedPoll};
use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderValue, Request, Version, header::USER_AGENT},
};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};
use tokio::task_local;

/// The client at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The address of the connection. Everything that depends on the client depends on this.
    pub(super) address: SocketAddr,
    /// The client that a load balancer announces with the PROXY protocol. Anybody can announce any address, so it is only shown.
    pub(super) announced: Option<SocketAddr>,
}

impl Peer {
    /// The address that people look for.
    pub(super) fn shown(self) -> IpAddr {
        self.announced.unwrap_or(self.address).ip().to_canonical()
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, announced: None }
    }
}

/// For the log: the announced client, and the connection on which it was announced.
impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.ip().to_canonical();
        match self.announced {
            Some(announced) => write!(formatter, "{} via {address}", announced.ip().to_canonical()),
            None => address.fmt(formatter),
        }
    }
}

task_local! {
    /// The client, provided by our own listener: a request extension would be an allocation for each request.
    pub(super) static PEER: Peer;
}

/// The client, if the server provides its address.
pub(super) fn peer(extensions: &Extensions) -> Option<Peer> {
    // Servers other than our listener provide it in the request.
    let provided = || extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| Peer::from(*peer));
    PEER.try_with(|peer| *peer).ok().or_else(provided)
}

/// What identifies a poller besides the path that it polls.
pub(super) struct PollerIdentity {
    address: Option<IpAddr>,
    agent: Option<HeaderValue>,
    kind: Option<PollerKind>,
}

impl PollerIdentity {
    pub(super) fn new<B>(request: &Request<B>, peer: Option<Peer>) -> Self {
        let agent = request.headers().get(USER_AGENT);
        let (method, is_http_1_0) = (request.method().as_str(), request.version() == Version::HTTP_10);
        let kind = PollerKind::recognize(agent.map_or(&b""[..], HeaderValue::as_bytes), method, is_http_1_0);
        Self { address: peer.map(Peer::shown), agent: agent.cloned(), kind }
    }

    /// Its poll of a path, and the response.
    pub(super) fn poll<'a>(&'a self, path: &'a str, code: u16, serving: Option<bool>) -> RecordedPoll<'a> {
        let agent = self.agent.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        RecordedPoll { address: self.address, agent, path, kind: self.kind, code, serving }
    }
}
