//! How often each path was answered with which status code, and to whom.

use super::ledger::{Ledger, Visit};
use crate::prober::Prober;
use arc_swap::ArcSwap;
use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{Response, Version, header::USER_AGENT},
    middleware::Next,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
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

type Counts = BTreeMap<(&'static str, u16), Arc<AtomicU64>>;

/// The counts, which are taken and read without a lock; and beside them who polls.
#[derive(Debug, Default)]
pub(super) struct Polls {
    counts: ArcSwap<Counts>,
    pub(super) ledger: Ledger,
}

impl Polls {
    pub(super) fn count(&self, path: &str, code: u16) {
        let key = (label(path), code);
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
fn label(path: &str) -> &'static str {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let known = PATHS.into_iter().find(|known| *known == path);
    known.unwrap_or(if path.starts_with("/health/") { "/health/NAME" } else { "other" })
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
    let uri = request.uri().clone();
    let method = request.method().clone();
    let http_1_0 = request.version() == Version::HTTP_10;
    let agent = request.headers().get(USER_AGENT).cloned();
    let peer = PEER.try_with(|peer| *peer).ok();
    // A server that is not ours may tell it by the request.
    let peer = peer.or_else(|| request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer));
    let response = next.run(request).await;
    let code = response.status().as_u16();
    polls.count(uri.path(), code);
    if let Some(path) = polled(uri.path()) {
        let agent = agent.as_ref().map_or(&b""[..], |agent| agent.as_bytes());
        let prober = Prober::of(agent, method.as_str(), http_1_0);
        let serving = response.extensions().get().map(|Serving(serving)| *serving);
        let address = peer.map(|peer| peer.ip().to_canonical());
        polls.ledger.record(&Visit { address, agent, path, prober, code, serving }, Instant::now());
    }
    response
}

/// The path, if it is one that is polled for a verdict.
fn polled(path: &str) -> Option<&'static str> {
    let label = label(path);
    let verdict = !matches!(label, "other" | "/metrics" | "/admin/drain" | "/admin/undrain" | "/admin/reload");
    // What the status page consists of is not polled, but shown.
    (verdict && !path.starts_with("/health/_")).then_some(label)
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
            ("/health/", Some("/health")),
            ("/health/db", Some("/health/NAME")),
            ("/AWS.ALB/healthcheck", Some("/AWS.ALB/healthcheck")),
            ("/health/_events", None),
            ("/metrics", None),
            ("/admin/drain", None),
            ("/favicon.ico", None),
        ] {
            assert_eq!(polled(path), expected, "{path}");
        }
    }

    #[test]
    fn counts_from_many_sides_are_all_there() {
        let polls = Polls::default();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let polls = &polls;
                scope.spawn(move || (0..1000).for_each(|number| polls.count(&format!("/{thread}"), 200 + number % 10)));
            }
        });
        assert_eq!(polls.counts(), (200..210).map(|code| (("other", code), 800)).collect::<Vec<_>>());
    }
}
