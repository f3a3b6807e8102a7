//! An axum application with a health endpoint: run `cargo run --example embed`, then `curl -v localhost:3000/health`, or
//! `curl -v localhost:3000/health/dispatch` for a group of components.

use allswell::{Aggregator, Check, Failure, Observation, async_trait, component::Policy};
use axum::{Router, routing::get};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// Reports the number of vehicles that are online, which only the application itself knows.
struct Fleet(Arc<AtomicU32>);

#[async_trait]
impl Check for Fleet {
    async fn probe(&self) -> Result<Observation, Failure> {
        match self.0.load(Ordering::Relaxed) {
            0 => Err(Failure::unhealthy("no vehicle is online")),
            online => Ok(Observation::pass().with("online", online)),
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let online = Arc::new(AtomicU32::new(3));
    let health = Aggregator::builder()
        .policy(Policy::default().with_interval(Duration::from_secs(5)))
        .check("fleet", Fleet(Arc::clone(&online)))
        // Served at /health/dispatch, and by gRPC as a service of that name.
        .group("dispatch", ["fleet"])
        .start();
    let app = Router::new().route("/", get(|| async { "home" })).merge(allswell::router(health));
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
}
