//! The server: accepts connections and serves each, within the limits.

use super::{
    super::{fast_path::FastPath, memory::ResponseMemory, pace::OncePerMinute},
    activity::{Activity, InProgress, Phase},
    body::{TrackedBody, Transport},
    handshakes::Handshakes,
    limits::Limits,
    seats::{Seat, Seats},
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
use rustls::{ServerConfig, server::Acceptor};
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinSet, yield_now},
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

/// What an answer may take beyond the deadline until the client has it, and how long open connections have to end when the server ends.
const GRACE: Duration = Duration::from_secs(1);

/// How large a request's head may be.
const MAX_HEAD: u32 = 16 * 1024;

/// How many requests may be in progress on one connection of HTTP/2: RFC 9113, section 6.5.2, recommends no fewer, and proxies send as many before
/// they know.
const MAX_STREAMS: u32 = 100;

/// How many of them are worked on at a time. The others wait for their turn, so that one connection costs no more of the processor than another.
const MAX_AT_WORK: usize = 4;

/// The fewest streams that all connections together may have, whatever `server.max_connections` is.
const MIN_TOTAL_STREAMS: usize = 128;

/// How often a peer of HTTP/2 is asked whether it is there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The most connections that are accepted before the ones that are open may do something. A new connection sends its request at once, and must
/// be read before so many newer ones have come that it has to leave.
const MAX_BATCH: usize = 32;

/// How long the listener waits for a connection to end when it has no descriptor for another.
const DESCRIPTOR_WAIT: Duration = Duration::from_millis(50);

/// After a signature that takes longer, other connections are served before the next.
const LONG_SIGNATURE: Duration = Duration::from_micros(500);

/// Further than any clock counts.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Serves on a listener.
pub(crate) struct Server {
    service: FastPath,
    memory: ResponseMemory,
    /// With TLS, every connection is encrypted.
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    limits: ArcSwap<Limits>,
    seats: Arc<Seats>,
    handshakes: Arc<Handshakes>,
}

impl Server {
    /// A server that does not listen yet. The certificate and the limits may be changed while it runs.
    #[must_use]
    pub(crate) fn new(service: FastPath, memory: ResponseMemory, limits: Limits, tls: Option<Arc<ArcSwap<ServerConfig>>>) -> Arc<Self> {
        let limits = ArcSwap::from_pointee(limits);
        Arc::new(Self { service, memory, tls, limits, seats: Arc::default(), handshakes: Arc::default() })
    }

    /// Goes on with other limits, for the open connections as well.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    fn limits(&self) -> Limits {
        **self.limits.load()
    }

    /// Serves until `end` is done; then open requests have the deadline and a second to end.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, end: impl Future<Output = ()>) {
        let (ending, ends) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tokio::select! {
            () = end => {}
            () = self.accept(&listener, &mut tasks, &ends) => {}
            () = self.make_memory() => {}
        }
        ending.send_replace(true);
        drop(listener);
        // The connections that have not ended by then are closed.
        let _ = timeout(self.limits().deadline + GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    }

    /// Accepts connections and serves each in a task of its own; never ends.
    async fn accept(self: &Arc<Self>, listener: &TcpListener, tasks: &mut JoinSet<()>, ends: &watch::Receiver<bool>) {
        let mut complaint = OncePerMinute::default();
        let mut batch = 0;
        loop {
            while self.seats.is_crowded(self.limits().max_connections) {
                // Those that are being closed go when their tasks run.
                yield_now().await;
            }
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                // The client left before the connection was accepted.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => continue,
                // Most likely there are no more descriptors, or no memory.
                Err(error) => {
                    if complaint.is_due(Instant::now()) {
                        tracing::warn!(%error, "cannot accept a connection: others are closed for it");
                    }
                    self.seats.close_some(self.limits().max_connections);
                    let _ = timeout(DESCRIPTOR_WAIT, self.seats.ended.notified()).await;
                    continue;
                }
            };
            // Collected here, tasks that ended do not pile up.
            while tasks.try_join_next().is_some() {}
            let limit = self.limits().max_connections;
            let seat = self.seats.take(peer.ip(), limit);
            tasks.spawn(Arc::clone(self).welcome(stream, peer, seat, ends.clone()));
            batch += 1;
            if batch >= (limit / 8).clamp(1, MAX_BATCH) {
                batch = 0;
                yield_now().await;
            }
        }
    }

    /// Closes the slowest readers while rendered answers take too much memory; never ends.
    async fn make_memory(&self) {
        loop {
            self.memory.exceeded().await;
            while !self.memory.fits(1) && self.seats.close_slow_reader() {
                // The connection gives its answer back when its task runs.
                yield_now().await;
            }
        }
    }

    /// Encrypts a connection where that is configured, and serves it.
    async fn welcome(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, seat: Seat, ends: watch::Receiver<bool>) {
        let activity = &seat.activity;
        let Some(tls) = &self.tls else { return self.serve(stream, peer, activity, ends).await };
        tokio::select! {
            // A port scan, a plain request, a distrusted certificate: the client's affair, and no line in our log.
            shaken = timeout(self.limits().header_timeout, self.shake(stream, peer, tls)) => if let Ok(Some(stream)) = shaken {
                self.serve(stream, peer, activity, ends).await;
            },
            () = activity.closed() => {}
        }
    }

    async fn shake(&self, stream: TcpStream, peer: SocketAddr, tls: &ArcSwap<ServerConfig>) -> Option<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
        let turn = self.handshakes.turn(peer.ip()).await?;
        let mut handshake = pin!(start.into_stream(tls.load_full()));
        // The first poll computes the signature.
        let began = Instant::now();
        let polled = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
        if began.elapsed() >= LONG_SIGNATURE {
            // Whatever is ready by now has its turn before the next one.
            yield_now().await;
        }
        drop(turn);
        match polled {
            Poll::Ready(shaken) => shaken.ok(),
            Poll::Pending => handshake.await.ok(),
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, activity: &Arc<Activity>, mut ends: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (is_tls, turns) = (self.tls.is_some(), Arc::new(Semaphore::new(MAX_AT_WORK)));
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let in_progress = InProgress::begin(activity, !request.body().is_end_stream());
            let transport = Transport { is_http2: request.version() == Version::HTTP_2, is_tls };
            if transport.is_http2 {
                let limit = self.limits().max_connections;
                self.seats.bound_streams((2 * limit).max(MIN_TOTAL_STREAMS), limit);
            }
            let (activity, service) = (Arc::clone(activity), self.service.clone());
            let turns = transport.is_http2.then(|| Arc::clone(&turns));
            async move {
                // The semaphore is never closed.
                let _turn = match turns {
                    Some(turns) => turns.acquire_owned().await.ok(),
                    None => None,
                };
                let answer = service.answer(request, peer).await;
                Ok::<_, Infallible>(answer.map(|body| TrackedBody::new(body, in_progress, &activity, transport)))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            // Some clients close their half as soon as they have sent the request, and wait for the answer.
            .half_close(true)
            .max_buf_size(MAX_HEAD as usize)
            // `patience` has the time limits.
            .header_read_timeout(None);
        builder
            .http2()
            .timer(TokioTimer::new())
            // A subscriber is silent for hours; this finds out whether it is still there.
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD);
        let stream = ObservedStream::new(stream, Arc::clone(activity));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut alarm = pin!(sleep_until(self.patience(activity)));
        let mut ending = false;
        loop {
            tokio::select! {
                // In this order: a request that has just come is answered before its connection is closed.
                biased;
                // Half requests, resets and nonsense are the client's affair, and no line in our log.
                () = self.tend(connection.as_mut(), alarm.as_mut(), activity) => return,
                () = activity.closed() => return,
                _ = ends.wait_for(|ending| *ending), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Done when the connection is, or when it has been in its present phase for too long.
    async fn tend(&self, mut connection: Pin<&mut impl Future>, mut alarm: Pin<&mut Sleep>, activity: &Activity) {
        poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // The phase may be another by now. The alarm is set again only when it would come too late, or came too early.
            let until = self.patience(activity);
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

    /// Until when the present phase may last.
    fn patience(&self, activity: &Activity) -> Instant {
        let limits = self.limits();
        // As long as an answer may take, and as long again as a slow client may take to read it.
        let reading = limits.deadline + GRACE + limits.idle_timeout;
        let (phase, since) = activity.phase();
        let phase = since
            + match phase {
                Phase::Head => limits.header_timeout,
                _ if activity.has_subscription() => NEVER,
                Phase::Idle => limits.idle_timeout,
                Phase::Busy | Phase::Answered => reading,
            };
        activity.unread_since().map_or(phase, |since| phase.min(since + reading))
    }
}
