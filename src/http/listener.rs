//! The listener: accepts, bounds and closes connections. `axum::serve` bounds none of what is bounded here.

use super::{
    connection::{InProgress, Lasting, Phase, Watch, Watched},
    front::{Front, Reply},
};
use arc_swap::ArcSwap;
use axum::body::{Body, HttpBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

/// What a peer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most connections at a time; beyond it the oldest without a request in progress is closed.
    pub(crate) max_connections: usize,
    /// A request's head must be complete this long after its first byte.
    pub(crate) header_timeout: Duration,
    /// Before the first request of a connection and between two.
    pub(crate) idle_timeout: Duration,
    /// Every answer is known this long after its request.
    pub(crate) deadline: Duration,
}

/// What an answer may take beyond the deadline, until it is with the peer; and how long open connections have to end when the server does.
const GRACE: Duration = Duration::from_secs(1);

/// How large a request's head may be.
const HEAD: u32 = 16 * 1024;

/// How many requests may be in progress on one connection of HTTP/2.
const STREAMS: u32 = 64;

/// How often a peer of HTTP/2 is asked whether it is there, and how long it has to answer.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// As good as for ever, and still a moment that clocks can count to.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Serves on a listener.
pub(crate) struct Server {
    front: Front,
    /// With which every connection is encrypted, if it is.
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    limits: ArcSwap<Limits>,
    connections: Mutex<Connections>,
    /// Rung whenever a connection has ended.
    ended: Notify,
}

#[derive(Default)]
struct Connections {
    next: u64,
    /// By age, the oldest first.
    open: BTreeMap<u64, Arc<Watch>>,
}

impl Server {
    /// A server that listens to nothing yet; with TLS, if it is to speak it. Both may be changed while it runs.
    #[must_use]
    pub(crate) fn new(front: Front, limits: Limits, tls: Option<Arc<ArcSwap<ServerConfig>>>) -> Arc<Self> {
        Arc::new(Self { front, tls, limits: ArcSwap::from_pointee(limits), connections: Mutex::default(), ended: Notify::new() })
    }

    /// Goes on with other limits, for the open connections, too.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    fn limits(&self) -> Limits {
        **self.limits.load()
    }

    /// Serves until `end` is done; then lets open requests end, by the deadline and a second.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, end: impl Future<Output = ()>) {
        let (ending, ends) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut end = pin!(end);
        loop {
            let (stream, peer) = tokio::select! {
                () = &mut end => break,
                accepted = self.accept(&listener) => accepted,
            };
            // Collected here, those that ended do not pile up.
            while tasks.try_join_next().is_some() {}
            let (guest, watch) = self.remember();
            let (server, ends) = (Arc::clone(&self), ends.clone());
            tasks.spawn(async move {
                server.welcome(stream, peer, &watch, ends).await;
                drop(guest);
            });
        }
        drop(listener);
        ending.send_replace(true);
        // Who has not ended by then is cut off.
        let _ = timeout(self.limits().deadline + GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    }

    /// The next connection. Nothing is lost when this is dropped: there is no await after a connection was taken.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        let mut complained = false;
        loop {
            self.make_room().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Answers are one small write: waiting for more to send would only delay them.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                // Who went away before we saw them is nobody's fault.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
                // Out of descriptors or memory, most likely: whoever is idle has to go.
                Err(error) => {
                    if !complained {
                        tracing::warn!(%error, "cannot accept a connection");
                        complained = true;
                    }
                    self.close_oldest();
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Returns when there are not too many. One more than the limit is taken, so that somebody is known to wait; then the oldest idle one
    /// goes, and while none is idle, nobody else comes.
    async fn make_room(&self) {
        while self.open().open.len() > self.limits().max_connections {
            self.close_oldest();
            // One may have become idle without ending.
            let _ = timeout(Duration::from_millis(20), self.ended.notified()).await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(self: &Arc<Self>) -> (Guest, Arc<Watch>) {
        let mut connections = self.open();
        let id = connections.next;
        connections.next += 1;
        let watch = Arc::new(Watch::new());
        connections.open.insert(id, Arc::clone(&watch));
        let full = connections.open.len() > self.limits().max_connections;
        drop(connections);
        if full {
            self.close_oldest();
        }
        (Guest { server: Arc::clone(self), id }, watch)
    }

    /// Closes the oldest connection on which nobody waits for an answer; if there is none, that of whoever has watched longest; else one whose
    /// peer does not take its answer. Never the youngest, and of those that have just come none while there is another: their requests are on
    /// the way.
    fn close_oldest(&self) {
        let connections = self.open();
        let older = || connections.open.values().rev().skip(1).rev();
        let settled = |watch: &&Arc<Watch>| watch.phase().1.elapsed() > GRACE;
        let overdue = |watch: &&Arc<Watch>| watch.phase().1.elapsed() > self.limits().deadline + GRACE;
        let chosen = older().find(|watch| watch.is_idle() && settled(watch));
        let chosen = chosen.or_else(|| older().find(|watch| watch.is_watched() && overdue(watch)));
        let chosen = chosen.or_else(|| older().find(|watch| watch.is_idle()));
        if let Some(watch) = chosen.or_else(|| older().find(overdue)) {
            watch.close.notify_one();
        }
    }

    /// Encrypts a connection where that is wanted, and serves it.
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, watch: &Arc<Watch>, ends: watch::Receiver<bool>) {
        let Some(tls) = &self.tls else { return self.serve(stream, peer, watch, ends).await };
        let handshake = TlsAcceptor::from(tls.load_full()).accept(stream);
        tokio::select! {
            // A port scan, a plain request, a certificate that is not trusted: the peer's affair, and no line in our log.
            shaken = timeout(self.limits().header_timeout, handshake) => if let Ok(Ok(stream)) = shaken {
                self.serve(stream, peer, watch, ends).await;
            },
            () = watch.close.notified() => {}
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, watch: &Arc<Watch>, mut ends: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (front, seen) = (self.front.clone(), Arc::clone(watch));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let in_progress = InProgress::begin(&seen);
            let answer = front.clone().answer(request, peer);
            async move {
                Ok::<_, Infallible>(answer.await.map(|body| match body {
                    Reply::Right(body) if body.size_hint().exact().is_none() => Reply::Right(Body::new(Lasting::new(body, in_progress))),
                    body => body,
                }))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            // Some clients close their half as soon as they have asked, and wait for the answer.
            .half_close(true)
            .max_buf_size(HEAD as usize)
            // Ours is the watch's.
            .header_read_timeout(None);
        builder
            .http2()
            .timer(TokioTimer::new())
            // Whoever watches says nothing for hours; this tells whether they are still there.
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(watch))), service));
        let mut alarm = pin!(sleep_until(self.patience(watch)));
        let mut ending = false;
        loop {
            tokio::select! {
                // In this order: a request that has just come is seen before the bell.
                biased;
                // Half requests, resets and nonsense are the peer's affair, and no line in our log.
                () = self.tend(connection.as_mut(), alarm.as_mut(), watch) => return,
                () = watch.close.notified() => {
                    let (_, since) = watch.phase();
                    if watch.is_idle() || since.elapsed() > self.limits().deadline + GRACE {
                        return;
                    }
                }
                _ = ends.wait_for(|ending| *ending), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Done when the connection is, or when it has been in its present phase for too long.
    async fn tend(&self, mut connection: Pin<&mut impl Future>, mut alarm: Pin<&mut Sleep>, watch: &Watch) {
        poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // The phase may be another by now. The alarm is set again only when it would come too late, or came too early.
            let until = self.patience(watch);
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
    fn patience(&self, watch: &Watch) -> Instant {
        let (phase, since) = watch.phase();
        let limits = self.limits();
        let limit = match phase {
            Phase::Head => limits.header_timeout,
            Phase::Idle => limits.idle_timeout,
            Phase::Busy | Phase::Answered if watch.is_watched() => FOR_EVER,
            // As long as an answer may take, and as long again as a slow peer may take it in.
            Phase::Busy | Phase::Answered => limits.deadline + GRACE + limits.idle_timeout,
        };
        since + limit
    }
}

/// A connection's place among the open ones, given back whatever ends it.
struct Guest {
    server: Arc<Server>,
    id: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.server.open().open.remove(&self.id);
        self.server.ended.notify_one();
    }
}
