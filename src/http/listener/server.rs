//! The server: accepts connections, each of which gets a task that serves it, and ends them.

use super::{
    super::{fast_path::FastPath, memory::ResponseMemory, pace::OncePerMinute},
    connections::Connections,
    handshakes::Handshakes,
    limits::Limits,
    refusal::Refusals,
    stage::{IDLE_GRACE, Stage},
};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use std::{future::pending, io, mem, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};

/// The time beyond the deadline until the client has its response; also the time for open connections when the server shuts down.
pub(super) const MAX_DELIVERY_TIME: Duration = Duration::from_secs(1);

/// The most connections that are accepted before open ones are served. The first request of a connection must be read before it is closed for
/// newer ones.
const MAX_BATCH: usize = 32;

/// How long the listener waits for a connection to end when there is no descriptor for a new one.
const MAX_DESCRIPTOR_WAIT: Duration = Duration::from_millis(50);

/// The program of a packet filter that drops every packet: the instruction "return 0".
#[cfg(target_os = "linux")]
const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Serves HTTP on a listener, within the limits.
pub(crate) struct Server {
    pub(super) service: FastPath,
    memory: ResponseMemory,
    /// If set, every connection is encrypted.
    pub(super) tls: Option<Arc<ArcSwap<ServerConfig>>>,
    limits: ArcSwap<Limits>,
    pub(super) connections: Arc<Connections>,
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) refusals: Arc<Refusals>,
}

impl Server {
    /// A server that does not listen yet. The certificate and the limits may be changed while it runs.
    #[must_use]
    pub(crate) fn new(service: FastPath, memory: ResponseMemory, limits: Limits, tls: Option<Arc<ArcSwap<ServerConfig>>>) -> Arc<Self> {
        let limits = ArcSwap::from_pointee(limits);
        let refusals = Arc::new(Refusals::new(service.clone()));
        Arc::new(Self { service, memory, tls, limits, connections: Arc::default(), handshakes: Arc::default(), refusals })
    }

    /// Changes the limits, for open connections as well.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    pub(super) fn limits(&self) -> Limits {
        **self.limits.load()
    }

    /// Serves until `end` completes. Then open requests have the deadline and a second to complete.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, end: impl Future<Output = ()>) {
        let (stage, stages) = watch::channel(Stage::Open);
        let mut tasks = JoinSet::new();
        tokio::select! {
            () = end => {}
            () = self.accept(&listener, &mut tasks, &stages) => {}
            () = self.release_memory() => {}
            () = self.follow_drain(&stage) => {}
        }
        self.service.end();
        self.accept_waiting(listener, &mut tasks, &stages);
        stage.send_replace(Stage::Ending);
        // Connections that are still open after that are closed.
        let ended = async {
            tokio::select! {
                () = async { while tasks.join_next().await.is_some() {} } => {}
                () = self.end_subscriptions() => {}
            }
        };
        let _ = timeout(self.limits().deadline + MAX_DELIVERY_TIME, ended).await;
    }

    /// Accepts connections and serves each in its own task. Never ends.
    async fn accept(self: &Arc<Self>, listener: &TcpListener, tasks: &mut JoinSet<()>, stages: &watch::Receiver<Stage>) {
        let mut warning = OncePerMinute::default();
        let mut batch = 0;
        loop {
            while self.connections.is_crowded(self.limits().max_connections) {
                // Closing connections end when their tasks run.
                yield_now().await;
            }
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                // The client disconnected before the connection was accepted.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => continue,
                // Most likely there are no more descriptors or there is no memory.
                Err(error) => {
                    if warning.is_due(Instant::now()) {
                        tracing::warn!(%error, "cannot accept a connection: closing others to make room");
                    }
                    self.connections.close_some(self.limits().max_connections);
                    let _ = timeout(MAX_DESCRIPTOR_WAIT, self.connections.ended.notified()).await;
                    continue;
                }
            };
            // Tasks that have ended are collected here, so that they do not pile up.
            while tasks.try_join_next().is_some() {}
            let limit = self.limits().max_connections;
            let connection = self.connections.admit(peer.ip(), limit);
            tasks.spawn(Arc::clone(self).start(stream, peer, connection, stages.clone()));
            batch += 1;
            if batch >= (limit / 8).clamp(1, MAX_BATCH) {
                batch = 0;
                yield_now().await;
            }
        }
    }

    /// Accepts the connections that the kernel has established, and closes the listener: otherwise the kernel would reset them. Meanwhile the
    /// kernel ignores new clients, whose next attempt is refused.
    fn accept_waiting(self: &Arc<Self>, listener: TcpListener, tasks: &mut JoinSet<()>, stages: &watch::Receiver<Stage>) {
        let Ok(listener) = listener.into_std() else { return };
        // Without the filter, a client that connects at this very moment loses its request.
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&listener).attach_filter(&[DROP_ALL]);
        let limit = self.limits().max_connections;
        for _ in 0..limit {
            let Ok((stream, peer)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                let connection = self.connections.admit(peer.ip(), limit);
                tasks.spawn(Arc::clone(self).start(stream, peer, connection, stages.clone()));
            }
        }
    }

    /// Lets the connections know when the service drains. Never ends.
    async fn follow_drain(&self, stage: &watch::Sender<Stage>) {
        let mut changes = self.service.changes();
        loop {
            let now = if self.service.is_draining() { Stage::Draining } else { Stage::Open };
            stage.send_if_modified(|stage| mem::replace(stage, now) != now);
            if changes.changed().await.is_err() {
                return pending().await;
            }
        }
    }

    /// Ends the responses without an end, after their clients have got the status of the drain. Never ends.
    async fn end_subscriptions(&self) {
        sleep(IDLE_GRACE).await;
        self.service.end_subscriptions();
        pending::<()>().await;
    }

    /// Closes the slowest readers while rendered responses take too much memory. Never ends.
    async fn release_memory(&self) {
        loop {
            self.memory.exceeded().await;
            while !self.memory.fits(1) && self.connections.close_slow_reader() {
                // The connection releases its response when its task runs.
                yield_now().await;
            }
        }
    }
}
