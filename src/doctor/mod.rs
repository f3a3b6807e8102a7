//! The doctor: polls any endpoint as each client does, and tells what it would conclude, why, and what to change.
//!
//! One poll after the other, as they would come: a server with a single worker would answer late what came at once. All it sends are safe
//! requests to the one endpoint, one for each client and about as many again where something is wrong, and to where a client that follows
//! redirects is led.

mod answer;
mod cause;
mod conclude;
mod contradictions;
mod diagnosis;
mod finding;
mod http2;
mod mend;
mod own;
mod poll;
mod target_group;
mod trials;
mod trust;

use crate::pollers::{HostHeader, PollerKind, PollerProfile};
use allswell_checks::{
    contract::Failure,
    wire::address::{Address, Dialer},
};
use hyper::header::HeaderValue;
use poll::{Poll, authority};
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;
use url::Url;

pub use conclude::Seen;
pub use finding::{Finding, find};
pub use own::Own;
pub use target_group::{Advice, TargetGroup, read as read_target_groups};

/// What is polled.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was asked for.
    pub url: Url,
    /// Where that leads.
    pub address: SocketAddr,
}

/// How long it may take to find out at which of a name's addresses somebody listens.
const FIRST_LOOK: Duration = Duration::from_secs(5);

impl Target {
    /// Looks up where a URL leads: of several addresses, to the first that takes a connection.
    ///
    /// # Errors
    ///
    /// When the name does not resolve.
    pub async fn find(url: Url) -> Result<Self, Failure> {
        let place = Address::new(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        let addresses = Dialer::default().resolve(&place).await?;
        let listens = match addresses.as_slice() {
            [_] | [] => None,
            _ => timeout(FIRST_LOOK, Dialer::default().connect(&place)).await.ok().and_then(Result::ok),
        };
        let address = listens.and_then(|stream| stream.peer_addr().ok()).or(addresses.first().copied());
        address.map(|address| Self { url, address }).ok_or_else(|| Failure::unreachable("no address"))
    }
}

/// Who polls: a client by its defaults, or a target group with settings of its own.
#[derive(Clone, Debug)]
pub struct Client {
    /// Under which name it is told.
    pub label: String,
    /// Whose manner it is.
    pub kind: PollerKind,
    /// How it polls.
    pub profile: PollerProfile,
    /// The path, where the client has one of its own.
    pub path: Option<String>,
    /// The scheme, where the client has one of its own.
    pub scheme: Option<&'static str>,
}

impl From<PollerKind> for Client {
    fn from(kind: PollerKind) -> Self {
        Self { label: kind.name().to_owned(), kind, profile: kind.profile(), path: None, scheme: None }
    }
}

/// The address of a node of a load balancer, which is nobody's: RFC 5737, for documentation.
const NODE: &str = "192.0.2.1";

impl Client {
    /// Polls once.
    pub async fn poll(self, target: &Target) -> Seen {
        let poll = self.ask(target);
        let polled = poll.run().await;
        Seen::new(self, poll, polled)
    }

    fn ask(&self, target: &Target) -> Poll {
        let mut url = target.url.clone();
        if let Some(path) = &self.path {
            let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
            url.set_path(path);
            url.set_query(query);
        }
        if let Some(scheme) = self.scheme.filter(|scheme| *scheme != url.scheme()) {
            // The port stays, also where it was the scheme's own.
            let port = url.port_or_known_default();
            let _ = (url.set_scheme(scheme), url.set_port(port));
        }
        let name = url.host_str().unwrap_or_default().to_owned();
        let encrypted = url.scheme() == "https";
        let host = match self.profile.host {
            HostHeader::Absent => None,
            HostHeader::Target => {
                // Whoever is told an address asks for it.
                let _ = url.set_ip_host(target.address.ip());
                Some(target.address.to_string())
            }
            HostHeader::Balancer => Some(format!("{NODE}:{}", if encrypted { 443 } else { 80 })),
            HostHeader::Url => Some(authority(&url).to_owned()),
            HostHeader::Cluster => Some("app".to_owned()),
        };
        let host = host.and_then(|host| HeaderValue::from_str(&host).ok());
        Poll { profile: self.profile.clone(), url, peer: target.address, host, name, more: Vec::new() }
    }
}
