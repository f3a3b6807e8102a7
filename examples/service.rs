//! The service that `allswell serve` runs, in a program of one's own: `cargo run --example service -- allswell.toml`, then Ctrl-C.

use allswell::{
    Registry,
    config::{Environment, Sources, load},
    service::Service,
};
use std::{
    env,
    error::Error,
    io::{self, Write},
    sync::Arc,
};
use tokio::signal::ctrl_c;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // One TLS provider for every kind. It fails only if there is one already, which is not the case here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let files = env::args_os().skip(1).map(Into::into).collect();
    let sources = Sources { files, environment: Environment::from_process(), ..Sources::default() };
    let registry = Arc::new(Registry::builtin());
    let configured = load(&sources, &registry)?;
    let service = Service::bind(configured).await?.reload_from(sources, registry);
    writeln!(io::stdout(), "listening on {}", service.local_addr()?)?;
    // Answers until Ctrl-C, then fails readiness for `server.drain`, then ends.
    service.run(async { ctrl_c().await.unwrap_or_default() }).await;
    Ok(())
}
