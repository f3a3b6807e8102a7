//! What all handlers share, and the answers that need nothing else.

use super::{
    answer::{Answers, READING, may_be_read, not_allowed, problem},
    events::Events,
    memory::ResponseMemory,
    metrics,
    negotiate::{by_accept, wishes},
    page,
    polls::{Polls, UnknownName},
    renderings::{Format, Key, Renderings, Source, Unavailable},
    subscriptions::Subscriptions,
    tokens::WrongTokens,
};
use crate::{dialect::Dialect, engine::Aggregator, report::View};
use arc_swap::ArcSwap;
use axum::{
    body::Body,
    http::{
        HeaderValue, Method, Response, StatusCode,
        header::{ACCEPT, RETRY_AFTER},
        request::Parts,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long an answer may be rendered after the deadline of its results.
const MAX_RENDERING: Duration = Duration::from_millis(100);

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
}

impl HttpState {
    /// Without `memory`, answers may take any amount: the server that embeds the routes bounds its clients.
    pub(super) fn new(aggregator: Aggregator, answers: Arc<ArcSwap<Answers>>, memory: Option<ResponseMemory>) -> Arc<Self> {
        let polls = Arc::<Polls>::default();
        let source = Source {
            aggregator: aggregator.clone(),
            answers: Arc::clone(&answers),
            polls: Arc::clone(&polls),
            memory: memory.unwrap_or_else(|| ResponseMemory::new(usize::MAX)),
        };
        let renderings = Renderings::new(Arc::new(source));
        Arc::new(Self {
            aggregator,
            answers,
            polls,
            renderings,
            events: Events::default(),
            watchers: Subscriptions::default(),
            wrong_tokens: WrongTokens::default(),
        })
    }

    /// The report on a view.
    pub(super) async fn report(&self, view: View, request: &Parts) -> Response<Body> {
        if !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return self.read_only();
        }
        let answers = self.answers.load_full();
        let (wishes, headers) = (wishes(request.uri.query()), &request.headers);
        let dialect = wishes.format.unwrap_or_else(|| by_accept(headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes)));
        let detail = answers.detail(headers);
        let is_plain = request.uri.query().is_none() && dialect == Dialect::Json && detail == answers.detail;
        if is_plain
            && request.method != Method::OPTIONS
            && let Some(rendered) = self.renderings.plain(&view)
        {
            return rendered.response().map(Body::new);
        }
        let deadline = Instant::now() + answers.deadline;
        if wishes.fresh && answers.may_refresh(headers) {
            self.aggregator.wait_for_fresh(&view, deadline).await;
        } else {
            self.aggregator.ready_by(&view, deadline).await;
        }
        if request.method == Method::OPTIONS {
            return match self.aggregator.status_of(&view) {
                Some(status) => may_be_read(answers.code(&view, status), status),
                None => self.unknown_view(),
            };
        }
        let is_page = dialect == Dialect::Html;
        // The status page shows them by itself, without what needs the token.
        let with_pollers = (wishes.probers && answers.shows_token(headers) && dialect.shows_pollers()) || is_page;
        let depth = if is_page { page::depth(request.uri.path()) } else { 0 };
        let key = Key { view, format: Format::Report(dialect), detail, with_pollers, depth };
        self.rendered(key, deadline).await
    }

    /// The metrics as they are at the moment: a scrape does not wait for results.
    pub(super) async fn metrics(&self, request: &Parts) -> Response<Body> {
        match request.method {
            Method::GET | Method::HEAD => {
                let (format, detail) = (Format::Metrics(metrics::format(request)), self.answers.load().detail(&request.headers));
                let key = Key { view: View::Whole, format, detail, with_pollers: true, depth: 0 };
                self.rendered(key, self.deadline()).await
            }
            Method::OPTIONS => may_be_read(StatusCode::OK, self.aggregator.status()),
            _ => self.read_only(),
        }
    }

    async fn rendered(&self, key: Key, deadline: Instant) -> Response<Body> {
        // What was waited for until the deadline still has to be rendered.
        let deadline = deadline.max(Instant::now() + MAX_RENDERING);
        match self.renderings.get(key, deadline).await {
            Ok(rendered) => rendered.response().map(Body::new),
            Err(Unavailable::UnknownView) => self.unknown_view(),
            Err(Unavailable::Late) => self.overloaded("the answer was not rendered by the deadline: too much else is requested"),
            Err(Unavailable::NoMemory) => self.overloaded(
                "the answer does not fit into `server.response_memory`: raise it, or try again when other clients have read theirs",
            ),
        }
    }

    /// When an answer to a request of this moment has to leave.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.answers.load().deadline
    }

    pub(super) fn unknown_view(&self) -> Response<Body> {
        let mut response = self.unknown("there is no component or group of this name");
        response.extensions_mut().insert(UnknownName);
        response
    }

    pub(super) fn unknown(&self, detail: &str) -> Response<Body> {
        problem(StatusCode::NOT_FOUND, detail, self.aggregator.status())
    }

    fn read_only(&self) -> Response<Body> {
        not_allowed(READING, "this path can only be read", self.aggregator.status())
    }

    fn overloaded(&self, detail: &str) -> Response<Body> {
        let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail, self.aggregator.status());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}
