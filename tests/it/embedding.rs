//! allswell inside of somebody's axum application.

use allswell::{Aggregator, Check, Failure, Observation, async_trait, component::Policy};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
    routing::get,
};
use std::time::Duration;
use tower::ServiceExt;

/// Blocks the thread on which it is polled, as a check should not.
struct Blocks;

#[async_trait]
impl Check for Blocks {
    async fn probe(&self) -> Result<Observation, Failure> {
        std::thread::sleep(Duration::from_secs(3600));
        Ok(Observation::pass())
    }
}

struct Well;

#[async_trait]
impl Check for Well {
    async fn probe(&self) -> Result<Observation, Failure> {
        Ok(Observation::pass().with("online", 3))
    }
}

struct Panics;

#[async_trait]
impl Check for Panics {
    async fn probe(&self) -> Result<Observation, Failure> {
        panic!("this check is broken")
    }
}

async fn ask(app: &Router, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec()).expect("text"))
}

#[tokio::test]
async fn the_health_paths_join_an_application_and_leave_its_own_alone() {
    let health = Aggregator::builder().check("fleet", Well).start();
    let app = Router::new().route("/", get(|| async { "home" })).fallback(|| async { "nothing" }).merge(allswell::router(health));
    assert_eq!(ask(&app, "/").await, (200, "home".to_owned()));
    assert_eq!(ask(&app, "/other").await, (200, "nothing".to_owned()));
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, 200);
    assert!(body.contains("\"online\": 3") && body.contains("\"kind\": \"custom\""), "{body}");
    assert_eq!(ask(&app, "/health/fleet/").await.0, 200);
    assert_eq!(ask(&app, "/health/none").await.0, 404);
    assert_eq!(ask(&app, "/livez").await.0, 200);
}

#[tokio::test]
async fn a_panic_is_that_components_affair() {
    let health = Aggregator::builder().check("broken", Panics).check("well", Well).start();
    let app = allswell::router(health);
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, 500);
    assert!(body.contains("\"class\": \"panicked\"") && !body.contains("this check is broken"), "{body}");
    assert_eq!(ask(&app, "/health/well").await.0, 200);
}

#[test]
fn checks_that_block_the_engine_make_it_dead_but_not_mute() {
    let engine = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let answering = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let policy = Policy { interval: Duration::from_millis(100), timeout: Duration::from_millis(100), ..Policy::default() };
    let health = Aggregator::builder().policy(policy).check("well", Well).check("blocks", Blocks).start_on(engine.handle());
    let app = allswell::router(health);
    answering.block_on(async {
        let mut last = String::new();
        for _ in 0..60 {
            let (livez, _) = ask(&app, "/livez").await;
            let (health, body) = ask(&app, "/health").await;
            if (livez, health) == (500, 500)
                && (body.contains("\"class\": \"stale\"") || body.matches("\"class\": \"pending\"").count() == 2)
            {
                return;
            }
            last = body;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the engine is stuck, and nobody says so: {last}");
    });
    engine.shutdown_background();
}
