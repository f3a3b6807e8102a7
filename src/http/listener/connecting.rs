//! What happens on a connection before its first request: the header of the PROXY protocol and the TLS handshake.

use super::{
    super::peer::Peer,
    activity::Activity,
    connections::AdmittedConnection,
    opening::{ReplayedStream, read_header},
    refusal::proxy_protocol_version,
    server::Server,
    stage::{Stage, leave},
};
use arc_swap::ArcSwap;
use rustls::{ServerConfig, server::Acceptor};
use std::{future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

/// How many bytes before a TLS handshake show that they are the header of the PROXY protocol.
const PEEKED_BYTES: usize = 16;

/// After a signature that took longer than this, other connections are served before the next one.
const YIELD_THRESHOLD: Duration = Duration::from_micros(500);

impl Server {
    /// Reads the header of the PROXY protocol if that is configured, and serves the connection.
    pub(super) async fn start(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        connection: AdmittedConnection,
        stages: watch::Receiver<Stage>,
    ) {
        let activity = &connection.activity;
        if self.limits().reads_proxy_header {
            if let Some((stream, announced)) = before_requests(self.open(stream, activity), activity, &stages).await {
                self.secure(stream, Peer { address: peer, announced }, activity, stages).await;
            }
        } else if self.tls.is_none() || before_requests(self.expect_handshake(&stream, peer), activity, &stages).await.is_some() {
            self.secure(stream, peer.into(), activity, stages).await;
        }
    }

    /// Reads the header of the PROXY protocol, if there is one, in the time of the current phase.
    async fn open(&self, stream: TcpStream, activity: &Activity) -> Option<(ReplayedStream, Option<SocketAddr>)> {
        let mut opened = None;
        let mut alarm = pin!(sleep_until(self.phase_deadline(activity)));
        let read = async { opened = read_header(stream, || activity.received(false)).await.ok() };
        self.drive(pin!(read), alarm.as_mut(), activity).await;
        opened
    }

    /// `None`: the client sends the header of the PROXY protocol where a TLS handshake is expected, or nothing.
    async fn expect_handshake(&self, stream: &TcpStream, peer: SocketAddr) -> Option<()> {
        let mut first = [0; PEEKED_BYTES];
        let count = timeout(self.limits().header_timeout, stream.peek(&mut first)).await.ok()?.ok()?;
        match proxy_protocol_version(&first[..count]) {
            None => Some(()),
            Some(version) => {
                self.refusals.warn_of_proxy_header(version, peer.into());
                None
            }
        }
    }

    /// Encrypts a connection if TLS is configured, and serves it.
    async fn secure<S>(&self, stream: S, peer: Peer, activity: &Arc<Activity>, stages: watch::Receiver<Stage>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(tls) = &self.tls else { return self.serve(stream, peer, activity, stages).await };
        // A failed handshake is not logged: a port scan, a plaintext request or an untrusted certificate is the client's problem.
        let handshake = async { timeout(self.limits().header_timeout, self.handshake(stream, peer, tls)).await.ok()? };
        if let Some(stream) = before_requests(handshake, activity, &stages).await {
            self.serve(stream, peer, activity, stages).await;
        }
    }

    async fn handshake<S>(&self, stream: S, peer: Peer, tls: &ArcSwap<ServerConfig>) -> Option<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
        let turn = self.handshakes.turn(peer.address.ip()).await?;
        let mut handshake = pin!(start.into_stream(tls.load_full()));
        // The first poll of the future computes the signature.
        let began = Instant::now();
        let polled = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
        if began.elapsed() >= YIELD_THRESHOLD {
            // Everything that is ready runs before the next signature.
            yield_now().await;
        }
        drop(turn);
        match polled {
            Poll::Ready(stream) => stream.ok(),
            Poll::Pending => handshake.await.ok(),
        }
    }
}

/// The result of a step before the first request. `None`: it failed, or the connection is to be closed.
async fn before_requests<T>(step: impl Future<Output = Option<T>>, activity: &Activity, stages: &watch::Receiver<Stage>) -> Option<T> {
    let mut stages = stages.clone();
    tokio::select! {
        biased;
        result = step => result,
        () = activity.closed() => None,
        () = leave(&mut stages, || false) => None,
    }
}
