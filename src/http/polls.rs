//! How often each path was answered with which status code, and to whom.

use super::{
    ledger::{Ledger, Visit},
    paths::{NAMED_LABEL, is_verdict, label},
    state::HttpState,
};
use crate::prober::Prober;
use arc_swap::ArcSwap;
use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderValue, Response, Version, header::USER_AGENT},
    middleware::Next,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    task_local,
    time::{Instant, sleep},
};

type Counts = BTreeMap<(&'static str, u16), Arc<AtomicU64>>;

/// The counts, which are taken and read without a lock; and beside them who polls.
#[derive(Debug, Default)]
pub(super) struct Polls {
    counts: ArcSwap<Counts>,
    pub(super) ledger: Ledger,
}

impl Polls {
    /// Notes who polled for a verdict, and what they were told.
    pub(super) fn remember(&self, poller: &Poller, path: &str, code: u16, serving: Option<bool>) {
        let Poller { address, agent, prober } = poller;
        let agent = agent.as_ref().map_or(&b""[..], |agent| agent.as_bytes());
        self.ledger.record(&Visit { address: *address, agent, path, prober: *prober, code, serving }, Instant::now());
    }

    /// Counts an answer.
    pub(super) fn count(&self, label: &'static str, code: u16) {
        let key = (label, code);
        if let Some(count) = self.counts.load().get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The first of its sort. What others add to the old table meanwhile is not lost: the tables share their counters.
        self.counts.rcu(|counts| {
            let mut counts = Counts::clone(counts);
            counts.entry(key).or_default();
            counts
        });
        if let Some(count) = self.counts.load().get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Vec<((&'static str, u16), u64)> {
        self.counts.load().iter().map(|(key, count)| (*key, count.load(Ordering::Relaxed))).collect()
    }
}

task_local! {
    /// Who is at the other end of the connection on which a request came: with our own listener, which needs no memory for it.
    pub(super) static PEER: SocketAddr;
}

/// What gRPC says beside the status code, which is 200 for a `NOT_SERVING`, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving(pub(super) bool);

/// The request asked for a name that nothing has: the answer is no verdict, so the request was no poll for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnknownName;

/// Counts a request when its answer is known, remembers whose it was, and delays the answer to a client that guesses the token.
pub(super) async fn counted(State(state): State<Arc<HttpState>>, request: Request, next: Next) -> Response<Body> {
    let (polls, peer) = (&state.polls, peer(request.extensions()));
    if state.answers.load().has_wrong_token(request.headers()) {
        sleep(state.wrong_tokens.count(peer.map(|peer| peer.ip().to_canonical()), Instant::now())).await;
    }
    let label = label(request.uri().path());
    let poller = is_verdict(request.uri().path()).then(|| Poller::new(&request, peer));
    // Names of components are paths of their own where there is such a component.
    let named = (label == NAMED_LABEL).then(|| request.uri().clone());
    let response = next.run(request).await;
    let code = response.status().as_u16();
    polls.count(label, code);
    if let Some(poller) = poller.filter(|_| response.extensions().get::<UnknownName>().is_none()) {
        let named = named.as_ref().map(|uri| uri.path().trim_end_matches('/'));
        let serving = response.extensions().get().map(|Serving(serving)| *serving);
        polls.remember(&poller, named.unwrap_or(label), code, serving);
    }
    response
}

/// The address of the client, if the server provides it.
pub(super) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    // Servers other than our listener provide it in the request.
    let provided = || extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    PEER.try_with(|peer| *peer).ok().or_else(provided)
}

/// Who asks.
pub(super) struct Poller {
    address: Option<IpAddr>,
    agent: Option<HeaderValue>,
    prober: Option<Prober>,
}

impl Poller {
    pub(super) fn new<B>(request: &Request<B>, peer: Option<SocketAddr>) -> Self {
        let agent = request.headers().get(USER_AGENT);
        let prober =
            Prober::of(agent.map_or(&b""[..], |agent| agent.as_bytes()), request.method().as_str(), request.version() == Version::HTTP_10);
        Self { address: peer.map(|peer| peer.ip().to_canonical()), agent: agent.cloned(), prober }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_many_sides_are_all_there() {
        let polls = Polls::default();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let polls = &polls;
                scope.spawn(move || (0..1000).for_each(|number| polls.count(label(&format!("/{thread}")), 200 + number % 10)));
            }
        });
        assert_eq!(polls.counts(), (200..210).map(|code| (("other", code), 800)).collect::<Vec<_>>());
    }
}
