//! Serves one connection from its first request on, within the limits.

use super::{
    super::peer::Peer,
    activity::{Activity, InProgress, Phase},
    body::{TrackedBody, TransportProtocol},
    refusal::Refuser,
    server::{MAX_DELIVERY_TIME, Server},
    stage::{Stage, leave},
    stream::ObservedStream,
};
use hyper::{
    Version,
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    future::poll_fn,
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
    sync::{Semaphore, watch},
    time::{Instant, Sleep, sleep_until},
};

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

/// Longer than any process runs.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Server {
    /// Responds to the requests of a connection until it ends.
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
