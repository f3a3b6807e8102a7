//! How often each path was answered with which status code, and to whom.

use super::ledger::{Ledger, Visit};
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
use tokio::{task_local, time::Instant};

/// The paths that are told apart, so that nobody can make us remember paths of their own.
const PATHS: [&str; 14] = [
    "/",
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/startupz",
    "/metrics",
    "/admin/drain",
    "/admin/undrain",
    "/admin/reload",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.health.v1.Health/List",
    "/AWS.ALB/healthcheck",
];

/// The label of all names of components and groups.
const NAMED: &str = "/health/NAME";

type Counts = BTreeMap<(&'static str, u16), Arc<AtomicU64>>;

/// The counts, which are taken and read without a lock; and beside them who polls.
#[derive(Debug, Default)]
pub(super) struct Polls {
    counts: ArcSwap<Counts>,
    pub(super) ledger: Ledger,
}

impl Polls {
    /// Notes who polled for a verdict, and what they were told.
    pub(super) fn remember(&self, visitor: &Visitor, path: &str, code: u16, serving: Option<bool>) {
        let Visitor { address, agent, prober } = visitor;
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

/// Names of components and groups come and go, and are one path.
pub(super) fn label(path: &str) -> &'static str {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let known = PATHS.into_iter().find(|known| *known == path);
    known.unwrap_or(if path.starts_with("/health/") { NAMED } else { "other" })
}

task_local! {
    /// Who is at the other end of the connection on which a request came: with our own listener, which needs no memory for it.
    pub(super) static PEER: SocketAddr;
}

/// What gRPC says beside the status code, which is 200 for a `NOT_SERVING`, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving(pub(super) bool);

/// Counts a request when its answer is known, and remembers whose it was.
pub(super) async fn counted(State(polls): State<Arc<Polls>>, request: Request, next: Next) -> Response<Body> {
    let label = label(request.uri().path());
    let visitor = is_verdict(label, request.uri().path()).then(|| Visitor::of(&request, peer(request.extensions())));
    // Names of components are paths of their own where there is such a component.
    let named = (label == NAMED).then(|| request.uri().clone());
    let response = next.run(request).await;
    let code = response.status().as_u16();
    polls.count(label, code);
    if let Some(visitor) = visitor {
        let named = named.as_ref().filter(|_| code != 404).map(|uri| uri.path().trim_end_matches('/'));
        let serving = response.extensions().get().map(|Serving(serving)| *serving);
        polls.remember(&visitor, named.unwrap_or(label), code, serving);
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
pub(super) struct Visitor {
    address: Option<IpAddr>,
    agent: Option<HeaderValue>,
    prober: Option<Prober>,
}

impl Visitor {
    pub(super) fn of<B>(request: &Request<B>, peer: Option<SocketAddr>) -> Self {
        let agent = request.headers().get(USER_AGENT);
        let prober =
            Prober::of(agent.map_or(&b""[..], |agent| agent.as_bytes()), request.method().as_str(), request.version() == Version::HTTP_10);
        Self { address: peer.map(|peer| peer.ip().to_canonical()), agent: agent.cloned(), prober }
    }
}

/// Whether a path is polled for a verdict.
fn is_verdict(label: &str, path: &str) -> bool {
    let verdict = !matches!(label, "other" | "/metrics" | "/admin/drain" | "/admin/undrain" | "/admin/reload");
    // What the status page consists of is not polled, but shown.
    verdict && !path.starts_with("/health/_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_nobody_knows_are_one() {
        for (path, expected) in [
            ("/", "/"),
            ("/health", "/health"),
            ("/health/", "/health"),
            ("/health/db", "/health/NAME"),
            ("/health/a/b/c", "/health/NAME"),
            ("/wp-login.php", "other"),
            ("/livez//", "other"),
            ("//", "/"),
            ("*", "other"),
            ("", "other"),
        ] {
            assert_eq!(label(path), expected, "{path}");
        }
    }

    #[test]
    fn verdicts_are_polled_and_nothing_else_is() {
        for (path, expected) in [
            ("/health/", true),
            ("/health/db", true),
            ("/AWS.ALB/healthcheck", true),
            ("/health/_events", false),
            ("/metrics", false),
            ("/admin/drain", false),
            ("/favicon.ico", false),
        ] {
            assert_eq!(is_verdict(label(path), path), expected, "{path}");
        }
    }

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
