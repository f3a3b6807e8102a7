//! `allswell serve`: runs the service.

use super::{error::CommandError, exit::Exit, signals::StartSignals, terminal::stderr_is_terminal};
use crate::{
    config::{Configured, Override, Sources, load},
    kinds::Registry,
    service::Service,
    telemetry::{self, Log},
};
use clap::Args;
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
    /// Runs the service, which handles `signals` already.
    pub(super) fn run(self, mut sources: Sources, registry: Arc<Registry>, signals: StartSignals) -> Result<Exit, CommandError> {
        if let Some(listen) = self.listen {
            sources.overrides.push(Override { flag: "--listen", key: vec!["server".to_owned(), "listen".to_owned()], value: listen });
        }
        let configured = load(&sources, &registry)?;
        let settings = &configured.settings.log;
        let log = telemetry::install(settings, &sources.environment, configured.redactor.clone(), stderr_is_terminal());
        // One thread answers; the service has others for its probes.
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
        let ended = runtime.block_on(serve(configured, sources, registry, log, signals));
        // A thread that hangs while it reads a file does not keep the process from ending.
        runtime.shutdown_background();
        ended
    }
}

async fn serve(
    configured: Configured,
    sources: Sources,
    registry: Arc<Registry>,
    log: Log,
    signals: StartSignals,
) -> Result<Exit, CommandError> {
    let environment = sources.environment.clone();
    let log = Arc::new(log);
    let reloaded_log = Arc::clone(&log);
    // Before the first probe: a process that ends in the middle of one may leave its file behind.
    let mut signals = signals.into_running().map_err(CommandError::Signals)?;
    let service = tokio::select! {
        // The address may be a name, and the resolver silent.
        () = signals.end() => return Ok(Exit::Done),
        service = Service::bind(configured) => service?,
    };
    let service = service.announce(&sources).reload_from(sources, registry).on_reload(move |configured| {
        reloaded_log.apply(&configured.settings.log, &environment, configured.redactor.clone());
    });
    let service = service.notify_systemd();
    tokio::spawn(signals.forward(service.handle()));
    service.run(future::pending()).await;
    drop(log);
    Ok(Exit::Done)
}
