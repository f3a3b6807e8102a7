//! Routes: which view a path means.

#[cfg(feature = "cli")]
use super::{
    admin::{self, Control, Order},
    front::Front,
};
use super::{
    answer::{Answers, READING, may_be_read, not_allowed, problem},
    events::Events,
    grpc::{self, Call},
    metrics::metrics,
    negotiate::{by_accept, wishes},
    page,
    polls::{Polls, counted},
};
use crate::{dialect::Dialect, engine::Aggregator, report::View};
use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderValue, Method, Request, Response, StatusCode, header::ACCEPT, request::Parts},
    middleware::from_fn_with_state,
    routing::any,
};
use std::sync::Arc;
use tokio::time::Instant;

/// The health paths and `/metrics`, to merge into an application of one's own: all of them but `/`, and answered as by the binary with its
/// defaults. An application that has such paths already can have these below another one: `Router::nest`. Served by
/// `into_make_service_with_connect_info::<SocketAddr>()`, it also knows from where it is polled.
pub fn router(aggregator: Aggregator) -> Router {
    router_with(aggregator, Answers::default())
}

/// The health paths, answered as one likes.
pub fn router_with(aggregator: Aggregator, answers: Answers) -> Router {
    let desk = Desk::new(aggregator, Arc::new(ArcSwap::from_pointee(answers)));
    let counted = from_fn_with_state(Arc::clone(&desk.polls), counted);
    // What else the application answers is not ours to count.
    health(desk).route_layer(counted)
}

fn health(desk: Arc<Desk>) -> Router {
    let mut routes = Router::new();
    for (path, view) in [
        ("/health", View::Whole),
        ("/healthz", View::Whole),
        ("/livez", View::Live),
        ("/readyz", View::Ready),
        ("/startupz", View::Startup),
    ] {
        let route = any(move |State(desk): State<Arc<Desk>>, request: Request<Body>| async move {
            desk.serve(&view, &request.into_parts().0).await
        });
        routes = routes.route(path, route.clone()).route(&format!("{path}/"), route);
    }
    for (path, call) in [("Check", Call::Check), ("Watch", Call::Watch), ("List", Call::List)] {
        let route = any(move |State(desk): State<Arc<Desk>>, request: Request<Body>| async move {
            grpc::serve(call, &desk.aggregator, &desk.grpc, request, desk.deadline()).await
        });
        routes = routes.route(&format!("/grpc.health.v1.Health/{path}"), route);
    }
    let alb = any(|State(desk): State<Arc<Desk>>, request: Request<Body>| async move {
        grpc::alb(&desk.aggregator, request, desk.deadline()).await
    });
    routes = routes.route("/AWS.ALB/healthcheck", alb);
    let metrics = any(|State(desk): State<Arc<Desk>>, request: Request<Body>| async move { desk.metrics(&request.into_parts().0) });
    routes = routes.route("/metrics", metrics.clone()).route("/metrics/", metrics);
    for (path, content_type, content) in page::ASSETS {
        let asset = any(move |State(desk): State<Arc<Desk>>, request: Request<Body>| async move {
            page::asset(request.method(), content_type, content, desk.aggregator.status())
        });
        routes = routes.route(path, asset);
    }
    let events = any(|State(desk): State<Arc<Desk>>, request: Request<Body>| async move {
        desk.events.serve(&desk.aggregator, &desk.polls, &desk.answers.load(), &request.into_parts().0)
    });
    routes = routes.route("/health/_events", events);
    routes.route("/health/{name}", any(named)).route("/health/{name}/", any(named)).with_state(desk)
}

/// Everything that the binary answers: the health paths, `/`, and what the token unlocks.
#[cfg(feature = "cli")]
pub(crate) fn service(aggregator: &Aggregator, answers: Arc<ArcSwap<Answers>>, control: &Control) -> Front {
    let desk = Desk::new(aggregator.clone(), answers);
    let root =
        any(|State(desk): State<Arc<Desk>>, request: Request<Body>| async move { desk.serve(&View::Whole, &request.into_parts().0).await });
    let unknown = |State(desk): State<Arc<Desk>>| async move { desk.unknown("there is nothing at this path; the report is at /health") };
    let mut routes = Router::new().route("/", root).fallback(unknown);
    for (path, order) in [("/admin/drain", Order::Drain), ("/admin/undrain", Order::Undrain), ("/admin/reload", Order::Reload)] {
        let control = control.clone();
        let route = any(move |State(desk): State<Arc<Desk>>, request: Request<Body>| async move {
            admin::obey(order, &desk.answers.load(), &control, &desk.aggregator, &request.into_parts().0).await
        });
        routes = routes.route(path, route.clone()).route(&format!("{path}/"), route);
    }
    let counted = from_fn_with_state(Arc::clone(&desk.polls), counted);
    let routes = routes.with_state(Arc::clone(&desk)).merge(health(Arc::clone(&desk))).layer(counted);
    Front::new(desk, routes)
}

/// Who answers.
pub(super) struct Desk {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) polls: Arc<Polls>,
    events: Events,
    grpc: grpc::Seats,
}

async fn named(State(desk): State<Arc<Desk>>, name: Result<Path<String>, PathRejection>, request: Request<Body>) -> Response<Body> {
    // A name that is not UTF-8 is nobody's.
    match name.ok().and_then(|Path(name)| desk.aggregator.view(&name)) {
        Some(view) => desk.serve(&view, &request.into_parts().0).await,
        None => desk.unknown("there is no component or group of this name"),
    }
}

impl Desk {
    fn new(aggregator: Aggregator, answers: Arc<ArcSwap<Answers>>) -> Arc<Self> {
        Arc::new(Self { aggregator, answers, polls: Arc::default(), events: Events::default(), grpc: grpc::Seats::default() })
    }

    async fn serve(&self, view: &View, request: &Parts) -> Response<Body> {
        if !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return not_allowed(READING, "this path can only be read", self.aggregator.status());
        }
        let answers = self.answers.load_full();
        let wishes = wishes(request.uri.query());
        let headers = &request.headers;
        let deadline = Instant::now() + answers.deadline;
        let report = if wishes.fresh && answers.may_refresh(headers) {
            self.aggregator.fresh(view, deadline).await
        } else {
            self.aggregator.report_by(view, deadline).await
        };
        let Some(report) = report else { return self.unknown("there is no component or group of this name") };
        if request.method == Method::OPTIONS {
            return answers.options(view, &report);
        }
        let dialect = wishes.format.unwrap_or_else(|| by_accept(headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes)));
        // The page shows them by itself, as far as who reads it may know.
        let told = (wishes.probers && answers.shows_token(headers)) || dialect == Dialect::Html;
        answers.report(view, &report, told.then(|| self.polls.ledger.report()).as_ref(), dialect, request)
    }

    /// As it is at the moment: a scrape waits for nobody.
    fn metrics(&self, request: &Parts) -> Response<Body> {
        let (report, answers) = (self.aggregator.report(), self.answers.load());
        match request.method {
            Method::GET | Method::HEAD => metrics(&report, &self.polls, &answers, request),
            Method::OPTIONS => may_be_read(StatusCode::OK, report.status),
            _ => not_allowed(READING, "this path can only be read", report.status),
        }
    }

    /// By when an answer to a request of this moment leaves.
    fn deadline(&self) -> Instant {
        Instant::now() + self.answers.load().deadline
    }

    fn unknown(&self, detail: &str) -> Response<Body> {
        problem(StatusCode::NOT_FOUND, detail, self.aggregator.status())
    }
}
