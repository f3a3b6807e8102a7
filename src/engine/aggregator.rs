//! The handle to the engine: reads its reports, requests fresh probes, drains and undrains.

use super::{
    board::{Board, CachedReport, Freshness, ViewState},
    builder::Builder,
    drain::{Drain, DrainReason},
    moment::now,
    pulse::{Pulse, Stamp},
    supervisor::supervise,
};
use crate::{
    component::{CheckName, Component},
    report::{Circumstances, ComponentReport, ConfigReport, Report, Status, View},
};
use allswell_checks::contract::Redactor;
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
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
    time::{Instant, sleep_until, timeout_at},
};

/// The engine counts as dead, and `/livez` fails, when it has shown no sign of life for this long.
const MAX_SILENCE: Duration = Duration::from_secs(5);

/// With at most this many components, a request that waits for a result checks again after every result.
const MAX_UNPACED_COMPONENTS: usize = 64;
/// With more than [`MAX_UNPACED_COMPONENTS`], results arrive all the time, so the request checks at most this often.
const MIN_RECHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Probes components in the background and reports their status from memory. Clones are handles to the same engine, which stops when the last
/// one is dropped.
#[derive(Clone)]
pub struct Aggregator(Arc<AggregatorState>);

struct AggregatorState {
    board: ArcSwap<Board>,
    /// Passes the next board to the supervisor.
    boards: watch::Sender<Arc<Board>>,
    pulse: Arc<Pulse>,
    drain: Drain,
    configuration: ArcSwapOption<ConfigReport>,
    /// Held while a board is replaced, so that replacements happen one after the other.
    replacing: Mutex<()>,
    engine: Mutex<Option<AbortHandle>>,
}

impl Drop for AggregatorState {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.get_mut().unwrap_or_else(PoisonError::into_inner) {
            engine.abort();
        }
    }
}

impl Aggregator {
    /// Returns a builder without any checks.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn new(board: Board, redactor: Redactor) -> Self {
        let board = Arc::new(board);
        let pulse = Pulse::default();
        pulse.set_redactor(redactor);
        Self(Arc::new(AggregatorState {
            board: ArcSwap::new(Arc::clone(&board)),
            boards: watch::channel(board).0,
            pulse: Arc::new(pulse),
            drain: Drain::default(),
            configuration: ArcSwapOption::empty(),
            replacing: Mutex::default(),
            engine: Mutex::new(None),
        }))
    }

    /// Starts probing.
    fn start_on(&self, runtime: &Handle, seed: u64) {
        let inner = &self.0;
        let engine = runtime.spawn(supervise(inner.boards.subscribe(), Arc::clone(&inner.pulse), seed));
        *inner.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.abort_handle());
    }

    /// Replaces components, groups and service.
    ///
    /// A component whose check is configured as before keeps its state, connection and history, even if its policy changed. A new check has a
    /// grace period of at most its timeout, during which the previous verdict stands. A removed component is in no report once this returns.
    pub fn replace(&self, builder: Builder) {
        let inner = &self.0;
        let _replacing = inner.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.board.load_full();
        let (board, redactor) = builder.into_board(Some(&before));
        let board = Arc::new(board);
        inner.pulse.set_redactor(redactor);
        for entry in before.entries().iter().filter(|entry| !board.has(entry)) {
            entry.close();
        }
        inner.pulse.history.retain(|name| board.viewed(&View::Component(name.clone())).is_some());
        inner.board.store(Arc::clone(&board));
        // Only after the store: otherwise a report built from the old board could pass for a report on the new one.
        inner.pulse.bump();
        inner.boards.send_replace(board);
    }

    /// Sets the configuration section of the report: revision, load time and the outcome of the last reload.
    pub fn set_configuration(&self, configuration: ConfigReport) {
        self.0.configuration.store(Some(Arc::new(configuration)));
        self.0.pulse.bump();
    }

    /// The report on all components. Reads memory only; never waits for a probe.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        let whole = self.report_on(&View::Whole);
        // Every board has this view, so the fallback is never taken.
        whole.unwrap_or_else(|| Arc::new(self.report_of(&self.0.board.load(), BTreeMap::new())))
    }

    /// Builds a report on exactly these components.
    pub(super) fn report_of(&self, board: &Board, components: BTreeMap<CheckName, ComponentReport>) -> Report {
        Report::new(&View::Whole, components, self.circumstances(board, &View::Whole, &|_| None))
    }

    /// The board and the pulse, for an engine without samplers.
    pub(super) fn parts(&self) -> (Arc<Board>, &Pulse) {
        (self.0.board.load_full(), &self.0.pulse)
    }

    /// The report on a view; `None` when there is no such group or component.
    #[must_use]
    pub fn report_on(&self, view: &View) -> Option<Arc<Report>> {
        self.cached_report(view).map(|cached| Arc::clone(&cached.report))
    }

    /// The same, together with the state it was built from.
    pub(crate) fn cached_report(&self, view: &View) -> Option<Arc<CachedReport>> {
        let (stamp, board) = self.board();
        let since = |verdict| self.0.pulse.standing.since(verdict, self.is_draining());
        board.report(view, stamp, &self.0.pulse, || self.circumstances(&board, view, &since))
    }

    /// Whether a report is still current.
    pub(crate) fn freshness(&self, cached: &CachedReport) -> Freshness {
        cached.freshness(&self.0.pulse)
    }

    /// The status of the whole, without building a report.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status_of(&View::Whole).unwrap_or_default()
    }

    /// The status of a view, without building a report; `None` when there is no such group or component.
    #[must_use]
    pub fn status_of(&self, view: &View) -> Option<Status> {
        let (stamp, board) = self.board();
        self.status_on(&board, stamp, view)
    }

    fn status_on(&self, board: &Board, stamp: Stamp, view: &View) -> Option<Status> {
        let status = board.status(view, stamp, &self.0.pulse)?;
        let fails = (view.drains() && self.is_draining()) || (*view == View::Live && !self.is_alive());
        Some(if fails { Status::Fail } else { status })
    }

    /// The status of every group and component, by the name that [`view`](Self::view) accepts for it; the whole has the empty name. Costs as much
    /// as one report.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        let (stamp, board) = self.board();
        // Built-in views come first: a configured group or component of the same name overwrites them, as in `view`.
        let named = |view: &View| match view {
            View::Whole => String::new(),
            View::Live => "live".to_owned(),
            View::Ready => "ready".to_owned(),
            View::Startup => "startup".to_owned(),
            View::Group(name) | View::Component(name) => name.to_string(),
        };
        board.views().filter_map(|view| Some((named(view), self.status_on(&board, stamp, view)?))).collect()
    }

    /// The board, and the stamp that was read before it.
    fn board(&self) -> (Stamp, Guard<Arc<Board>>) {
        let stamp = self.0.pulse.stamp();
        (stamp, self.0.board.load())
    }

    fn circumstances<'a>(&self, board: &Board, view: &View, since: &'a dyn Fn(Status) -> Option<Timestamp>) -> Circumstances<'a> {
        Circumstances {
            service: Arc::clone(&board.service),
            generated_at: Timestamp::now(),
            draining: self.is_draining(),
            alive: self.is_alive(),
            only_host: board.only_host,
            configuration: self.0.configuration.load_full(),
            changes: self.0.pulse.history.changes(),
            since,
            groups: Arc::clone(&board.groups),
            previous: board.viewed(view).and_then(|viewed| viewed.previous),
        }
    }

    /// The report on a view, as soon as every component in it has a result that is not stale, but by `deadline` at the latest.
    pub async fn report_by(&self, view: &View, deadline: Instant) -> Option<Arc<Report>> {
        let report = self.report_on(view)?;
        let is_ready = if *view == View::Live { report.status.is_good() } else { !report.is_awaited() };
        if is_ready {
            return Some(report);
        }
        self.ready_by(view, deadline).await;
        self.report_on(view)
    }

    /// Whether a component of the view has no result yet, or only a stale one.
    pub(crate) fn is_awaited(&self, view: &View) -> bool {
        let (stamp, board) = self.board();
        board.is_awaited(view, stamp, &self.0.pulse)
    }

    /// Waits until every component in the view has a result that is not stale (for `/livez`: until the engine shows a sign of life), but not
    /// longer than until `deadline`.
    pub(crate) async fn ready_by(&self, view: &View, deadline: Instant) {
        if *view == View::Live {
            return self.wait(deadline, || self.is_alive()).await;
        }
        if !self.is_awaited(view) {
            return;
        }
        self.wait_on_board(view, deadline, |viewed| {
            // Components that are ready are not checked again: with very many, starting over at every result would be quadratic.
            let mut ready = 0;
            move || {
                let (now, entries) = (now(), viewed.entries());
                ready += entries[ready..].iter().take_while(|entry| !entry.is_awaited_by(view, now)).count();
                ready == entries.len()
            }
        })
        .await;
    }

    /// Probes every component of the view now, and returns its report as soon as all have answered, but by `deadline` at the latest.
    ///
    /// Concurrent callers share one round of probes. A component is probed at most once a second this way, and very many are spread over up to a
    /// second. The results count like any other. If the caller is dropped, the probes go on.
    pub async fn fresh(&self, view: &View, deadline: Instant) -> Option<Arc<Report>> {
        self.wait_for_fresh(view, deadline).await;
        self.report_on(view)
    }

    /// The same, without building the report.
    pub(crate) async fn wait_for_fresh(&self, view: &View, deadline: Instant) {
        if *view == View::Live {
            // Liveness depends on no backend: there is nothing to probe.
            return self.ready_by(view, deadline).await;
        }
        if let Some(viewed) = self.0.board.load().viewed(view) {
            viewed.request_probes();
        }
        self.wait_on_board(view, deadline, |viewed| move || viewed.has_answered()).await;
    }

    /// Waits until a condition on the view holds, or until `deadline`. If a reload replaces the board meanwhile, it waits on the next one: a reload
    /// is no reason to respond earlier.
    async fn wait_on_board<D: FnMut() -> bool>(&self, view: &View, deadline: Instant, condition: impl Fn(Arc<ViewState>) -> D) {
        loop {
            let board = self.0.board.load_full();
            let Some(viewed) = board.viewed(view) else { return };
            let (mut done, mut is_done) = (condition(Arc::clone(viewed)), false);
            self.wait(deadline, || {
                is_done = done();
                is_done || !Arc::ptr_eq(&board, &self.0.board.load())
            })
            .await;
            if is_done || Instant::now() >= deadline {
                return;
            }
        }
    }

    /// The number of components in a view; `None` when there is no such group or component.
    pub(crate) fn size_of(&self, view: &View) -> Option<usize> {
        Some(self.0.board.load().viewed(view)?.entries().len())
    }

    /// Wakes at every result, and at every sign of life of the engine.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.pulse.watch()
    }

    /// Checks the condition after every change, at a limited pace, until it holds or `deadline` has passed.
    async fn wait(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let mut changes = self.0.pulse.watch();
        let is_paced = self.0.board.load().entries().len() > MAX_UNPACED_COMPONENTS;
        let mut checked = Instant::now();
        while !done() && matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
            if is_paced {
                sleep_until((checked + MIN_RECHECK_INTERVAL).min(deadline)).await;
                checked = Instant::now();
            }
        }
    }

    /// The view for a name in a URL: a component, a group, or the built-in `live`, `ready` and `startup`.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<View> {
        let board = self.0.board.load();
        let known = |view: &View| board.viewed(view).is_some();
        let own = name.parse().ok().and_then(|name: CheckName| [View::Component(name.clone()), View::Group(name)].into_iter().find(known));
        own.or(match name {
            "live" => Some(View::Live),
            "ready" => Some(View::Ready),
            "startup" => Some(View::Startup),
            _ => None,
        })
    }

    /// The names of all configured groups.
    #[must_use]
    pub fn groups(&self) -> Vec<CheckName> {
        self.0.board.load().groups().cloned().collect()
    }

    /// All components with kinds and policies, sorted by name.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        self.0.board.load().entries().iter().map(|entry| Component::clone(&entry.component())).collect()
    }

    /// Starts draining: the whole report, `ready` and every group fail, so that load balancers stop sending traffic.
    pub fn drain(&self) {
        self.set_drain(DrainReason::Request, true);
    }

    /// Undoes [`drain`](Self::drain).
    pub fn undrain(&self) {
        self.set_drain(DrainReason::Request, false);
    }

    /// Starts or ends a drain for one reason; logs a line if that starts or ends draining as a whole.
    pub(crate) fn set_drain(&self, reason: DrainReason, is_active: bool) {
        if self.0.drain.set(reason, is_active) {
            self.0.pulse.standing.record_drain(Timestamp::now());
            if is_active {
                tracing::info!(by = reason.as_str(), "draining: asking load balancers to stop sending traffic");
            } else {
                tracing::info!(by = reason.as_str(), "drain cancelled: accepting traffic again");
            }
            self.0.pulse.bump();
        }
    }

    /// Whether the service is draining.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.drain.is_active()
    }

    /// Whether the engine has shown a sign of life within the last five seconds.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.pulse.since_beat() < MAX_SILENCE
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
    /// Builds the engine and starts probing on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// When it is called outside of a tokio runtime.
    #[must_use]
    pub fn start(self) -> Aggregator {
        self.start_on(&Handle::current())
    }

    /// Builds the engine and starts probing on this runtime.
    #[must_use]
    pub fn start_on(self, runtime: &Handle) -> Aggregator {
        let seed = self.seed_or_random();
        let (board, redactor) = self.into_board(None);
        let aggregator = Aggregator::new(board, redactor);
        aggregator.start_on(runtime, seed);
        aggregator
    }
}
