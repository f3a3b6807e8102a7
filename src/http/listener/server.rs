//! The server: accepts connections and serves each, within the limits.

use super::{
    super::{fast_path::FastPath, memory::ResponseMemory, pace::OncePerMinute, peer::Peer},
    activity::{Activity, InProgress, Phase},
    body::{TrackedBody, TransportProtocol},
    connections::Connections,
    handshakes::Handshakes,
    limits::Limits,
    refusal::{Refusals, Refuser},
    stage::{LAST_CALL, Stage, leave},
    stream::ObservedStream,
};
use arc_swap::ArcSwap;
use hyper::{
    Version,
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    io, mem,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinSet, yield_now},
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};

/// The time beyond the deadline until the client has its response; also the time for open connections when the server shuts down.
const MAX_DELIVERY_TIME: Duration = Duration::from_secs(1);

/// The largest head of a request.
const MAX_HEAD_BYTES: u32 = 16 * 1024;

/// The most requests in progress on one HTTP/2 connection. RFC 9113, section 6.5.2, recommends no fewer, and proxies send as many before they have
/// received the setting.
const MAX_STREAMS: u32 = 100;

/// The most of them that are processed at a time. The others wait, so that no connection takes more of the processor than another.
const MAX_PROCESSED_STREAMS: usize = 4;

/// The lowest limit of the streams of all connections together, whatever `server.max_connections` is.
const MIN_TOTAL_STREAMS: usize = 128;

/// The time between two pings that check whether an HTTP/2 client is still connected.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The time that the client has to acknowledge a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The most connections that are accepted before open ones are served. The first request of a connection must be read before it is closed for
/// newer ones.
const MAX_BATCH: usize = 32;

/// How long the listener waits for a connection to end when there is no descriptor for a new one.
const MAX_DESCRIPTOR_WAIT: Duration = Duration::from_millis(50);

/// The program of a packet filter that drops every packet: the instruction "return 0".
#[cfg(target_os = "linux")]
const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Longer than any process runs.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Serves HTTP on a listener, within the limits.
pub(crate) struct Server {
    service: FastPath,
    memory: ResponseMemory,
    /// If set, every connection is encrypted.
    pub(super) tls: Option<Arc<ArcSwap<ServerConfig>>>,
    limits: ArcSwap<Limits>,
    connections: Arc<Connections>,
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
        sleep(LAST_CALL).await;
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

    pub(super) async fn serve<S>(&self, stream: S, peer: Peer, activity: &Arc<Activity>, mut stages: watch::Receiver<Stage>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (is_tls, permits) = (self.tls.is_some(), Arc::new(Semaphore::new(MAX_PROCESSED_STREAMS)));
        let is_http2 = AtomicBool::new(false);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let in_progress = InProgress::begin(activity, !request.body().is_end_stream());
            let transport = TransportProtocol { is_http2: request.version() == Version::HTTP_2, is_tls };
            if transport.is_http2 {
                is_http2.store(true, Ordering::Relaxed);
                let limit = self.limits().max_connections;
                self.connections.bound_streams((2 * limit).max(MIN_TOTAL_STREAMS), limit);
            }
            let (activity, service) = (Arc::clone(activity), self.service.clone());
            let permits = transport.is_http2.then(|| Arc::clone(&permits));
            async move {
                // The semaphore is never closed.
                let _permit = match permits {
                    Some(permits) => permits.acquire_owned().await.ok(),
                    None => None,
                };
                let response = service.respond(request, peer).await;
                Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, in_progress, &activity, transport)))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            // Some clients close their half as soon as they have sent the request, and wait for the response.
            .half_close(true)
            .max_buf_size(MAX_HEAD_BYTES as usize)
            // `phase_deadline` has the timeouts.
            .header_read_timeout(None);
        builder
            .http2()
            .timer(TokioTimer::new())
            // A subscriber is silent for hours; pings detect whether it is still connected.
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES);
        let refuser = Refuser { refusals: Arc::clone(&self.refusals), reads_proxy_header: self.limits().reads_proxy_header, peer };
        let stream = ObservedStream::new(stream, Arc::clone(activity), refuser);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut alarm = pin!(sleep_until(self.phase_deadline(activity)));
        // A client of HTTP/2 is asked to leave as soon as it has a response; one of HTTP/1 learns it from a header of its next response.
        let may_leave = || is_http2.load(Ordering::Relaxed) && activity.answered() > 0;
        tokio::select! {
            // In this order: a request that has just arrived gets its response before its connection is closed.
            biased;
            // Half requests, resets and invalid ones are not logged: they are the client's problem.
            () = self.drive(connection.as_mut(), alarm.as_mut(), activity) => return,
            () = activity.closed() => return,
            () = leave(&mut stages, may_leave) => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            () = self.drive(connection.as_mut(), alarm.as_mut(), activity) => {}
            () = activity.closed() => {}
        }
    }

    /// Returns when the connection ends, or when its phase has lasted too long.
    pub(super) async fn drive(&self, mut connection: Pin<&mut impl Future>, mut alarm: Pin<&mut Sleep>, activity: &Activity) {
        poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // The phase may have changed. The alarm is reset only if it is too late, or was too early.
            let until = self.phase_deadline(activity);
            if until < alarm.deadline() {
                alarm.as_mut().reset(until);
            }
            while alarm.as_mut().poll(context).is_ready() {
                if until <= Instant::now() {
                    return Poll::Ready(());
                }
                alarm.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await;
    }

    /// The end of the longest time that the current phase may last.
    pub(super) fn phase_deadline(&self, activity: &Activity) -> Instant {
        let limits = self.limits();
        // The time for the response, and then the time for a slow client to read it.
        let reading = limits.deadline + MAX_DELIVERY_TIME + limits.idle_timeout;
        let (phase, since) = activity.phase();
        let phase = since
            + match phase {
                Phase::Head => limits.header_timeout,
                _ if activity.has_subscription() => NO_TIMEOUT,
                Phase::Idle => limits.idle_timeout,
                Phase::Busy | Phase::Responding => reading,
            };
        activity.unread_since().map_or(phase, |since| phase.min(since + reading))
    }
}
