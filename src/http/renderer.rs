//! Renders responses: from a key to a head and a body.

use super::{
    answers::Answers,
    grpc::messages::service_list,
    memory::ResponseMemory,
    metrics,
    respond::{complete, guarded},
};
use crate::{
    dialect::{Detail, Dialect, MetricsFormat, PagePlace, RenderOptions},
    engine::{Aggregator, BuiltReport},
    pollers::Polls,
    report::{Report, Status, View},
};
use arc_swap::ArcSwap;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use std::sync::Arc;

/// Everything that a rendered response depends on, besides the results and the settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RenderingKey {
    pub(super) view: View,
    pub(super) format: RenderingFormat,
    pub(super) detail: Detail,
    /// Whether it shows the pollers.
    pub(super) with_pollers: bool,
    /// How many folders below the root the status page is read.
    pub(super) depth: usize,
}

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RenderingFormat {
    Report(Dialect),
    Metrics(MetricsFormat),
    /// The response to gRPC's `List`.
    ServiceList,
}

impl RenderingKey {
    /// The key of a plain poll: a request with nothing but a path.
    pub(super) const fn plain(view: View, detail: Detail) -> Self {
        Self { view, format: RenderingFormat::Report(Dialect::Json), detail, with_pollers: false, depth: 0 }
    }

    /// Whether a load balancer may poll for it. There is always memory for such a response.
    pub(super) fn is_poll(&self) -> bool {
        self.format == RenderingFormat::Report(Dialect::Json) && !self.with_pollers
    }

    /// Whether a response stays current until the next result. `/livez` does not: it has to report an engine that has ended, which produces
    /// no more results.
    pub(super) fn is_reusable(&self) -> bool {
        !self.with_pollers && !matches!(self.format, RenderingFormat::Metrics(_)) && self.view != View::Live
    }
}

/// A response that can be sent any number of times.
pub(super) struct Rendered {
    head: Response<()>,
    pub(super) body: Bytes,
    /// The report that it shows, and which results that report contains.
    pub(super) source: Arc<BuiltReport>,
    /// The settings with which it was rendered.
    pub(super) answers: Arc<Answers>,
    /// When the rendering began, by the clock of the cache.
    pub(super) began: u64,
}

impl Rendered {
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        self.head.clone().map(|()| Full::new(self.body.clone()))
    }
}

/// What responses are rendered from.
pub(super) struct Renderer {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) polls: Arc<Polls>,
    pub(super) memory: ResponseMemory,
}

impl Renderer {
    /// Renders the response for a key. `None`: there is no such component or group.
    pub(super) fn render(&self, key: &RenderingKey, began: u64) -> Option<Arc<Rendered>> {
        let source = self.aggregator.built_report(&key.view)?;
        let answers = self.answers.load_full();
        let response = match key.format {
            RenderingFormat::Report(dialect) => self.report(key, dialect, &source.report, &answers),
            RenderingFormat::Metrics(format) => metrics::response(format, key.detail, &source.report, &self.polls),
            RenderingFormat::ServiceList => {
                complete(StatusCode::OK, Status::Pass, "application/grpc", service_list(self.aggregator.statuses()).into())
            }
        };
        let (head, body) = response.into_parts();
        let (head, body) = (Response::from_parts(head, ()), self.memory.count(body));
        Some(Arc::new(Rendered { head, body, source, answers, began }))
    }

    fn report(&self, key: &RenderingKey, dialect: Dialect, report: &Report, answers: &Answers) -> Response<Vec<u8>> {
        let pollers = key.with_pollers.then(|| self.polls.ledger.report());
        let root = "../".repeat(key.depth);
        let place = PagePlace { root: &root, view: &key.view };
        let body = dialect.render_with(report, &RenderOptions { detail: key.detail, pollers: pollers.as_ref(), place });
        let code = if dialect.is_for_collectors() { StatusCode::OK } else { answers.code(&key.view, report.status) };
        let response = complete(code, report.status, dialect.content_type(), body);
        if dialect == Dialect::Html { guarded(response) } else { response }
    }
}
