//! Announces a running service to commands of the same user on the same machine: see `announcement`.

use super::{
    announcement::{Announcement, NAME_PREFIX},
    certificate::ServerCertificate,
};
use crate::config::ConfigIdentity;
use rustix::process::geteuid;
use std::{io, net::SocketAddr, os::unix::net::UnixListener as StdListener, process, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// The most peers that are answered at a time; further ones wait in the kernel.
const MAX_PEERS: usize = 4;

/// How long a peer may take to read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after an error of `accept`, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket of a service's announcement.
pub(super) struct Announcer(UnixListener);

impl Announcer {
    /// Listens on a name of its own: process identifiers repeat when containers share a network.
    pub(super) fn bind() -> io::Result<Self> {
        let name = format!("{NAME_PREFIX}{}/{}-{:08x}", geteuid().as_raw(), process::id(), fastrand::u32(..));
        let listener = listen(&name)?;
        listener.set_nonblocking(true)?;
        Ok(Self(UnixListener::from_std(listener)?))
    }

    /// Answers peers; never ends.
    pub(super) async fn run(self, address: SocketAddr, certificate: Option<Arc<ServerCertificate>>, configuration: ConfigIdentity) {
        let mut peers = JoinSet::new();
        loop {
            while peers.len() >= MAX_PEERS {
                peers.join_next().await;
            }
            while peers.try_join_next().is_some() {}
            let Ok((peer, _)) = self.0.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            if is_trusted(&peer) {
                let sha256 = certificate.as_ref().map(|certificate| certificate.sha256());
                let announcement = Announcement::new(address, sha256, configuration.clone());
                peers.spawn(timeout(WRITE_TIMEOUT, send(peer, announcement.to_json())));
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn listen(name: &str) -> io::Result<StdListener> {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    StdListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

/// Other systems have no abstract sockets.
#[cfg(not(target_os = "linux"))]
fn listen(_: &str) -> io::Result<StdListener> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a peer is of this user or root.
fn is_trusted(peer: &UnixStream) -> bool {
    peer.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw() || peer.uid() == 0)
}

async fn send(mut peer: UnixStream, json: Vec<u8>) {
    // The peer may have gone away.
    let _ = peer.write_all(&json).await;
}
