//! The fast path, compared with the routes.

use super::*;
use crate::{
    Aggregator,
    engine::OnDemand,
    http::{Answers, Control, ResponseMemory, build_routes, test_check::PassingCheck},
};
use allocation_counter::measure;
use arc_swap::ArcSwap;
use axum::{http::HeaderValue, http::header::USER_AGENT, routing::get};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const PEER: Peer = Peer { address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1), announced: None };

async fn fast_path() -> (FastPath, OnDemand, Arc<ArcSwap<Answers>>) {
    let mut checks = Aggregator::builder().check("fleet", PassingCheck).build();
    checks.probe_all(|_, _| {}).await;
    let answers = Arc::new(ArcSwap::from_pointee(Answers::default()));
    (serve(&checks, Arc::clone(&answers)), checks, answers)
}

fn serve(checks: &OnDemand, answers: Arc<ArcSwap<Answers>>) -> FastPath {
    build_routes(checks.aggregator(), answers, ResponseMemory::new(usize::MAX), &Control::new().0)
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a request")
}

#[test]
fn only_a_request_without_options_is_a_plain_poll() {
    for (path, headers, view) in [
        ("/health", &[][..], Some(View::Whole)),
        ("/health/", &[("accept", "*/*"), ("user-agent", "curl/8")], Some(View::Whole)),
        ("/healthz", &[], Some(View::Whole)),
        ("/", &[], Some(View::Whole)),
        ("/readyz/", &[], Some(View::Ready)),
        ("/startupz", &[], Some(View::Startup)),
        ("/livez", &[], Some(View::Live)),
        ("/metrics", &[], None),
        ("/health/fleet", &[], None),
        ("/health?fresh", &[], None),
        ("/health?", &[], None),
        ("/health", &[("accept", "text/plain")], None),
        ("/health", &[("accept", "*/*"), ("accept", "text/html")], None),
        ("/health", &[("authorization", "Bearer x")], None),
    ] {
        assert_eq!(plain_poll(&request(path, headers)).map(|(_, view)| view), view.as_ref(), "{path} {headers:?}");
    }
    let mut posted = request("/health", &[]);
    *posted.method_mut() = Method::POST;
    assert_eq!(plain_poll(&posted), None);
}

/// Byte for byte, and with the headers in the same order.
#[tokio::test]
async fn the_fast_path_responds_as_the_routes_do() {
    let (fast_path, checks, answers) = fast_path().await;
    for (drained, method) in [(false, Method::GET), (false, Method::HEAD), (true, Method::GET)] {
        if drained {
            checks.aggregator().drain();
        }
        for path in ["/", "/health", "/healthz/", "/readyz", "/startupz"] {
            let poll = |headers: &[(&str, &str)]| {
                let mut request = request(path, headers);
                *request.method_mut() = method.clone();
                request
            };
            let plain = fast_path.clone().respond(poll(&[]), PEER).await;
            assert!(matches!(plain.body(), ResponseBody::Left(_)), "the response comes from the fast path");
            // An equal request that is no plain poll.
            let routed = fast_path.clone().respond(poll(&[("accept", "application/json")]), PEER).await;
            assert!(matches!(routed.body(), ResponseBody::Right(_)), "the response comes from the routes");
            let (one, other) = (plain.into_parts(), routed.into_parts());
            assert_eq!((one.0.status, one.0.headers.iter().collect::<Vec<_>>()), (other.0.status, other.0.headers.iter().collect()));
            let bodies = (one.1.collect().await.expect("a body").to_bytes(), other.1.collect().await.expect("a body").to_bytes());
            assert_eq!(bodies.0, bodies.1, "{method} {path}");
            assert_eq!(one.0.headers.get(CONNECTION).is_some(), drained, "a client leaves while the service drains");
            assert_eq!(one.0.status.is_success(), !drained || path == "/startupz");
        }
    }
    answers.store(Arc::new(Answers { fail_status: 503, ..Answers::default() }));
    assert_eq!(
        fast_path.plain_response(&request("/health", &[]), PEER).expect("a response").status(),
        503,
        "a reload takes effect at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_for_a_result_goes_through_the_routes() {
    let mut checks = Aggregator::builder().check("fleet", PassingCheck).build();
    let fast_path = serve(&checks, Arc::default());
    for _ in 0..3 {
        assert!(fast_path.plain_response(&request("/health", &[]), PEER).is_none());
        let start = Instant::now();
        assert_eq!(fast_path.clone().respond(request("/health", &[]), PEER).await.status(), 500);
        assert_eq!(start.elapsed(), Answers::default().deadline, "each poll waits");
    }
    checks.probe_all(|_, _| {}).await;
    assert!(fast_path.plain_response(&request("/health", &[]), PEER).is_some());
}

/// The server consumes the headers of a response, so each poll needs its own copy of them.
#[tokio::test]
async fn a_poll_allocates_no_more_than_its_headers() {
    let (fast_path, ..) = fast_path().await;
    let mut poll = request("/health", &[]);
    poll.headers_mut().insert(USER_AGENT, HeaderValue::from_static("ELB-HealthChecker/2.0"));
    let response = fast_path.plain_response(&poll, PEER).expect("a response");
    let headers = measure(|| drop(response.headers().clone())).count_total;
    let polls = measure(|| drop(fast_path.plain_response(&poll, PEER))).count_total;
    assert_eq!(polls, headers, "by a poll, and by its headers");

    let bare = Router::new().route("/health", get(|| async { ([("content-type", "application/json")], "well") }));
    let control = measure(|| drop(bare.clone().call(request("/health", &[])).now_or_never())).count_total;
    let request_alone = measure(|| drop(request("/health", &[]))).count_total;
    assert!(polls < control - request_alone, "{polls} by a poll, {} by a bare route of axum", control - request_alone);
}
