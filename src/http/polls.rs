//! How often each path was answered with which status code.

use arc_swap::ArcSwap;
use axum::{
    body::Body,
    extract::{Request, State},
    http::Response,
    middleware::Next,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

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

/// The counts, which are taken and read without a lock.
#[derive(Debug, Default)]
pub(super) struct Polls(ArcSwap<Counts>);

impl Polls {
    pub(super) fn count(&self, path: &str, code: u16) {
        let key = (label(path), code);
        if let Some(count) = self.0.load().get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The first of its sort. What others add to the old table meanwhile is not lost: the tables share their counters.
        self.0.rcu(|counts| {
            let mut counts = Counts::clone(counts);
            counts.entry(key).or_default();
            counts
        });
        if let Some(count) = self.0.load().get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Vec<((&'static str, u16), u64)> {
        self.0.load().iter().map(|(key, count)| (*key, count.load(Ordering::Relaxed))).collect()
    }
}

/// Names of components and groups come and go, and are one path.
fn label(path: &str) -> &'static str {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let known = PATHS.into_iter().find(|known| *known == path);
    known.unwrap_or(if path.starts_with("/health/") { "/health/NAME" } else { "other" })
}

/// Counts a request when its answer is known.
pub(super) async fn counted(State(polls): State<Arc<Polls>>, request: Request, next: Next) -> Response<Body> {
    let uri = request.uri().clone();
    let response = next.run(request).await;
    polls.count(uri.path(), response.status().as_u16());
    response
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
