//! The front desk, asked as balancers do and as others do.

use super::*;
use crate::{
    Aggregator, Check, Failure, Observation, async_trait,
    engine::OnDemand,
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

async fn front() -> (Front, OnDemand, Arc<ArcSwap<Answers>>) {
    let mut checks = Aggregator::builder().check("fleet", Well).build();
    checks.probe_all(|_, _| {}).await;
    let answers = Arc::new(ArcSwap::from_pointee(Answers::default()));
    (service(checks.aggregator(), Arc::clone(&answers), &Control::new().0), checks, answers)
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
    let (front, checks, answers) = front().await;
    for (drained, method) in [(false, Method::GET), (false, Method::HEAD), (true, Method::GET)] {
        if drained {
            checks.aggregator().drain();
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
    let mut checks = Aggregator::builder().check("fleet", Well).build();
    let front = service(checks.aggregator(), Arc::default(), &Control::new().0);
    assert!(front.at_once(&request("/health", &[]), PEER).is_none());
    checks.probe_all(|_, _| {}).await;
    assert!(front.at_once(&request("/health", &[]), PEER).is_some());
}

#[tokio::test]
async fn it_is_prepared_once_for_each_result() {
    let (front, mut checks, _) = front().await;
    let body = |front: &Front| front.at_once(&request("/health", &[]), PEER).expect("an answer").into_body();
    let place = |front: &Front| front.0.places[0].prepared.load_full().expect("an answer");
    body(&front);
    let first = place(&front);
    body(&front);
    assert!(Arc::ptr_eq(&first, &place(&front)), "nothing new is known");
    checks.probe_all(|_, _| {}).await;
    body(&front);
    assert!(!Arc::ptr_eq(&first, &place(&front)), "there is a result");
}

/// What takes long to make is made beside the polls, as long as no status is another.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_numbers_of_very_many() {
    let (front, mut checks, _) = front().await;
    let place = &front.0.places[0];
    let poll = |front: &Front| front.at_once(&request("/health", &[]), PEER).expect("an answer").status();
    assert_eq!(poll(&front), 200);
    let prepared = place.prepared.load_full().expect("an answer");
    let mut made = Made::clone(&prepared.made);
    made.took = Duration::from_millis(100);
    let costly = Arc::new(Prepared { made: Arc::new(made), answers: Arc::clone(&prepared.answers), response: prepared.response.clone() });
    place.prepared.store(Some(Arc::clone(&costly)));
    checks.probe_all(|_, _| {}).await;
    assert_eq!(poll(&front), 200);
    assert!(Arc::ptr_eq(&costly, &place.prepared.load_full().expect("an answer")), "the poll made none");
    let next = loop {
        sleep(Duration::from_millis(1)).await;
        let next = place.prepared.load_full().expect("an answer");
        if !Arc::ptr_eq(&costly, &next) {
            break next;
        }
    };
    let probes = |prepared: &Prepared| prepared.made.report.components.values().next().map(|fleet| fleet.consecutive);
    assert_eq!((probes(&costly), probes(&next)), (Some(1), Some(2)));
    place.prepared.store(Some(costly));
    checks.aggregator().drain();
    assert_eq!(poll(&front), 500, "a change is told at once");
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
