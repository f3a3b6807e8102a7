//! The front desk: whoever polls as load balancers do is answered at once, with what was prepared for the poll before; everybody else is shown
//! in to the routes.

use super::{
    polls::{PEER, Visitor, label},
    routes::Desk,
};
use crate::{
    engine::{Holds, Made},
    http::Answers,
    report::View,
};
use arc_swap::ArcSwapOption;
use axum::{
    Router,
    body::Body,
    http::{
        Method, Request, Response,
        header::{ACCEPT, AUTHORIZATION},
    },
};
use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::{Either, Full};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tower_service::Service;

/// A report that takes longer than this to make is made beside the polls, and not by one of them.
const COSTLY: Duration = Duration::from_millis(1);
/// The share of a processor that goes into making such reports, at most: one in so many.
const SHARE: u32 = 16;

/// The body of an answer: whole, or of any sort.
pub(super) type Reply = Either<Full<Bytes>, Body>;

/// Everything that the binary answers.
#[derive(Clone)]
pub(crate) struct Front(Arc<Inner>);

struct Inner {
    desk: Arc<Desk>,
    places: [Place; 3],
    /// Cloned for each request that is shown in.
    routes: Router,
}

/// What balancers ask for, and the answer that is prepared for it.
struct Place {
    view: View,
    prepared: ArcSwapOption<Prepared>,
    /// Somebody prepares the next one.
    at_work: AtomicBool,
}

struct Prepared {
    made: Arc<Made>,
    answers: Arc<Answers>,
    response: Response<Full<Bytes>>,
}

impl Front {
    pub(super) fn new(desk: Arc<Desk>, routes: Router) -> Self {
        let places = [View::Whole, View::Ready, View::Startup];
        let places = places.map(|view| Place { view, prepared: ArcSwapOption::empty(), at_work: AtomicBool::new(false) });
        Self(Arc::new(Inner { desk, places, routes }))
    }

    /// The answer to a request from `peer`.
    pub(super) async fn answer<B>(self, request: Request<B>, peer: SocketAddr) -> Response<Reply>
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(response) = self.at_once(&request, peer) {
            return response.map(Either::Left);
        }
        let shown_in = PEER.scope(peer, self.0.routes.clone().call(request));
        let Ok(response) = shown_in.await;
        response.map(Either::Right)
    }

    /// The answer to a poll that says no more than its path, when everything that it judges has a result to believe.
    fn at_once<B>(&self, request: &Request<B>, peer: SocketAddr) -> Option<Response<Full<Bytes>>> {
        let prepared = self.prepared(plainly_asked(request)?)?;
        let mut response = prepared.response.clone();
        // HTTP/1 would leave it out by itself, HTTP/2 would not.
        if request.method() == Method::HEAD {
            *response.body_mut() = Full::default();
        }
        let (polls, label, code) = (&self.0.desk.polls, label(request.uri().path()), response.status().as_u16());
        polls.count(label, code);
        polls.remember(&Visitor::of(request, Some(peer)), label, code, None);
        Some(response)
    }

    /// The answer that is prepared, if it still tells the truth; else the next one, unless it has to be waited for.
    fn prepared(&self, place: usize) -> Option<Arc<Prepared>> {
        let Place { view, prepared, .. } = &self.0.places[place];
        let answers = self.0.desk.answers.load();
        if let Some(prepared) = &*prepared.load()
            && Arc::ptr_eq(&prepared.answers, &answers)
        {
            match self.0.desk.aggregator.holds(&prepared.made) {
                Holds::Yes => return Some(Arc::clone(prepared)),
                Holds::ButForValues if prepared.made.took > COSTLY => {
                    self.prepare_beside(place);
                    return Some(Arc::clone(prepared));
                }
                Holds::ButForValues | Holds::No => {}
            }
        }
        let made = self.0.desk.aggregator.made(view)?;
        (!made.report.is_awaited()).then(|| self.0.prepare(place, made))
    }

    /// Prepares the next answer in a thread of its own; then rests.
    fn prepare_beside(&self, place: usize) {
        if self.0.places[place].at_work.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let began = Instant::now();
            let preparing = Arc::clone(&inner);
            let prepared = spawn_blocking(move || {
                let made = preparing.desk.aggregator.made(&preparing.places[place].view)?;
                (!made.report.is_awaited()).then(|| preparing.prepare(place, made))
            });
            // Should it fail, the next poll makes its own.
            let _ = prepared.await;
            sleep(began.elapsed() * SHARE).await;
            inner.places[place].at_work.store(false, Ordering::Release);
        });
    }
}

impl Inner {
    fn prepare(&self, place: usize, made: Arc<Made>) -> Arc<Prepared> {
        let Place { view, prepared, .. } = &self.places[place];
        let answers = self.desk.answers.load_full();
        let response = answers.plain(view, &made.report);
        let next = Arc::new(Prepared { made, answers, response });
        prepared.store(Some(Arc::clone(&next)));
        next
    }
}

/// The place of the view that is asked for by who asks for nothing else: no format, no probes, nothing that a token unlocks.
fn plainly_asked<B>(request: &Request<B>) -> Option<usize> {
    let headers = request.headers();
    let plain = matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().query().is_none()
        && headers.get_all(ACCEPT).iter().all(|accept| accept == "*/*")
        && !headers.contains_key(AUTHORIZATION);
    let path = request.uri().path();
    match path.strip_suffix('/').unwrap_or(path) {
        _ if !plain => None,
        "" | "/health" | "/healthz" => Some(0),
        "/readyz" => Some(1),
        "/startupz" => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
