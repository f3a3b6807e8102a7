//! Reloads the configuration: when a [`ServiceHandle`](super::ServiceHandle) or `POST /admin/reload` requests it, and when the content of a
//! watched file has changed.
//!
//! A thread of its own reads the files. If the file system hangs, the reload is refused after [`READ_TIMEOUT`], and nothing else waits.

use super::{
    assemble::{aggregator_builder, answers, limits, response_memory},
    certificate::{LoadedCertificate, ServerCertificate},
    file_fingerprints::{ChangeDetector, FileFingerprints, READ_INTERVAL},
};
use crate::{
    config::{ConfigError, Configured, Settings, Sources, load},
    engine::Aggregator,
    http::{Answers, ReloadRequests, ResponseMemory, Server},
    kinds::Registry,
    report::{ConfigReport, Reload},
};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::{iter, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

/// How long a reload waits for the files.
const READ_TIMEOUT: Duration = Duration::from_secs(8);
/// The most threads that may hang while they read files.
const MAX_READERS: usize = 4;

/// Applies a new configuration to a running service.
pub(super) struct Reloader {
    /// `None`: there is nothing to reload from.
    origin: Option<ReloadSource>,
    pub(super) running: Running,
    /// The settings at the start; what was bound with them stays bound until the end.
    bound: Arc<Settings>,
    /// The part of the report about the configuration.
    reported: ConfigReport,
    /// Whether the configuration in force names its checks. If not, they were discovered.
    has_configured_checks: bool,
    /// The content of the files when they were last read.
    fingerprints: watch::Sender<FileFingerprints>,
    /// Threads that read files. If the file system hangs, they may never end.
    readers: JoinSet<Loaded>,
}

/// Where the configuration comes from.
#[derive(Clone)]
struct ReloadSource {
    sources: Sources,
    registry: Arc<Registry>,
}

/// The parts of a running service that a reload changes.
pub(super) struct Running {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) server: Arc<Server>,
    pub(super) memory: ResponseMemory,
    pub(super) certificate: Option<Arc<ServerCertificate>>,
    /// What the owner of the service does with a new configuration.
    pub(super) on_reload: Option<ReloadHook>,
}

/// Is called with each new configuration before it is applied.
pub(super) type ReloadHook = Box<dyn Fn(&Configured) + Send + Sync>;

/// The content of the files.
struct Loaded {
    configured: Result<Configured, ConfigError>,
    certificate: Option<LoadedCertificate>,
    fingerprints: FileFingerprints,
}

/// Why a reload was refused before there was a configuration to examine.
#[derive(Debug, Error)]
enum ReloadRefusal {
    #[error("the service was started without configuration files, so there is nothing to reload")]
    NoOrigin,
    #[error("{MAX_READERS} earlier reloads still wait for their files: a file system hangs")]
    TooManyReaders,
    #[error(
        "the files could not be read within {}s: a file system may hang; the reload is repeated as soon as they can be read",
        READ_TIMEOUT.as_secs()
    )]
    Timeout,
    #[error("the configuration could not be read")]
    ReaderLost,
    #[error("it has no checks: if that is intended, restart the service")]
    NoChecks,
}

impl Reloader {
    /// A reloader for a service that runs `configured`.
    pub(super) fn new(running: Running, configured: &Configured) -> Self {
        let reported = ConfigReport { revision: 1, loaded_at: Timestamp::now(), last_reload: None };
        running.aggregator.set_configuration(reported.clone());
        Self {
            origin: None,
            bound: running.settings.load_full(),
            running,
            reported,
            has_configured_checks: configured.has_configured_checks,
            fingerprints: watch::Sender::new(FileFingerprints::read(configured.files.clone())),
            readers: JoinSet::new(),
        }
    }

    /// Reads these sources at a reload.
    pub(super) fn reload_from(&mut self, sources: Sources, registry: Arc<Registry>) {
        self.origin = Some(ReloadSource { sources, registry });
    }

    /// The content of the files that is in force, now and after each reload.
    pub(super) fn fingerprints(&self) -> watch::Receiver<FileFingerprints> {
        self.fingerprints.subscribe()
    }

    /// Reloads at every request and whenever a watched file has changed; never ends.
    pub(super) async fn run(mut self, mut requests: ReloadRequests, mut file_changes: mpsc::Receiver<()>) {
        loop {
            let requester = tokio::select! {
                Some(requester) = requests.recv() => Some(requester),
                Some(()) = file_changes.recv() => None,
                // Files that could not be read in time can be read now: the reload that was requested then is repeated.
                Some(_) = self.readers.join_next() => None,
                else => return,
            };
            // One reload answers all requests that arrived before the files are read.
            let mut requesters: Vec<_> = requester.into_iter().chain(iter::from_fn(|| requests.try_recv().ok())).collect();
            let reload = self.reload().await;
            if !self.readers.is_empty() {
                // It also answers those that arrived while the files could not be read, so that they need not wait as long again.
                requesters.extend(iter::from_fn(|| requests.try_recv().ok()));
            }
            for requester in requesters {
                // The requester may have gone away.
                let _ = requester.send(reload.clone());
            }
        }
    }

    async fn reload(&mut self) -> Reload {
        let reload = match self.load().await {
            Err(refusal) => self.refuse(vec![refusal.to_string()]),
            Ok(Loaded { configured: Ok(configured), .. }) if self.has_configured_checks && !configured.has_configured_checks => {
                self.refuse(vec![ReloadRefusal::NoChecks.to_string()])
            }
            Ok(Loaded { configured: Ok(configured), certificate, .. }) => self.apply(configured, certificate).await,
            Ok(Loaded { configured: Err(error), .. }) => self.refuse(error.problems.iter().map(ToString::to_string).collect()),
        };
        self.reported.last_reload = Some(reload.clone());
        self.running.aggregator.set_configuration(self.reported.clone());
        reload
    }

    /// Reads the files.
    async fn load(&mut self) -> Result<Loaded, ReloadRefusal> {
        let origin = self.origin.clone().ok_or(ReloadRefusal::NoOrigin)?;
        if self.readers.len() >= MAX_READERS {
            return Err(ReloadRefusal::TooManyReaders);
        }
        let known = self.fingerprints.borrow().clone();
        let reader = self.readers.spawn_blocking(move || read(&origin, &known)).id();
        let result = async {
            loop {
                match self.readers.join_next_with_id().await {
                    Some(Ok((id, loaded))) if id == reader => return Some(loaded),
                    // An earlier reader, whose result is outdated by now.
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        match timeout(READ_TIMEOUT, result).await {
            Ok(Some(loaded)) => {
                self.fingerprints.send_replace(loaded.fingerprints.clone());
                Ok(loaded)
            }
            Ok(None) => Err(ReloadRefusal::ReaderLost),
            Err(_) => Err(ReloadRefusal::Timeout),
        }
    }

    fn refuse(&self, problems: Vec<String>) -> Reload {
        for problem in &problems {
            tracing::error!("the new configuration: {problem}");
        }
        let revision = self.reported.revision;
        tracing::error!(revision, problems = problems.len(), "the new configuration is refused; the old one stays in force");
        Reload { at: Timestamp::now(), problems, needs_restart: Vec::new() }
    }

    async fn apply(&mut self, configured: Configured, certificate: Option<LoadedCertificate>) -> Reload {
        let (running, bound, settings) = (&self.running, &self.bound, &configured.settings);
        let fixed = [
            ("server.listen", bound.server.listen != settings.server.listen),
            ("server.haproxy_agent", bound.server.haproxy_agent != settings.server.haproxy_agent),
            ("server.tls", bound.server.tls.is_some() != settings.server.tls.is_some()),
            ("log.format", bound.log.format != settings.log.format),
        ];
        let needs_restart: Vec<String> = fixed.iter().filter(|(_, changed)| *changed).map(|(key, _)| (*key).to_owned()).collect();
        // First, so that a log redacts the new secrets before it mentions anything new.
        if let Some(on_reload) = &running.on_reload {
            on_reload(&configured);
        }
        running.answers.store(Arc::new(answers(&configured)));
        if let (Some(certificate), Some(loaded)) = (&running.certificate, certificate) {
            certificate.replace(loaded);
        }
        running.server.set_limits(limits(&configured));
        running.memory.set_limit(response_memory(&settings.server));
        running.settings.store(Arc::new(settings.clone()));
        self.has_configured_checks = configured.has_configured_checks;
        self.reported = ConfigReport { revision: self.reported.revision + 1, loaded_at: Timestamp::now(), last_reload: None };
        for warning in &configured.warnings {
            tracing::warn!("{warning}");
        }
        for key in &needs_restart {
            tracing::warn!("{key} changed; restart to apply it");
        }
        let (components, aggregator) = (configured.components.len(), running.aggregator.clone());
        // With very many checks this takes a while, which must not delay responses. It fails only while the runtime shuts down.
        let _ = spawn_blocking(move || aggregator.replace(aggregator_builder(&configured))).await;
        tracing::info!(revision = self.reported.revision, components, "the new configuration is applied");
        Reload { at: Timestamp::now(), problems: Vec::new(), needs_restart }
    }
}

fn read(origin: &ReloadSource, known: &FileFingerprints) -> Loaded {
    // Fingerprints first: a change between the two reads is detected later.
    let before = FileFingerprints::read(known.files());
    let configured = load(&origin.sources, &origin.registry);
    let files = match &configured {
        Ok(configured) => configured.files.clone(),
        // The reload is tried again as soon as an old file or a new one changes.
        Err(error) => known.files().into_iter().chain(error.files.iter().cloned()).collect(),
    };
    let certificate =
        configured.as_ref().ok().and_then(|configured| ServerCertificate::load(configured.settings.server.tls.as_ref()?).ok());
    Loaded { configured, certificate, fingerprints: before.with_files(files) }
}

/// With `server.watch_config`, sends a message whenever the content of the files has changed; ends with the receiver.
pub(super) async fn watch_files(settings: Arc<ArcSwap<Settings>>, in_force: watch::Receiver<FileFingerprints>, changes: mpsc::Sender<()>) {
    let mut ticks = interval(READ_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut detector = ChangeDetector::default();
    loop {
        ticks.tick().await;
        if !settings.load().server.watch_config {
            continue;
        }
        let known = in_force.borrow().clone();
        // If the file system hangs, only the next tick waits.
        let now = known.read_again().await;
        if detector.has_changed(now, &known) && changes.send(()).await.is_err() {
            return;
        }
    }
}
