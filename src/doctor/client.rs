//! A client that the doctor imitates, and the request that it sends.

use super::{
    poll::{PollRequest, authority},
    target::Target,
};
use crate::pollers::{HostHeader, PollerKind, PollerProfile};
use hyper::header::HeaderValue;

/// A client with its default settings, or a target group with its own.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name in the output: that of the client or of the target group.
    pub label: String,
    /// The kind of client.
    pub poller: PollerKind,
    /// How it polls.
    pub profile: PollerProfile,
    /// The health check path, if the client has one of its own; otherwise that of the target's URL.
    pub path: Option<String>,
    /// The scheme, if the client has one of its own; otherwise that of the target's URL.
    pub scheme: Option<&'static str>,
    /// Whether it sends the header of the PROXY protocol before the request.
    pub sends_proxy_header: bool,
}

impl From<PollerKind> for Client {
    fn from(poller: PollerKind) -> Self {
        Self { label: poller.name().to_owned(), poller, profile: poller.profile(), path: None, scheme: None, sends_proxy_header: false }
    }
}

/// Stands for the address of a load balancer node. RFC 5737 reserves it for documentation.
const NODE_ADDRESS: &str = "192.0.2.1";

impl Client {
    /// The request that this client sends to a target.
    pub(super) fn request(&self, target: &Target) -> PollRequest {
        let mut url = target.url.clone();
        if let Some(path) = &self.path {
            let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
            url.set_path(path);
            url.set_query(query);
        }
        if let Some(scheme) = self.scheme.filter(|scheme| *scheme != url.scheme()) {
            // The port stays, even if it was only implied by the former scheme.
            let port = url.port_or_known_default();
            let _ = (url.set_scheme(scheme), url.set_port(port));
        }
        let server_name = url.host_str().unwrap_or_default().to_owned();
        let encrypted = url.scheme() == "https";
        let host = match self.profile.host {
            HostHeader::Absent => None,
            HostHeader::Target => {
                // The client knows the target by its address only.
                let _ = url.set_ip_host(target.address.ip());
                Some(target.address.to_string())
            }
            HostHeader::Balancer => Some(format!("{NODE_ADDRESS}:{}", if encrypted { 443 } else { 80 })),
            HostHeader::Url => Some(authority(&url).to_owned()),
            HostHeader::Cluster => Some("app".to_owned()),
        };
        let host = host.and_then(|host| HeaderValue::from_str(&host).ok());
        PollRequest {
            profile: self.profile.clone(),
            url,
            peer: target.address,
            host,
            server_name,
            extra_headers: Vec::new(),
            sends_proxy_header: self.sends_proxy_header,
        }
    }
}
