//! The fast path: a poll that has nothing but a path is answered with the last rendered answer; all other requests go through the routes.

use super::{
    paths::{Endpoint, endpoint},
    polls::{PEER, Poller},
    state::HttpState,
};
use crate::report::View;
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
use tower_service::Service;

/// The body of an answer: whole, or of any kind.
pub(super) type AnswerBody = Either<Full<Bytes>, Body>;

/// Everything that the binary answers.
#[derive(Clone)]
pub(crate) struct FastPath(Arc<Inner>);

struct Inner {
    state: Arc<HttpState>,
    /// Cloned for each request that is not answered here.
    routes: Router,
}

impl FastPath {
    pub(super) fn new(state: Arc<HttpState>, routes: Router) -> Self {
        Self(Arc::new(Inner { state, routes }))
    }

    /// The answer to a request from `peer`.
    pub(super) async fn answer<B>(self, request: Request<B>, peer: SocketAddr) -> Response<AnswerBody>
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(response) = self.at_once(&request, peer) {
            return response.map(Either::Left);
        }
        let routed = PEER.scope(peer, self.0.routes.clone().call(request));
        let Ok(response) = routed.await;
        response.map(Either::Right)
    }

    /// The answer to a poll that has nothing but a path, unless it has to wait for a result.
    fn at_once<B>(&self, request: &Request<B>, peer: SocketAddr) -> Option<Response<Full<Bytes>>> {
        let (label, view) = plainly_polled(request)?;
        let state = &self.0.state;
        let mut response = state.renderings.plain(view)?.response();
        // HTTP/1 would leave it out by itself, HTTP/2 would not.
        if request.method() == Method::HEAD {
            *response.body_mut() = Full::default();
        }
        let code = response.status().as_u16();
        state.polls.count(label, code);
        state.polls.remember(&Poller::new(request, Some(peer)), label, code, None);
        Some(response)
    }
}

/// The path and the view that a request polls without any option: no format, no probes, nothing that a token unlocks.
fn plainly_polled<B>(request: &Request<B>) -> Option<(&'static str, &'static View)> {
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
