//! `allswell serve`: runs the service.

use super::{error::CommandError, exit::Exit, signals::Signals, terminal::stderr_is_terminal};
use crate::{
    config::{Configured, Override, Sources, load},
    kinds::Registry,
    service::Service,
    telemetry::{self, Log},
};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{future, sync::Arc};
use tokio::runtime;

/// The arguments of `serve`.
#[derive(Debug, Default, Args)]
pub(super) struct Serve {
    /// Address and port to listen on, such as 127.0.0.1:8080 [default: server.listen of the configuration]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Serve {
    pub(super) fn run(self, mut sources: Sources, registry: Arc<Registry>) -> Result<Exit, CommandError> {
        if let Some(listen) = self.listen {
            sources.overrides.push(Override { flag: "--listen", key: vec!["server".to_owned(), "listen".to_owned()], value: listen });
        }
        let configured = load(&sources, &registry)?;
        raise_descriptor_limit();
        let settings = &configured.settings.log;
        let log = telemetry::install(settings, &sources.environment, configured.redactor.clone(), stderr_is_terminal());
        // One thread answers; the service has others for its probes.
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
        let ended = runtime.block_on(serve(configured, sources, registry, log));
        // A thread that hangs while it reads a file does not keep the process from ending.
        runtime.shutdown_background();
        ended
    }
}

async fn serve(configured: Configured, sources: Sources, registry: Arc<Registry>, log: Log) -> Result<Exit, CommandError> {
    let environment = sources.environment.clone();
    let has_systemd = environment.get("NOTIFY_SOCKET").is_some();
    let log = Arc::new(log);
    let reloaded_log = Arc::clone(&log);
    let service = Service::bind(configured).await?.announce(&sources).reload_from(sources, registry).on_reload(move |configured| {
        reloaded_log.apply(&configured.settings.log, &environment, configured.redactor.clone());
    });
    let service = if has_systemd { service.notify_systemd() } else { service };
    // Before the service reports that it listens, so that a signal that follows is handled.
    let signals = Signals::install().map_err(CommandError::Signals)?;
    tokio::spawn(signals.forward(service.handle()));
    service.run(future::pending()).await;
    drop(log);
    Ok(Exit::Done)
}

/// Raises the soft limit of open files to the hard limit: it is often 1,024, too few for many connections and backends.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If the limit cannot be raised, the service lowers `server.max_connections` to fit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
