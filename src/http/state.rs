//! What all handlers share, and the handlers of reports and metrics.

#[cfg(feature = "server")]
use super::respond::{READ_METHODS, not_allowed};
use super::{
    answers::Answers,
    events::Events,
    memory::ResponseMemory,
    metrics,
    negotiate::{by_accept, query_options},
    page,
    paths::is_root,
    renderer::{Renderer, RenderingFormat, RenderingKey},
    renderings::{Renderings, Unavailable},
    respond::{UnknownName, options, problem, read_only},
    subscriptions::Subscriptions,
    tokens::WrongTokens,
};
use crate::{dialect::Dialect, engine::Aggregator, pollers::Polls, report::View};
use arc_swap::ArcSwap;
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header::RETRY_AFTER, request::Parts},
};
#[cfg(feature = "server")]
use std::sync::atomic::AtomicBool;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The time for rendering a response whose results were awaited until the deadline.
const MIN_RENDERING_TIME: Duration = Duration::from_millis(100);

/// What all handlers share.
pub(super) struct HttpState {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) polls: Arc<Polls>,
    pub(super) renderings: Renderings,
    pub(super) events: Events,
    /// The subscribers of gRPC's `Watch`.
    pub(super) watchers: Subscriptions<()>,
    pub(super) wrong_tokens: WrongTokens,
    /// Whether the listener ends, after which every connection is closed.
    #[cfg(feature = "server")]
    pub(super) is_ending: AtomicBool,
}

impl HttpState {
    /// Without `memory`, responses may take any amount: then the server that embeds the routes has to limit its clients.
    pub(super) fn new(aggregator: Aggregator, answers: Arc<ArcSwap<Answers>>, memory: Option<ResponseMemory>) -> Arc<Self> {
        let polls = Arc::<Polls>::default();
        let renderings = Renderings::new(Renderer {
            aggregator: aggregator.clone(),
            answers: Arc::clone(&answers),
            polls: Arc::clone(&polls),
            memory: memory.unwrap_or_else(|| ResponseMemory::new(usize::MAX)),
        });
        Arc::new(Self {
            aggregator,
            answers,
            polls,
            renderings,
            events: Events::default(),
            watchers: Subscriptions::default(),
            wrong_tokens: WrongTokens::default(),
            #[cfg(feature = "server")]
            is_ending: AtomicBool::new(false),
        })
    }

    /// Responds with the report on a view.
    pub(super) async fn report(&self, view: View, request: &Parts) -> Response<Body> {
        if !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return read_only(self.aggregator.status());
        }
        let answers = self.answers.load_full();
        let (query, headers) = (query_options(request.uri.query()), &request.headers);
        let dialect = query.format.unwrap_or_else(|| by_accept(headers, is_root(request.uri.path())));
        let detail = answers.detail(headers);
        let is_plain = request.uri.query().is_none() && dialect == Dialect::Json && detail == answers.detail;
        if is_plain
            && request.method != Method::OPTIONS
            && let Some(rendered) = self.renderings.plain(&view)
        {
            return rendered.response().map(Body::new);
        }
        let deadline = Instant::now() + answers.deadline;
        if query.fresh && answers.may_refresh(headers) {
            self.aggregator.wait_for_fresh(&view, deadline).await;
        } else {
            self.aggregator.ready_by(&view, deadline).await;
        }
        if request.method == Method::OPTIONS {
            return match self.aggregator.status_of(&view) {
                Some(status) => options(answers.code(&view, status), status),
                None => self.unknown_view(),
            };
        }
        let is_page = dialect == Dialect::Html;
        // The status page always shows the pollers; what needs the token is left out there.
        let with_pollers = (query.probers && answers.has_token(headers) && dialect.shows_pollers()) || is_page;
        let depth = if is_page { page::depth(request.uri.path()) } else { 0 };
        let key = RenderingKey { view, format: RenderingFormat::Report(dialect), detail, with_pollers, depth };
        self.rendered(key, deadline).await
    }

    /// Responds with the metrics of this moment: a scrape does not wait for results.
    pub(super) async fn metrics(&self, request: &Parts) -> Response<Body> {
        match request.method {
            Method::GET | Method::HEAD => {
                let (format, detail) = (RenderingFormat::Metrics(metrics::format(request)), self.answers.load().detail(&request.headers));
                let key = RenderingKey { view: View::Whole, format, detail, with_pollers: true, depth: 0 };
                self.rendered(key, self.deadline()).await
            }
            Method::OPTIONS => options(StatusCode::OK, self.aggregator.status()),
            _ => read_only(self.aggregator.status()),
        }
    }

    async fn rendered(&self, key: RenderingKey, deadline: Instant) -> Response<Body> {
        let deadline = deadline.max(Instant::now() + MIN_RENDERING_TIME);
        match self.renderings.get(key, deadline).await {
            Ok(rendered) => rendered.response().map(Body::new),
            Err(Unavailable::UnknownView) => self.unknown_view(),
            Err(Unavailable::Late) => self.overloaded("the response was not rendered by the deadline: there are too many other requests"),
            Err(Unavailable::NoMemory) => self.overloaded(
                "the response does not fit into `server.response_memory`: raise it, or try again when other clients have read their responses",
            ),
        }
    }

    /// When the response to a request that arrives now has to leave.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.answers.load().deadline
    }

    pub(super) fn unknown_view(&self) -> Response<Body> {
        let mut response = self.not_found("there is no component or group of this name");
        response.extensions_mut().insert(UnknownName);
        response
    }

    pub(super) fn not_found(&self, detail: &str) -> Response<Body> {
        problem(StatusCode::NOT_FOUND, detail, self.aggregator.status())
    }

    /// The response to a request for a path that the binary does not have.
    #[cfg(feature = "server")]
    pub(super) fn unknown_path(&self, request: &Parts) -> Response<Body> {
        if request.method == Method::CONNECT {
            return not_allowed(READ_METHODS, "this server is no proxy: the report is at /health", self.aggregator.status());
        }
        self.not_found(if request.uri.path().starts_with("//") {
            "unknown path: it begins with two slashes, and the report is at /health"
        } else {
            "unknown path: the report is at /health"
        })
    }

    fn overloaded(&self, detail: &str) -> Response<Body> {
        let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail, self.aggregator.status());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}
