//! The fast path: a plain poll, which has nothing but a path, gets the last rendered response. All other requests go through the routes.

use super::{
    paths::{ASTERISK, Endpoint, NAMED_PREFIX, WHOLE, endpoint},
    peer::{PEER, Peer, PollerIdentity},
    respond::{TEXT, complete},
    state::HttpState,
};
use crate::{
    pollers::Polls,
    report::{Status, View},
};
use axum::{
    Router,
    body::Body,
    http::{
        HeaderValue, Method, Request, Response, Uri, Version,
        header::{ACCEPT, AUTHORIZATION, CONNECTION},
    },
};
use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::{Either, Full};
use std::sync::{Arc, atomic::Ordering};
use tokio::{sync::watch, time::Instant};
use tower_service::Service;

/// The body of a response: a whole one from the fast path, or any kind from the routes.
pub(super) type ResponseBody = Either<Full<Bytes>, Body>;

/// Everything that the binary serves.
#[derive(Clone)]
pub(crate) struct FastPath {
    state: Arc<HttpState>,
    /// Cloned for each request that is not a plain poll.
    routes: Arc<Router>,
}

impl FastPath {
    pub(super) fn new(state: Arc<HttpState>, routes: Router) -> Self {
        Self { state, routes: Arc::new(routes) }
    }

    /// Responds to a request from `peer`. While the service drains, a response with HTTP/1 ends its connection, so that the client's next request
    /// is on a connection that a load balancer may direct elsewhere.
    pub(super) async fn respond<B>(self, mut request: Request<B>, peer: Peer) -> Response<ResponseBody>
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let is_http2 = request.version() == Version::HTTP_2;
        let mut response = if let Some(response) = self.plain_response(&request, peer) {
            response.map(Either::Left)
        } else {
            if request.method() == Method::OPTIONS && request.uri().path() == ASTERISK {
                *request.uri_mut() = Uri::from_static(WHOLE);
            }
            let Ok(response) = PEER.scope(peer, Router::clone(&self.routes).call(request)).await;
            response.map(Either::Right)
        };
        if !is_http2 && self.is_leaving() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The response to an HTTP/0.9 request, which some load balancers send by default. Such a client knows no status code, and takes any response
    /// for success: so there is a response only if the verdict is no failure, and `None` otherwise.
    pub(super) fn verdict_without_status(&self, target: &str) -> Option<Response<Bytes>> {
        let path = target.split('?').next().unwrap_or(target);
        let aggregator = &self.state.aggregator;
        let view = match endpoint(path) {
            Some((_, Endpoint::Report(view))) => view.clone(),
            _ => aggregator.view(path.strip_prefix(NAMED_PREFIX)?.trim_end_matches('/'))?,
        };
        let status = aggregator.status_of(&view).filter(|status| status.is_good())?;
        Some(complete(self.state.answers.load().code(&view, status), status, TEXT, Bytes::from(format!("{}\n", status.as_str()))))
    }

    /// The status of all components.
    pub(super) fn status(&self) -> Status {
        self.state.aggregator.status()
    }

    /// Whether clients should leave: the service drains, or its listener ends.
    fn is_leaving(&self) -> bool {
        self.is_draining() || self.state.is_ending.load(Ordering::Relaxed)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state.aggregator.is_draining()
    }

    /// From now on, every response with HTTP/1 ends its connection.
    pub(super) fn end(&self) {
        self.state.is_ending.store(true, Ordering::Relaxed);
    }

    /// Ends the responses that have no end of their own.
    pub(super) fn end_subscriptions(&self) {
        self.state.watchers.end_all();
        self.state.events.end();
    }

    /// Notified of every change, among them the start and the end of a drain.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.state.aggregator.changes()
    }

    /// The response to a plain poll, unless it has to wait for a result.
    fn plain_response<B>(&self, request: &Request<B>, peer: Peer) -> Option<Response<Full<Bytes>>> {
        let (label, view) = plain_poll(request)?;
        let mut response = self.state.renderings.plain(view)?.response();
        // hyper omits the body of a response to HEAD with HTTP/1, but not with HTTP/2.
        if request.method() == Method::HEAD {
            *response.body_mut() = Full::default();
        }
        let code = response.status().as_u16();
        let Polls { counts, ledger } = &*self.state.polls;
        counts.count(label, code);
        ledger.record(&PollerIdentity::new(request, Some(peer)).poll(label, code, None), Instant::now());
        Some(response)
    }
}

/// The path and the view of a plain poll. It has no query, and no header that could choose a format or carry the token.
fn plain_poll<B>(request: &Request<B>) -> Option<(&'static str, &'static View)> {
    let headers = request.headers();
    let is_plain = matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().query().is_none()
        && headers.get_all(ACCEPT).iter().all(|accept| accept == "*/*")
        && !headers.contains_key(AUTHORIZATION);
    if !is_plain {
        return None;
    }
    match endpoint(request.uri().path())? {
        (path, Endpoint::Report(view)) => Some((path, view)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
