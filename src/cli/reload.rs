//! Reloading: on SIGHUP, on `POST /admin/reload`, and when the content of a watched file has changed.
//!
//! Files are read in a thread of its own: on a mount that hangs, a reload is refused after [`LIMIT`], and nothing else waits.

use super::{
    answers, builder,
    certificate::{Certificate, Read},
    contents::{Contents, LOOK, Settling},
    limits, response_memory,
};
use crate::{
    config::{ConfigError, Configured, Settings, Sources, load},
    engine::Aggregator,
    http::{Answers, ResponseMemory, Server},
    kinds::Registry,
    report::{ConfigReport, Reload},
    telemetry::Log,
};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::{io, iter, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

/// How long a reload waits for the files.
const LIMIT: Duration = Duration::from_secs(8);
/// How many threads may hang in reading files.
const MAX_READERS: usize = 4;

/// Applies a new configuration to a running service.
pub(super) struct Reloader {
    sources: Sources,
    registry: Arc<Registry>,
    running: Running,
    /// What was bound at the start, and stays so until the end.
    bound: Arc<Settings>,
    /// What the report says.
    reported: ConfigReport,
    asked: bool,
    /// What was in the files when they were read last.
    contents: watch::Sender<Contents>,
    /// Threads that read files. On a mount that hangs they may never end.
    readers: JoinSet<Loaded>,
}

/// The parts of a running service that can change.
pub(super) struct Running {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) server: Arc<Server>,
    pub(super) memory: ResponseMemory,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) log: Arc<Log>,
}

/// What the files say.
struct Loaded {
    configured: Result<Configured, ConfigError>,
    certificate: Option<Read>,
    contents: Contents,
}

impl Reloader {
    /// For a service that runs what was `configured`.
    pub(super) fn new(sources: Sources, registry: Arc<Registry>, running: Running, configured: &Configured) -> Self {
        let reported = ConfigReport { revision: 1, loaded_at: Timestamp::now(), last_reload: None };
        running.aggregator.tell_configuration(reported.clone());
        let bound = running.settings.load_full();
        let contents = watch::Sender::new(Contents::read(configured.files.clone()));
        Self { sources, registry, running, bound, reported, asked: configured.has_configured_checks, contents, readers: JoinSet::new() }
    }

    /// Reloads whenever that is requested; never ends.
    ///
    /// # Errors
    ///
    /// When signals cannot be listened for.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<oneshot::Sender<Reload>>) -> io::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let (changed, mut file_changes) = mpsc::channel(1);
        tokio::spawn(watch_files(Arc::clone(&self.running.settings), self.contents.subscribe(), changed));
        loop {
            let asker = tokio::select! {
                _ = hang_up.recv() => None,
                Some(asker) = requests.recv() => Some(asker),
                Some(()) = file_changes.recv() => None,
                // Files that could not be read in time can be read now: the reload that asked for it is not lost.
                Some(_) = self.readers.join_next() => None,
            };
            // All requests that came before the files are read get the same answer.
            let mut askers: Vec<_> = asker.into_iter().chain(iter::from_fn(|| requests.try_recv().ok())).collect();
            let reload = self.reload().await;
            if !self.readers.is_empty() {
                // And so do those that came while they could not be read: they need not wait as long again.
                askers.extend(iter::from_fn(|| requests.try_recv().ok()));
            }
            for asker in askers {
                // The client may have gone away.
                let _ = asker.send(reload.clone());
            }
        }
    }

    async fn reload(&mut self) -> Reload {
        let reload = match self.load().await {
            Err(hangs) => self.refused(vec![hangs]),
            Ok(Loaded { configured: Ok(configured), .. }) if self.asked && !configured.has_configured_checks => {
                self.refused(vec!["there were checks, and there are none any more; restart to run without".to_owned()])
            }
            Ok(Loaded { configured: Ok(configured), certificate, .. }) => self.apply(configured, certificate).await,
            Ok(Loaded { configured: Err(error), .. }) => self.refused(error.problems.iter().map(ToString::to_string).collect()),
        };
        self.reported.last_reload = Some(reload.clone());
        self.running.aggregator.tell_configuration(self.reported.clone());
        reload
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Why they are not known: a mount seems to hang.
    async fn load(&mut self) -> Result<Loaded, String> {
        if self.readers.len() >= MAX_READERS {
            return Err(format!("{MAX_READERS} earlier reloads still wait for their files: a file system hangs"));
        }
        let (sources, registry, known) = (self.sources.clone(), Arc::clone(&self.registry), self.contents.borrow().clone());
        let reader = self.readers.spawn_blocking(move || read(&sources, &registry, &known)).id();
        let own = async {
            loop {
                match self.readers.join_next_with_id().await {
                    Some(Ok((id, loaded))) if id == reader => return Some(loaded),
                    // An earlier one, that has read what is old by now.
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        match timeout(LIMIT, own).await {
            Ok(Some(loaded)) => {
                self.contents.send_replace(loaded.contents.clone());
                Ok(loaded)
            }
            Ok(None) => Err("the configuration could not be read".to_owned()),
            Err(_) => Err(format!(
                "the files cannot be read within {}s: a file system may hang; the reload is repeated as soon as they can be read",
                LIMIT.as_secs()
            )),
        }
    }

    fn refused(&self, problems: Vec<String>) -> Reload {
        for problem in &problems {
            tracing::error!("the new configuration: {problem}");
        }
        let revision = self.reported.revision;
        tracing::error!(revision, problems = problems.len(), "the new configuration is refused; the old one stays in force");
        Reload { at: Timestamp::now(), problems, needs_restart: Vec::new() }
    }

    async fn apply(&mut self, configured: Configured, certificate: Option<Read>) -> Reload {
        let (running, bound, settings) = (&self.running, &self.bound, &configured.settings);
        let fixed = [
            ("server.listen", bound.server.listen != settings.server.listen),
            ("server.haproxy_agent", bound.server.haproxy_agent != settings.server.haproxy_agent),
            ("server.tls", bound.server.tls.is_some() != settings.server.tls.is_some()),
            ("log.format", bound.log.format != settings.log.format),
        ];
        let needs_restart: Vec<String> = fixed.iter().filter(|(_, changed)| *changed).map(|(key, _)| (*key).to_owned()).collect();
        running.log.apply(&settings.log, &self.sources.environment, configured.redactor.clone());
        running.answers.store(Arc::new(answers(&configured)));
        if let (Some(certificate), Some(read)) = (&running.certificate, certificate) {
            certificate.replace(read);
        }
        running.server.set_limits(limits(&configured));
        running.memory.set_limit(response_memory(&settings.server));
        running.settings.store(Arc::new(settings.clone()));
        self.asked = configured.has_configured_checks;
        self.reported = ConfigReport { revision: self.reported.revision + 1, loaded_at: Timestamp::now(), last_reload: None };
        for warning in &configured.warnings {
            tracing::warn!("{warning}");
        }
        for key in &needs_restart {
            tracing::warn!("{key} changed; this takes a restart");
        }
        let (components, aggregator) = (configured.components.len(), running.aggregator.clone());
        // With very many checks this takes its time, which is not the answers'. It fails only where the runtime is about to end.
        let _ = spawn_blocking(move || aggregator.replace(builder(&configured))).await;
        tracing::info!(revision = self.reported.revision, components, "the new configuration is applied");
        Reload { at: Timestamp::now(), problems: Vec::new(), needs_restart }
    }
}

fn read(sources: &Sources, registry: &Registry, known: &Contents) -> Loaded {
    // Before they are read for good: what changes in between is found by the next look.
    let before = Contents::read(known.files());
    let configured = load(sources, registry);
    let files = match &configured {
        Ok(configured) => configured.files.clone(),
        // As soon as one of the old files or of the new ones is another, it is worth a try.
        Err(error) => known.files().into_iter().chain(error.files.iter().cloned()).collect(),
    };
    let certificate = configured.as_ref().ok().and_then(|configured| Certificate::read(configured.settings.server.tls.as_ref()?).ok());
    Loaded { configured, certificate, contents: before.of(files) }
}

/// Looks whether the files have other contents than those in force, where that is configured; ends with the service.
async fn watch_files(settings: Arc<ArcSwap<Settings>>, in_force: watch::Receiver<Contents>, changed: mpsc::Sender<()>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut settling = Settling::default();
    loop {
        looks.tick().await;
        if !settings.load().server.watch_config {
            continue;
        }
        let known = in_force.borrow().clone();
        // On a mount that hangs the next look waits, and nobody else.
        let now = known.read_again().await;
        if settling.is_new(now, &known) && changed.send(()).await.is_err() {
            return;
        }
    }
}
