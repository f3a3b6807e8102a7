//! Opens the sockets of the service.

use crate::config::certificate::Unusable;
use rustix::io::Errno;
use socket2::SockRef;
use std::{
    io,
    net::{IpAddr, SocketAddr},
};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Why a service cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// An address of the configuration cannot be listened on.
    #[error("{key}: cannot listen on {address}: {source}{}", remedy(key, source))]
    Listen {
        /// The key that has the address: `server.listen` or `server.haproxy_agent.listen`.
        key: &'static str,
        /// The address as it is configured.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The host of an address does not resolve.
    #[error(
        "{key}: cannot listen on {address}: the host name does not resolve here: write the IP address of an interface, or \"0.0.0.0:PORT\" for all"
    )]
    Name {
        /// The key that has the address.
        key: &'static str,
        /// The address as it is configured.
        address: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// A file of `[server.tls]` cannot be used.
    #[error("server.tls.{key}: {message}")]
    Certificate {
        /// The key below `server.tls`.
        key: &'static str,
        /// What is wrong with its file.
        message: String,
    },
    /// The operating system gives no threads for the probes.
    #[error("cannot start the threads that probe: {0}")]
    Threads(#[source] io::Error),
}

impl From<Unusable> for BindError {
    fn from(Unusable { key, message }: Unusable) -> Self {
        Self::Certificate { key, message }
    }
}

/// What to do about an address that cannot be listened on, as the end of a sentence.
fn remedy(key: &str, error: &io::Error) -> String {
    let flag = if key == "server.listen" { " or --listen" } else { "" };
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(": the port is in use: stop the program that uses it, or choose another address with {key}{flag}")
        }
        io::ErrorKind::AddrNotAvailable => format!(": no network interface of this machine has this address: change {key}{flag}"),
        _ if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) => {
            ": this machine has IPv6 disabled: write \"0.0.0.0:PORT\", or \"127.0.0.1:PORT\" for this machine alone".to_owned()
        }
        io::ErrorKind::PermissionDenied => ": ports below 1024 require CAP_NET_BIND_SERVICE: choose a higher port".to_owned(),
        _ => String::new(),
    }
}

/// Listens on an address of the configuration.
pub(super) async fn listen(key: &'static str, address: &str) -> Result<TcpListener, BindError> {
    let resolved = lookup_host(address).await.map_err(|source| BindError::Name { key, address: address.to_owned(), source })?;
    bind(resolved).map_err(|source| BindError::Listen { key, address: address.to_owned(), source })
}

/// The most connections that may wait to be accepted; the kernel takes at most `net.core.somaxconn` of it. When the queue is full, the client of
/// the next connection, which may be a load balancer, retries only after a second.
const BACKLOG: u32 = 65_535;

/// The most bytes of a response that the kernel keeps unsent per connection. A response that a client does not read therefore takes little of
/// the memory that the kernel accounts to us, however large it is.
const MAX_UNSENT_BYTES: u32 = 16 * 1024;

/// Listens on the first usable one of the addresses of a host.
fn bind(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of a previous process may still be in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        if address.ip() == IpAddr::from([0; 16]) {
            // `[::]` accepts both families, whatever `net.ipv6.bindv6only` is.
            SockRef::from(&socket).set_only_v6(false)?;
        }
        // Accepted connections inherit both options. A response is one small write, so waiting for more data would only delay it.
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_reported_with_key_address_and_remedy() {
        let taken = listen("server.listen", "127.0.0.1:0").await.expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        let error = listen("server.haproxy_agent.listen", &address).await.expect_err("the port is taken").to_string();
        assert!(error.starts_with(&format!("server.haproxy_agent.listen: cannot listen on {address}: ")), "{error}");
        assert!(error.ends_with("stop the program that uses it, or choose another address with server.haproxy_agent.listen"), "{error}");
    }
}
