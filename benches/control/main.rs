//! The control of the benchmarks: the cost of serving a static body with axum. `control ADDRESS FILE` answers every `GET /health` with the content of
//! the file.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use std::{env, error::Error, fs};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [address, file] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "usage: control ADDRESS FILE")?;
    // The body lives as long as the process.
    let body: &'static [u8] = fs::read(file)?.leak();
    let app = Router::new().route("/health", get(move || async move { ([(CONTENT_TYPE, "application/json")], body) }));
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
