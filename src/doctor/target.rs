//! The endpoint that is polled.

use allswell_checks::{
    contract::Failure,
    wire::address::{Address, Dialer},
};
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;
use url::Url;

/// The endpoint that is polled.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL as given by the user.
    pub url: Url,
    /// The address that every poll connects to.
    pub address: SocketAddr,
}

/// Bounds the search for the first address that accepts connections.
const MAX_CONNECT: Duration = Duration::from_secs(5);

impl Target {
    /// Resolves the URL's host. If it has several addresses, the first that accepts a connection within five seconds is used.
    ///
    /// # Errors
    ///
    /// If the name does not resolve.
    pub async fn resolve(url: Url) -> Result<Self, Failure> {
        let host = Address::new(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        let addresses = Dialer::default().resolve(&host).await?;
        let connected = match addresses.as_slice() {
            [_] | [] => None,
            _ => timeout(MAX_CONNECT, Dialer::default().connect(&host)).await.ok().and_then(Result::ok),
        };
        let address = connected.and_then(|stream| stream.peer_addr().ok()).or(addresses.first().copied());
        address.map(|address| Self { url, address }).ok_or_else(|| Failure::unreachable("the name resolves to no address"))
    }
}
