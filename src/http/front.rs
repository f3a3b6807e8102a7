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
                Holds::ButForNumbers if prepared.made.took > COSTLY => {
                    self.prepare_beside(place);
                    return Some(Arc::clone(prepared));
                }
                Holds::ButForNumbers | Holds::No => {}
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
mod tests {
    use super::*;
    use crate::{
        Aggregator, Check, Failure, Observation, async_trait,
        http::{Control, service},
    };
    use allocation_counter::measure;
    use arc_swap::ArcSwap;
    use axum::{http::HeaderValue, http::header::USER_AGENT, routing::get};
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    struct Well;

    #[async_trait]
    impl Check for Well {
        async fn probe(&self) -> Result<Observation, Failure> {
            Ok(Observation::pass())
        }
    }

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    async fn front() -> (Front, Aggregator, Arc<ArcSwap<Answers>>) {
        let aggregator = Aggregator::builder().check("fleet", Well).build();
        aggregator.probe_once(|_, _| {}).await;
        let answers = Arc::new(ArcSwap::from_pointee(Answers::default()));
        (service(&aggregator, Arc::clone(&answers), &Control::new().0), aggregator, answers)
    }

    fn request(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).expect("a request")
    }

    #[test]
    fn only_who_asks_for_nothing_else_asks_plainly() {
        for (path, headers, place) in [
            ("/health", &[][..], Some(0)),
            ("/health/", &[("accept", "*/*"), ("user-agent", "curl/8")], Some(0)),
            ("/healthz", &[], Some(0)),
            ("/", &[], Some(0)),
            ("/readyz/", &[], Some(1)),
            ("/startupz", &[], Some(2)),
            ("//", &[], None),
            ("/livez", &[], None),
            ("/health/fleet", &[], None),
            ("/health?fresh", &[], None),
            ("/health?", &[], None),
            ("/health", &[("accept", "text/plain")], None),
            ("/health", &[("accept", "*/*"), ("accept", "text/html")], None),
            ("/health", &[("authorization", "Bearer x")], None),
        ] {
            assert_eq!(plainly_asked(&request(path, headers)), place, "{path} {headers:?}");
        }
        let mut posted = request("/health", &[]);
        *posted.method_mut() = Method::POST;
        assert_eq!(plainly_asked(&posted), None);
    }

    /// What is prepared is what the routes would have answered, byte for byte, and in the same order.
    #[tokio::test]
    async fn it_answers_as_the_routes_do() {
        let (front, aggregator, answers) = front().await;
        for (drained, method) in [(false, Method::GET), (false, Method::HEAD), (true, Method::GET)] {
            if drained {
                aggregator.drain();
            }
            for path in ["/", "/health", "/healthz/", "/readyz", "/startupz"] {
                let asked = |headers: &[(&str, &str)]| {
                    let mut request = request(path, headers);
                    *request.method_mut() = method.clone();
                    request
                };
                let at_once = front.at_once(&asked(&[]), PEER).expect("an answer");
                // The same wish in other words.
                let shown_in = front.clone().answer(asked(&[("accept", "application/json")]), PEER).await;
                assert!(matches!(shown_in.body(), Reply::Right(_)), "the routes have answered");
                let (one, other) = (at_once.into_parts(), shown_in.into_parts());
                assert_eq!((one.0.status, one.0.headers.iter().collect::<Vec<_>>()), (other.0.status, other.0.headers.iter().collect()));
                let bodies = (one.1.collect().await.expect("a body").to_bytes(), other.1.collect().await.expect("a body").to_bytes());
                assert_eq!(bodies.0, bodies.1, "{method} {path}");
                assert_eq!(one.0.status.is_success(), !drained || path == "/startupz");
            }
        }
        answers.store(Arc::new(Answers { fail_status: 503, ..Answers::default() }));
        assert_eq!(front.at_once(&request("/health", &[]), PEER).expect("an answer").status(), 503, "other answers are in force at once");
    }

    #[tokio::test]
    async fn what_is_awaited_is_not_answered_at_once() {
        let aggregator = Aggregator::builder().check("fleet", Well).build();
        let front = service(&aggregator, Arc::default(), &Control::new().0);
        assert!(front.at_once(&request("/health", &[]), PEER).is_none());
        aggregator.probe_once(|_, _| {}).await;
        assert!(front.at_once(&request("/health", &[]), PEER).is_some());
    }

    #[tokio::test]
    async fn it_is_prepared_once_for_each_result() {
        let (front, aggregator, _) = front().await;
        let body = |front: &Front| front.at_once(&request("/health", &[]), PEER).expect("an answer").into_body();
        let place = |front: &Front| front.0.places[0].prepared.load_full().expect("an answer");
        body(&front);
        let first = place(&front);
        body(&front);
        assert!(Arc::ptr_eq(&first, &place(&front)), "nothing new is known");
        aggregator.probe_once(|_, _| {}).await;
        body(&front);
        assert!(!Arc::ptr_eq(&first, &place(&front)), "there is a result");
    }

    /// The answer's headers belong to the server, which takes them to pieces; beside their copy a poll allocates nothing.
    #[tokio::test]
    async fn a_poll_allocates_no_more_than_its_headers() {
        let (front, ..) = front().await;
        let mut poll = request("/health", &[]);
        poll.headers_mut().insert(USER_AGENT, HeaderValue::from_static("ELB-HealthChecker/2.0"));
        let response = front.at_once(&poll, PEER).expect("an answer");
        let headers = measure(|| drop(response.headers().clone())).count_total;
        let polls = measure(|| drop(front.at_once(&poll, PEER))).count_total;
        assert_eq!(polls, headers, "by a poll, and by its headers alone");

        let bare = Router::new().route("/health", get(|| async { ([("content-type", "application/json")], "well") }));
        let control = measure(|| drop(bare.clone().call(request("/health", &[])).now_or_never())).count_total;
        let asked = measure(|| drop(request("/health", &[]))).count_total;
        assert!(polls < control - asked, "{polls} by a poll, {} by a bare route of axum", control - asked);
    }
}
