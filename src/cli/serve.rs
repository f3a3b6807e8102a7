//! `allswell serve`: the service.

use super::{
    DONE, NOT_WELL, USAGE, answers, begun, builder,
    certificate::Certificate,
    complain, configured, drain, limits,
    reload::{Reloader, Running},
    response_memory, systemd,
};
use crate::{
    config::{Configured, Override, Settings, Sources},
    engine::{Aggregator, Drainer},
    http::{Control, ResponseMemory, Server, haproxy_agent, service},
    kinds::Registry,
    telemetry::{self, Log},
};
use arc_swap::ArcSwap;
use clap::Args;
use futures_util::FutureExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use std::{
    io::{self, IsTerminal},
    pin::pin,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    runtime::{self, Handle, Runtime},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

/// The arguments of `serve`.
#[derive(Debug, Default, Args)]
pub(super) struct Serve {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Serve {
    pub(super) fn run(self, mut sources: Sources, registry: Arc<Registry>) -> u8 {
        if let Some(listen) = self.listen {
            sources.overrides.push(Override { flag: "--listen", key: vec!["server".to_owned(), "listen".to_owned()], value: listen });
        }
        let configured = match configured(&sources, &registry) {
            Ok(configured) => configured,
            Err(code) => return code,
        };
        raise_descriptor_limit();
        let settings = &configured.settings.log;
        let log = telemetry::install(settings, &sources.environment, configured.redactor.clone(), io::stderr().is_terminal());
        let log = Arc::new(log);
        let code = match begun(runtimes()) {
            Ok((engine, http)) => {
                let code = http.block_on(serve(sources, registry, configured, &engine, Arc::clone(&log)));
                // A check that hangs in a blocking call must not keep us: its thread ends with the process.
                engine.shutdown_background();
                http.shutdown_background();
                code
            }
            Err(code) => code,
        };
        drop(log);
        code
    }
}

/// Takes as many descriptors as we may have: the soft limit is often 1,024, and one for each connection and backend adds up to more.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, connections are closed earlier than configured.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The engine's runtime, and the one that answers: a check that blocks can make probes late, but not answers.
fn runtimes() -> io::Result<(Runtime, Runtime)> {
    let workers = thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
    let engine = runtime::Builder::new_multi_thread().worker_threads(workers).thread_name("allswell-engine").enable_all().build()?;
    let http = runtime::Builder::new_current_thread().enable_all().build()?;
    Ok((engine, http))
}

async fn serve(sources: Sources, registry: Arc<Registry>, configured: Configured, engine: &Runtime, log: Arc<Log>) -> u8 {
    let settings = &configured.settings.server;
    let Some(listener) = listen("server.listen", &settings.listen).await else { return NOT_WELL };
    let agent = match &settings.haproxy_agent {
        Some(agent) => match listen("server.haproxy_agent.listen", &agent.listen).await {
            Some(agent) => Some(agent),
            None => return NOT_WELL,
        },
        None => None,
    };
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
    let aggregator = builder(&configured).start_on(engine.handle());
    let current = Arc::new(ArcSwap::from_pointee(configured.settings.clone()));
    let answers = Arc::new(ArcSwap::from_pointee(answers(&configured)));
    let certificate = match settings.tls.as_ref().map(Certificate::read).transpose() {
        Ok(read) => read.map(|read| Arc::new(Certificate::new(read))),
        // It could be used when the configuration was read.
        Err(unusable) => {
            complain(&format!("error: server.tls.{}: {}", unusable.key, unusable.message));
            return USAGE;
        }
    };
    let tls = certificate.as_ref().map(|certificate| Arc::clone(&certificate.config));
    let (control, asked) = Control::new();
    let memory = ResponseMemory::new(response_memory(settings));
    let service = service(&aggregator, Arc::clone(&answers), memory.clone(), &control);
    let server = Server::new(service, memory.clone(), limits(&configured), tls);
    let agent_answers = Arc::clone(&answers);
    let running = Running {
        aggregator: aggregator.clone(),
        answers,
        settings: Arc::clone(&current),
        server: Arc::clone(&server),
        memory,
        certificate: certificate.clone(),
        log,
    };
    let systemd_listens = sources.environment.get("NOTIFY_SOCKET").is_some();
    let reloader = Reloader::new(sources, registry, running, &configured);
    // With very many checks it is large, and nobody reads it any more.
    let components = configured.components.len();
    drop(configured);
    // Before anybody is told that we listen: a signal that comes then must find us ready.
    let end = match end(&aggregator, Arc::clone(&current)) {
        Ok(end) => end,
        Err(error) => {
            complain(&format!("error: cannot listen for signals: {error}"));
            return NOT_WELL;
        }
    };
    let mut reloading = pin!(reloader.run(asked));
    // Polled once, it listens for its signal, too.
    let _ = reloading.as_mut().now_or_never();
    // On a mount that hangs it is answered without knowing.
    let _ = timeout(FIRST_LOOK, drain::look(&aggregator, &current)).await;
    tokio::spawn(drain::follow(aggregator.clone(), Arc::clone(&current)));
    if let Some(certificate) = certificate {
        tokio::spawn(certificate.keep_fresh());
    }
    if let Some(agent) = agent {
        tracing::info!(address = shown(&agent), "listening for HAProxy's agent-check");
        tokio::spawn(haproxy_agent::serve(agent, aggregator.clone(), agent_answers));
    }
    tracing::info!(address = shown(&listener), components, "listening");
    systemd::ready();
    if systemd_listens {
        // A report of very many components takes its time, which is not the answers'.
        engine.spawn(systemd::tell_status(aggregator.clone()));
    }
    engine.spawn(systemd::feed_watchdog(aggregator.clone(), Handle::current()));
    tokio::select! {
        () = server.run(listener, end) => {
            tracing::info!("ended");
            DONE
        }
        Err(error) = reloading => {
            complain(&format!("error: cannot listen for signals: {error}"));
            NOT_WELL
        }
    }
}

/// How long the first answer waits for what is known of the drain file.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Listens, or complains that it cannot.
async fn listen(key: &str, address: &str) -> Option<TcpListener> {
    match bind(address).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            let hint = match (error.kind(), key) {
                (io::ErrorKind::AddrInUse, "server.listen") => ": another program listens there; choose another address by --listen",
                (io::ErrorKind::AddrInUse, _) => ": another program listens there",
                _ => "",
            };
            complain(&format!("error: {key}: cannot listen on {address}: {error}{hint}"));
            None
        }
    }
}

/// How many connections may wait to be accepted; the kernel takes as many of it as `net.core.somaxconn` allows. Where they are too many, the
/// next one, a balancer's poll perhaps, is answered after its client has tried again: a second later.
const BACKLOG: u32 = 65_535;

/// How many bytes of an answer the kernel keeps unsent for a connection. So an answer that a client does not read takes little of the memory
/// that its sender is charged for, however large it is.
const MAX_UNSENT: u32 = 16 * 1024;

/// Listens at the first of a name's addresses that can be had.
async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host(address).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // What was there before may linger.
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit both. Answers are one small write: waiting for more to send would only delay them.
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_notsent_lowat(MAX_UNSENT)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where it really listens: a port 0 has become another.
fn shown(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

/// Done when the service is to end: at once on SIGINT, after draining on SIGTERM, at once on a second signal of either sort.
fn end(aggregator: &Aggregator, settings: Arc<ArcSwap<Settings>>) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let at_once = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => false,
        };
        systemd::stopping();
        if at_once {
            return;
        }
        let drain = settings.load().server.drain.0;
        tracing::info!(drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX), "told to end");
        aggregator.want_drain(Drainer::End, true);
        tokio::select! {
            () = sleep(drain) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
