//! The fast path: a plain poll, which has nothing but a path, gets the last rendered response. All other requests go through the routes.

use super::{
    paths::{Endpoint, endpoint},
    peer::{PEER, PollerIdentity},
    state::HttpState,
};
use crate::{pollers::Polls, report::View};
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
use std::{net::SocketAddr, sync::Arc};
use tokio::time::Instant;
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

    /// Responds to a request from `peer`.
    pub(super) async fn respond<B>(self, request: Request<B>, peer: SocketAddr) -> Response<ResponseBody>
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(response) = self.plain_response(&request, peer) {
            return response.map(Either::Left);
        }
        let routed = PEER.scope(peer, Router::clone(&self.routes).call(request));
        let Ok(response) = routed.await;
        response.map(Either::Right)
    }

    /// The response to a plain poll, unless it has to wait for a result.
    fn plain_response<B>(&self, request: &Request<B>, peer: SocketAddr) -> Option<Response<Full<Bytes>>> {
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
