//! The middleware that counts responses and records polls.

use super::{
    paths::{NAMED_LABEL, is_verdict, label},
    peer::{PollerIdentity, peer},
    respond::{Serving, UnknownName},
    state::HttpState,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::Response,
    middleware::Next,
};
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// Counts a request when its response is known, records the poll, and delays the response to a client that guesses the token.
pub(super) async fn counted(State(state): State<Arc<HttpState>>, request: Request, next: Next) -> Response<Body> {
    let (polls, peer) = (&state.polls, peer(request.extensions()));
    if state.answers.load().has_wrong_token(request.headers()) {
        sleep(state.wrong_tokens.count(peer.map(|peer| peer.address.ip().to_canonical()), Instant::now())).await;
    }
    let label = label(request.uri().path());
    let poller = is_verdict(request.uri().path()).then(|| PollerIdentity::new(&request, peer));
    // The ledger has the whole path if it names a component or a group.
    let named = (label == NAMED_LABEL).then(|| request.uri().clone());
    let response = next.run(request).await;
    let code = response.status().as_u16();
    polls.counts.count(label, code);
    if let Some(poller) = poller.filter(|_| response.extensions().get::<UnknownName>().is_none()) {
        let named = named.as_ref().map(|uri| uri.path().trim_end_matches('/'));
        let serving = response.extensions().get().map(|Serving(serving)| *serving);
        polls.ledger.record(&poller.poll(named.unwrap_or(label), code, serving), Instant::now());
    }
    response
}
