//! The life of a service: bound to its addresses, run until it is to end, drained.

use super::{
    address_family,
    announce::Announcer,
    assemble::{aggregator_builder, answers, limits, response_memory},
    bind::{BindError, listen},
    certificate::ServerCertificate,
    drain_file,
    handle::{ServiceHandle, ShutdownRequest},
    reload::{Reloader, Running, watch_files},
    resident_thread::keep_resident_thread,
    systemd::ServiceManager,
};
use crate::{
    config::{ConfigIdentity, Configured, Environment, Settings, Sources},
    engine::DrainReason,
    http::{Control, ReloadRequests, ResponseMemory, Server, build_routes, haproxy_agent},
    kinds::Registry,
};
use arc_swap::ArcSwap;
use std::{fmt, io, net::SocketAddr, sync::Arc, thread, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{self, Handle, Runtime},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long the first response waits until it is known whether the drain file exists.
const MAX_DRAIN_FILE_WAIT: Duration = Duration::from_secs(1);

/// A service that is bound to its addresses and probes, and answers as soon as it [runs](Self::run).
///
/// Clients can connect from [`bind`](Self::bind) on; their requests wait in the kernel until [`run`](Self::run) is called.
pub struct Service {
    listener: TcpListener,
    agent_listener: Option<TcpListener>,
    server: Arc<Server>,
    handle: ServiceHandle,
    reloader: Reloader,
    reload_requests: ReloadRequests,
    components: usize,
    probe_threads: ProbeThreads,
    notified: Option<ServiceManager>,
    announced: Option<ConfigIdentity>,
}

impl Service {
    /// Binds the addresses of a configuration and starts to probe its components.
    ///
    /// Probes run on threads of the service's own, so that a check that blocks delays no response; requests are answered on the runtime that
    /// calls [`run`](Self::run). The log, by `tracing`, lists the components and the configuration's warnings.
    ///
    /// The process provides two things before: a limit of open files that is high enough for `server.max_connections`, which is lowered otherwise;
    /// and a default `rustls::crypto::CryptoProvider`, for kinds that use TLS.
    ///
    /// # Errors
    ///
    /// An address is taken or is not one of this machine, a file of `[server.tls]` cannot be used, or no threads can be started.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O or time (`enable_all`).
    pub async fn bind(configured: Configured) -> Result<Self, BindError> {
        let settings = &configured.settings.server;
        let listener = listen("server.listen", &settings.listen).await?;
        let agent_listener = match &settings.haproxy_agent {
            Some(agent) => Some(listen("server.haproxy_agent.listen", &agent.listen).await?),
            None => None,
        };
        let certificate = settings.tls.as_ref().map(ServerCertificate::load).transpose()?;
        let certificate = certificate.map(|loaded| Arc::new(ServerCertificate::new(loaded)));
        let probe_threads = ProbeThreads::start().map_err(BindError::Threads)?;
        log_checks(&configured);
        warn_of_address_family("server.listen", &listener);
        if let Some(agent) = &agent_listener {
            warn_of_address_family("server.haproxy_agent.listen", agent);
        }
        let aggregator = aggregator_builder(&configured).start_on(probe_threads.handle());
        let answers = Arc::new(ArcSwap::from_pointee(answers(&configured)));
        let memory = ResponseMemory::new(response_memory(settings));
        let (control, reload_requests) = Control::new();
        let routes = build_routes(&aggregator, Arc::clone(&answers), memory.clone(), &control);
        let tls = certificate.as_ref().map(|certificate| Arc::clone(&certificate.config));
        let server = Server::new(routes, memory.clone(), limits(&configured), tls);
        let running = Running {
            aggregator: aggregator.clone(),
            answers,
            settings: Arc::new(ArcSwap::from_pointee(configured.settings.clone())),
            server: Arc::clone(&server),
            memory,
            certificate,
            on_reload: None,
        };
        Ok(Self {
            listener,
            agent_listener,
            server,
            handle: ServiceHandle::new(aggregator, control),
            reloader: Reloader::new(running, &configured),
            reload_requests,
            components: configured.components.len(),
            probe_threads,
            notified: None,
            announced: None,
        })
    }

    /// Makes the service reloadable: a reload reads `sources` again. Without this, every reload is refused.
    #[must_use]
    pub fn reload_from(mut self, sources: Sources, registry: Arc<Registry>) -> Self {
        self.reloader.reload_from(sources, registry);
        self
    }

    /// Calls `hook` with every new configuration, immediately before it is applied, so that the application can apply its own part, such as the
    /// level of its log. The hook runs on the thread that answers, so it must not block.
    #[must_use]
    pub fn on_reload(mut self, hook: impl Fn(&Configured) + Send + Sync + 'static) -> Self {
        self.reloader.running.on_reload = Some(Box::new(hook));
        self
    }

    /// Notifies systemd (`Type=notify`) of readiness, status and shutdown, and feeds its watchdog, if `NOTIFY_SOCKET` and `WATCHDOG_USEC` of this
    /// process say so. Only for a process whose readiness is that of this service.
    #[must_use]
    pub fn notify_systemd(mut self) -> Self {
        self.notified = ServiceManager::from_environment(&Environment::from_process());
        self
    }

    /// Lets `allswell get` of the same user find this service and its address, whatever happens to its configuration files: on Linux by an
    /// abstract Unix socket, which holds no secret. `sources` are those of the configuration.
    #[must_use]
    pub fn announce(mut self, sources: &Sources) -> Self {
        self.announced = Some(ConfigIdentity::from(&sources.lookup()));
        self
    }

    /// The address that the service listens on; a configured port 0 has become a free port.
    ///
    /// # Errors
    ///
    /// The operating system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A handle that reads the report, drains, reloads and ends the service while it runs.
    #[must_use]
    pub fn handle(&self) -> ServiceHandle {
        self.handle.clone()
    }

    /// Answers requests until `shutdown` resolves or [`ServiceHandle::shut_down`] is called. It then drains: for `server.drain`, readiness fails
    /// while requests are still answered. At the end, requests in progress have `server.deadline` and a second to finish.
    ///
    /// [`ServiceHandle::stop`] ends the service without the drain. Dropping the returned future ends it at once. A handle outlives the service:
    /// its report then only becomes stale, and [`ServiceHandle::reload`] returns an error.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, agent_listener, server, handle, reloader, reload_requests, components, probe_threads, notified, announced } =
            self;
        let running = &reloader.running;
        let (aggregator, settings) = (handle.aggregator().clone(), Arc::clone(&running.settings));
        // If the file system hangs, the service starts without the answer.
        let _ = timeout(MAX_DRAIN_FILE_WAIT, drain_file::check(&aggregator, &settings)).await;
        // Ends with this future.
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_resident_thread());
        tasks.spawn(drain_file::watch(aggregator.clone(), Arc::clone(&settings)));
        if let Some(certificate) = &running.certificate {
            tasks.spawn(Arc::clone(certificate).watch());
        }
        if let Some(agent) = agent_listener {
            tracing::info!(address = address_of(&agent), "listening for HAProxy agent checks");
            tasks.spawn(haproxy_agent::serve(agent, aggregator.clone(), Arc::clone(&running.answers)));
        }
        if let Some(configuration) = announced {
            match (Announcer::bind(), listener.local_addr()) {
                (Ok(announcer), Ok(address)) => {
                    tasks.spawn(announcer.run(address, running.certificate.clone(), configuration));
                }
                (Err(error), _) | (_, Err(error)) => {
                    tracing::debug!(%error, "cannot announce the service: `allswell get` uses the address of the configuration");
                }
            }
        }
        let (file_changes, receiver) = mpsc::channel(1);
        tasks.spawn(watch_files(Arc::clone(&settings), reloader.fingerprints(), file_changes));
        tasks.spawn(reloader.run(reload_requests, receiver));
        tracing::info!(address = address_of(&listener), components, "listening");
        if let Some(manager) = &notified {
            manager.ready();
            // A report of very many components takes time to render, which responses must not wait for.
            tasks.spawn_on(manager.clone().publish_status(aggregator.clone()), probe_threads.handle());
            tasks.spawn_on(manager.clone().feed_watchdog(aggregator, Handle::current()), probe_threads.handle());
        }
        server.run(listener, drained(&handle, shutdown, &settings, notified.as_ref())).await;
        tracing::info!("ended");
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Logs the warnings of a configuration and what it checks.
fn log_checks(configured: &Configured) {
    for warning in &configured.warnings {
        tracing::warn!("{warning}");
    }
    for component in &configured.components {
        let from = configured.origins.get(&component.name).map_or("", String::as_str);
        tracing::info!(component = %component.name, kind = component.kind, critical = component.policy.critical, from, "checking");
    }
    if configured.only_host {
        tracing::warn!("ONLY THE HOST IS CHECKED: no database, cache, queue or service is configured");
    }
}

/// Logs a warning if only this machine can connect to a listener.
fn warn_of_address_family(key: &str, listener: &TcpListener) {
    if let Some(warning) = listener.local_addr().ok().and_then(|address| address_family::warning(key, address)) {
        tracing::warn!("{warning}");
    }
}

/// Resolves when the service is to end: after the drain, unless that is cut short.
async fn drained(
    handle: &ServiceHandle,
    shutdown: impl Future<Output = ()>,
    settings: &ArcSwap<Settings>,
    notified: Option<&ServiceManager>,
) {
    let request = handle.shutdown_requested(shutdown).await;
    if let Some(manager) = notified {
        manager.stopping();
    }
    if request == ShutdownRequest::Immediate {
        return;
    }
    let drain = settings.load().server.drain.0;
    tracing::info!(drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX), "shutting down: draining first");
    handle.aggregator().set_drain(DrainReason::Shutdown, true);
    tokio::select! {
        () = sleep(drain) => {}
        () = handle.stop_requested() => {}
    }
}

/// The actual address of a listener, for the log.
fn address_of(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

/// The threads that probe. A check that hangs in a blocking call does not keep the service from ending.
struct ProbeThreads {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl ProbeThreads {
    fn start() -> io::Result<Self> {
        let workers = thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
        let runtime = runtime::Builder::new_multi_thread().worker_threads(workers).thread_name("allswell-engine").enable_all().build()?;
        let handle = runtime.handle().clone();
        handle.spawn(keep_resident_thread());
        Ok(Self { runtime: Some(runtime), handle })
    }

    fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for ProbeThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
