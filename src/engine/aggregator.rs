//! The handle to the engine: read its report, ask for fresh probes, drain it.

#[cfg(feature = "cli")]
use super::board::Holds;
use super::{
    board::{Board, Made},
    builder::Builder,
    drain::{Drain, Drainer},
    pulse::Pulse,
    sampler,
    supervisor::supervise,
};
use crate::{
    component::{CheckName, Component},
    report::{Circumstances, ComponentReport, ConfigReport, Report, View},
};
use allswell_checks::contract::Redactor;
use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

/// From this silence on, the engine counts as dead: `/livez` fails.
const DEAD: Duration = Duration::from_secs(5);

/// Fresh probes are called for at most this often.
const FRESH: Duration = Duration::from_secs(1);

/// Probes components in the background and tells from memory how they are. Clones are handles to the same engine, which ends with the last.
#[derive(Clone)]
pub struct Aggregator(Arc<Inner>);

struct Inner {
    board: ArcSwap<Board>,
    /// Tells the supervisor of the next board.
    boards: watch::Sender<Arc<Board>>,
    pulse: Arc<Pulse>,
    drain: Drain,
    configuration: ArcSwapOption<ConfigReport>,
    rounds: watch::Sender<u64>,
    /// When fresh probes were called for last.
    fresh: Mutex<Option<Instant>>,
    engine: Mutex<Option<AbortHandle>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.get_mut().unwrap_or_else(PoisonError::into_inner) {
            engine.abort();
        }
    }
}

impl Aggregator {
    /// Begins with nothing to check.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(board: Board, redactor: Redactor) -> Self {
        let board = Arc::new(board);
        let pulse = Pulse::default();
        pulse.set_redactor(redactor);
        Self(Arc::new(Inner {
            board: ArcSwap::new(Arc::clone(&board)),
            boards: watch::channel(board).0,
            pulse: Arc::new(pulse),
            drain: Drain::default(),
            configuration: ArcSwapOption::empty(),
            rounds: watch::channel(0).0,
            fresh: Mutex::new(None),
            engine: Mutex::new(None),
        }))
    }

    /// Begins to probe.
    fn start_on(&self, runtime: &Handle, seed: u64) {
        let inner = &self.0;
        let engine = runtime.spawn(supervise(inner.boards.subscribe(), Arc::clone(&inner.pulse), inner.rounds.subscribe(), seed));
        *inner.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.abort_handle());
    }

    /// Goes on with other components, groups and service. What is configured just as before keeps its state, its connection and its history.
    pub fn replace(&self, builder: Builder) {
        let inner = &self.0;
        let (board, redactor) = builder.into_board(Some(&inner.board.load()));
        let board = Arc::new(board);
        inner.pulse.set_redactor(redactor);
        inner.pulse.history.retain(|name| board.of(&View::Component(name.clone())).is_some());
        inner.board.store(Arc::clone(&board));
        inner.boards.send_replace(board);
        inner.pulse.bump();
    }

    /// Says in the report which configuration this is, and how the last reload went.
    pub fn tell_configuration(&self, configuration: ConfigReport) {
        self.0.configuration.store(Some(Arc::new(configuration)));
        self.0.pulse.bump();
    }

    /// The report on everything: a read of memory, at any time.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        let whole = self.report_on(&View::Whole);
        // Every board has this view.
        whole.unwrap_or_else(|| Arc::new(Report::new(&View::Whole, BTreeMap::new(), self.circumstances())))
    }

    /// The report on a view; `None` when there is no such group or component.
    #[must_use]
    pub fn report_on(&self, view: &View) -> Option<Arc<Report>> {
        self.made(view).map(|made| Arc::clone(&made.report))
    }

    /// The same, with what it was made of.
    pub(crate) fn made(&self, view: &View) -> Option<Arc<Made>> {
        self.0.board.load().report(view, &self.0.pulse, || self.circumstances())
    }

    /// Whether a report still tells the truth.
    #[cfg(feature = "cli")]
    pub(crate) fn holds(&self, made: &Made) -> Holds {
        made.holds(&self.0.pulse)
    }

    fn circumstances(&self) -> Circumstances {
        let board = self.0.board.load();
        Circumstances {
            service: Arc::clone(&board.service),
            generated_at: Timestamp::now(),
            draining: self.is_draining(),
            alive: self.is_alive(),
            only_host: board.only_host,
            configuration: self.0.configuration.load_full(),
            changes: self.0.pulse.history.changes(),
            since: self.0.pulse.standing.since(board.verdict(), self.is_draining()),
            groups: Arc::clone(&board.groups),
        }
    }

    /// The report on a view, as soon as every component in it has a result to believe, but not later than `deadline`.
    pub async fn report_by(&self, view: &View, deadline: Instant) -> Option<Arc<Report>> {
        let believable = |report: &Report| if *view == View::Live { self.is_alive() } else { !report.is_awaited() };
        let report = self.report_on(view)?;
        if believable(&report) {
            return Some(report);
        }
        self.wait(deadline, || self.report_on(view).is_none_or(|report| believable(&report))).await;
        self.report_on(view)
    }

    /// Probes everything now and reports on a view as soon as all in it have answered, but not later than `deadline`.
    ///
    /// It probes once for all who ask at the same time, and at most once a second; results count like any other. Nothing is lost when the
    /// caller goes away.
    pub async fn fresh(&self, view: &View, deadline: Instant) -> Option<Arc<Report>> {
        if *view == View::Live {
            // Whether the engine moves is no question to a backend.
            return self.report_by(view, deadline).await;
        }
        let round = {
            let mut last = self.0.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|last| last.elapsed() >= FRESH) {
                *last = Some(Instant::now());
                self.0.rounds.send_modify(|round| *round += 1);
            }
            *self.0.rounds.borrow()
        };
        let board = self.0.board.load_full();
        let entries = board.of(view)?;
        let mut answered = 0;
        self.wait(deadline, || {
            answered += entries[answered..].iter().take_while(|entry| entry.has_answered(round)).count();
            // What is not on the board any more answers nobody.
            answered == entries.len() || !Arc::ptr_eq(&board, &self.0.board.load())
        })
        .await;
        self.report_on(view)
    }

    /// Wakes at every change of what is told.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.pulse.watch()
    }

    /// Looks again at every change until it is as wished or too late.
    async fn wait(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let mut changes = self.0.pulse.watch();
        while !done() && matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {}
    }

    /// Probes every component once, here and now, and calls `seen` for each as it answers. For an engine that was built and not started.
    pub async fn probe_once(&self, mut seen: impl FnMut(&CheckName, &ComponentReport)) -> Arc<Report> {
        let board = self.0.board.load_full();
        let enabled = board.entries().iter().filter(|entry| entry.component.policy.enabled);
        let mut probes: FuturesUnordered<_> = enabled
            .map(|entry| async move {
                sampler::probe_and_record(entry, &self.0.pulse, 0).await;
                entry
            })
            .collect();
        let mut components = BTreeMap::new();
        while let Some(entry) = probes.next().await {
            // As it was when it answered: who waited long for the slowest has not grown old by that.
            let (report, _) = entry.report(Instant::now());
            seen(&entry.component.name, &report);
            components.insert(entry.component.name.clone(), report);
        }
        let muted = board.entries().iter().filter(|entry| !entry.component.policy.enabled);
        components.extend(muted.map(|entry| (entry.component.name.clone(), entry.report(Instant::now()).0)));
        Arc::new(Report::new(&View::Whole, components, self.circumstances()))
    }

    /// The view that a name in a URL means: a group or a component.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<View> {
        let board = self.0.board.load();
        let known = |view: &View| board.of(view).is_some();
        let own = name.parse().ok().and_then(|name: CheckName| [View::Component(name.clone()), View::Group(name)].into_iter().find(known));
        own.or(match name {
            "live" => Some(View::Live),
            "ready" => Some(View::Ready),
            "startup" => Some(View::Startup),
            _ => None,
        })
    }

    /// The names of all groups but those that are built in.
    #[must_use]
    pub fn groups(&self) -> Vec<CheckName> {
        self.0.board.load().groups().cloned().collect()
    }

    /// All components' names, kinds and policies, by name.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        self.0.board.load().entries().iter().map(|entry| entry.component.clone()).collect()
    }

    /// Begins to fail the whole report, `ready` and every group, so that load balancers send no more traffic.
    pub fn drain(&self) {
        self.want_drain(Drainer::Owner, true);
    }

    /// Takes [`drain`](Self::drain) back.
    pub fn undrain(&self) {
        self.want_drain(Drainer::Owner, false);
    }

    /// Notes who wants to drain, or no longer does; a line in the log when that changes what is told.
    pub(crate) fn want_drain(&self, drainer: Drainer, wanted: bool) {
        if self.0.drain.set(drainer, wanted) {
            self.0.pulse.standing.note_drain(Timestamp::now());
            if wanted {
                tracing::info!(by = drainer.as_str(), "draining: no more traffic is wanted");
            } else {
                tracing::info!(by = drainer.as_str(), "drained no longer: traffic is wanted again");
            }
            self.0.pulse.bump();
        }
    }

    /// Whether it is draining.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.drain.is_wanted()
    }

    /// Whether the engine moved within the last five seconds.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.pulse.since_beat() < DEAD
    }
}

impl fmt::Debug for Aggregator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Aggregator")
            .field("components", &self.0.board.load().entries().len())
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Builds it without probing anything.
    #[must_use]
    pub fn build(self) -> Aggregator {
        let (board, redactor) = self.into_board(None);
        Aggregator::new(board, redactor)
    }

    /// Builds it and begins to probe on the runtime that this is called from.
    ///
    /// # Panics
    ///
    /// When it is called outside of a tokio runtime.
    #[must_use]
    pub fn start(self) -> Aggregator {
        self.start_on(&Handle::current())
    }

    /// Builds it and begins to probe on a runtime of its own.
    #[must_use]
    pub fn start_on(self, runtime: &Handle) -> Aggregator {
        let seed = self.chance();
        let aggregator = self.build();
        aggregator.start_on(runtime, seed);
        aggregator
    }
}
