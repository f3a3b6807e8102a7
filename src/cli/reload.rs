//! Reloading: on SIGHUP, on `POST /admin/reload`, and when a watched file's content has changed.

use super::{answers, builder, certificate::Certificate, limits};
use crate::{
    config::{Configured, Settings, Sources, load},
    engine::Aggregator,
    http::{Answers, Server},
    registry::Registry,
    report::{ConfigReport, Reload},
    telemetry::Log,
};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// How often watched files are looked at. They are read, not watched by the kernel: that misses links that are swapped and files on networks.
const LOOK: Duration = Duration::from_secs(1);

/// Who applies a new configuration, and to what.
pub(super) struct Reloader {
    pub(super) sources: Sources,
    pub(super) registry: Arc<Registry>,
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) server: Arc<Server>,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) log: Arc<Log>,
    /// What the report says.
    told: ConfigReport,
    asked: bool,
    files: Vec<PathBuf>,
}

/// The parts of a running service that can change.
pub(super) struct Running {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) server: Arc<Server>,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) log: Arc<Log>,
}

impl Reloader {
    /// For a service that runs what was `configured`.
    pub(super) fn new(sources: Sources, registry: Arc<Registry>, running: Running, configured: &Configured) -> Self {
        let Running { aggregator, answers, settings, server, certificate, log } = running;
        let told = ConfigReport { revision: 1, loaded_at: Timestamp::now(), last_reload: None };
        aggregator.tell_configuration(told.clone());
        let (asked, files) = (configured.asked, configured.files.clone());
        Self { sources, registry, aggregator, answers, settings, server, certificate, log, told, asked, files }
    }

    /// Reloads whenever it is asked to; never ends.
    ///
    /// # Errors
    ///
    /// When signals cannot be listened for.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<oneshot::Sender<Reload>>) -> io::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut applied = contents(self.files.clone()).await;
        let mut seen = applied.clone();
        loop {
            let asker = tokio::select! {
                _ = hang_up.recv() => None,
                Some(asker) = requests.recv() => Some(asker),
                _ = looks.tick(), if self.settings.load().server.watch_config => {
                    let now = contents(self.files.clone()).await;
                    // Settled: the same twice, so that half a file is not read as a whole one.
                    let settled = now == seen;
                    seen = now;
                    if !settled || seen == applied {
                        continue;
                    }
                    None
                }
            };
            let reload = self.reload().await;
            applied = contents(self.files.clone()).await;
            seen.clone_from(&applied);
            if let Some(asker) = asker {
                // Who asked may have gone away.
                let _ = asker.send(reload);
            }
        }
    }

    async fn reload(&mut self) -> Reload {
        let (sources, registry) = (self.sources.clone(), Arc::clone(&self.registry));
        // Files may be on a mount that hangs; answers must not wait for them.
        let loaded = spawn_blocking(move || load(&sources, &registry)).await;
        let reload = match loaded {
            Ok(Ok(configured)) if self.asked && !configured.asked => {
                self.refused(vec!["there were checks, and there are none any more; restart to run without".to_owned()])
            }
            Ok(Ok(configured)) => self.apply(&configured),
            Ok(Err(error)) => self.refused(error.problems.iter().map(ToString::to_string).collect()),
            Err(_) => self.refused(vec!["the configuration could not be read".to_owned()]),
        };
        self.told.last_reload = Some(reload.clone());
        self.aggregator.tell_configuration(self.told.clone());
        reload
    }

    fn refused(&self, problems: Vec<String>) -> Reload {
        for problem in &problems {
            tracing::error!("configuration: {problem}");
        }
        tracing::error!(revision = self.told.revision, problems = problems.len(), "the new configuration is refused; the old one goes on");
        Reload { at: Timestamp::now(), problems, needs_restart: Vec::new() }
    }

    fn apply(&mut self, configured: &Configured) -> Reload {
        let before = self.settings.load_full();
        let settings = &configured.settings;
        let fixed = [
            ("server.listen", before.server.listen != settings.server.listen),
            ("server.haproxy_agent", before.server.haproxy_agent != settings.server.haproxy_agent),
            ("server.tls", before.server.tls.is_some() != settings.server.tls.is_some()),
            ("log.format", before.log.format != settings.log.format),
        ];
        let needs_restart: Vec<String> = fixed.iter().filter(|(_, changed)| *changed).map(|(key, _)| (*key).to_owned()).collect();
        self.log.apply(&settings.log, &self.sources.environment, configured.redactor.clone());
        self.answers.store(Arc::new(answers(configured)));
        if let (Some(certificate), Some(tls)) = (&self.certificate, &settings.server.tls) {
            certificate.replace(tls);
        }
        self.server.set_limits(limits(&settings.server));
        self.aggregator.replace(builder(configured));
        self.settings.store(Arc::new(settings.clone()));
        self.asked = configured.asked;
        self.files.clone_from(&configured.files);
        self.told = ConfigReport { revision: self.told.revision + 1, loaded_at: Timestamp::now(), last_reload: None };
        for warning in &configured.warnings {
            tracing::warn!("{warning}");
        }
        for key in &needs_restart {
            tracing::warn!("{key} changed; this takes a restart");
        }
        tracing::info!(revision = self.told.revision, components = configured.components.len(), "the new configuration is applied");
        Reload { at: Timestamp::now(), problems: Vec::new(), needs_restart }
    }
}

/// What is in the files now; a file that cannot be read has no content.
async fn contents(files: Vec<PathBuf>) -> Vec<Option<Vec<u8>>> {
    let read = |path: &Path| fs::read(path).ok();
    spawn_blocking(move || files.iter().map(|path| read(path)).collect()).await.unwrap_or_default()
}
