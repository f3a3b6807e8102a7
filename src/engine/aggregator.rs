//! The handle to the engine: read its report, ask for fresh probes, drain it.

use super::{
    board::{Board, Freshness, Made, Viewed},
    builder::Builder,
    drain::{Drain, Drainer},
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

/// From this silence on, the engine counts as dead: `/livez` fails.
const DEAD: Duration = Duration::from_secs(5);

/// A request that waits for a result looks again after every result.
const UNPACED: usize = 64;
/// With more than [`UNPACED`] components there is a result in every moment, so it looks at most this often.
const PACE: Duration = Duration::from_millis(10);

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
    /// One board follows another.
    replacing: Mutex<()>,
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

    pub(super) fn new(board: Board, redactor: Redactor) -> Self {
        let board = Arc::new(board);
        let pulse = Pulse::default();
        pulse.set_redactor(redactor);
        Self(Arc::new(Inner {
            board: ArcSwap::new(Arc::clone(&board)),
            boards: watch::channel(board).0,
            pulse: Arc::new(pulse),
            drain: Drain::default(),
            configuration: ArcSwapOption::empty(),
            replacing: Mutex::default(),
            engine: Mutex::new(None),
        }))
    }

    /// Begins to probe.
    fn start_on(&self, runtime: &Handle, seed: u64) {
        let inner = &self.0;
        let engine = runtime.spawn(supervise(inner.boards.subscribe(), Arc::clone(&inner.pulse), seed));
        *inner.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.abort_handle());
    }

    /// Goes on with other components, groups and service.
    ///
    /// A component whose check is configured as before keeps its state, connection and history, also under another policy. A check that is new
    /// has a grace period, at most its timeout, in which the verdict is what it was. What is removed is in no answer from the moment that this
    /// returns.
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
        // Only now, so that nothing that was made of the board before is taken for a report on this one.
        inner.pulse.bump();
        inner.boards.send_replace(board);
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
        whole.unwrap_or_else(|| Arc::new(self.report_of(&self.0.board.load(), BTreeMap::new())))
    }

    /// A report on all of these components.
    pub(super) fn report_of(&self, board: &Board, components: BTreeMap<CheckName, ComponentReport>) -> Report {
        Report::new(&View::Whole, components, self.circumstances(board, &View::Whole, &|_| None))
    }

    /// What an engine without samplers works on.
    pub(super) fn parts(&self) -> (Arc<Board>, &Pulse) {
        (self.0.board.load_full(), &self.0.pulse)
    }

    /// The report on a view; `None` when there is no such group or component.
    #[must_use]
    pub fn report_on(&self, view: &View) -> Option<Arc<Report>> {
        self.made(view).map(|made| Arc::clone(&made.report))
    }

    /// The same, with what it was made of.
    pub(crate) fn made(&self, view: &View) -> Option<Arc<Made>> {
        let (stamp, board) = self.board();
        let since = |verdict| self.0.pulse.standing.since(verdict, self.is_draining());
        board.report(view, stamp, &self.0.pulse, || self.circumstances(&board, view, &since))
    }

    /// Whether a report is still true.
    pub(crate) fn freshness(&self, made: &Made) -> Freshness {
        made.freshness(&self.0.pulse)
    }

    /// The status of everything, without a report.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status_of(&View::Whole).unwrap_or_default()
    }

    /// The status of a view, without a report; `None` when there is no such group or component.
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

    /// The status of every group and component by the name that [`view`](Self::view) takes it for, and of everything under the empty name. Its
    /// cost is that of one report.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        let (stamp, board) = self.board();
        // The names that are built in come first: a group or a component may have such a name as well, and then means itself.
        let named = |view: &View| match view {
            View::Whole => String::new(),
            View::Live => "live".to_owned(),
            View::Ready => "ready".to_owned(),
            View::Startup => "startup".to_owned(),
            View::Group(name) | View::Component(name) => name.to_string(),
        };
        board.views().filter_map(|view| Some((named(view), self.status_on(&board, stamp, view)?))).collect()
    }

    /// The board, and how far the engine had come before it was read.
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

    /// The report on a view, as soon as every component in it has a result to believe, but not later than `deadline`.
    pub async fn report_by(&self, view: &View, deadline: Instant) -> Option<Arc<Report>> {
        let report = self.report_on(view)?;
        let is_ready = if *view == View::Live { report.status.is_good() } else { !report.is_awaited() };
        if is_ready {
            return Some(report);
        }
        self.ready_by(view, deadline).await;
        self.report_on(view)
    }

    /// Whether a view waits for a result that is missing or too old.
    pub(crate) fn is_awaited(&self, view: &View) -> bool {
        let (stamp, board) = self.board();
        board.is_awaited(view, stamp, &self.0.pulse)
    }

    /// Ends as soon as every component in a view has a result to believe, or the engine moves, but not later than `deadline`.
    pub(crate) async fn ready_by(&self, view: &View, deadline: Instant) {
        if *view == View::Live {
            return self.wait(deadline, || self.is_alive()).await;
        }
        if !self.is_awaited(view) {
            return;
        }
        self.wait_on_board(view, deadline, |viewed| {
            // Each is waited for once: the way through very many is not begun anew at every result.
            let mut ready = 0;
            move || {
                let (now, entries) = (now(), viewed.entries());
                ready += entries[ready..].iter().take_while(|entry| !entry.is_awaited_by(view, now)).count();
                ready == entries.len()
            }
        })
        .await;
    }

    /// Probes now what a view judges, and reports on it as soon as all of that has answered, but not later than `deadline`.
    ///
    /// It probes once for all who ask at the same time, a component at most once a second, and very many spread over a moment; results count
    /// like any other. Nothing is lost when the caller goes away.
    pub async fn fresh(&self, view: &View, deadline: Instant) -> Option<Arc<Report>> {
        self.wait_for_fresh(view, deadline).await;
        self.report_on(view)
    }

    /// The same without the report.
    pub(crate) async fn wait_for_fresh(&self, view: &View, deadline: Instant) {
        if *view == View::Live {
            // Whether the engine moves is no question to a backend.
            return self.ready_by(view, deadline).await;
        }
        if let Some(viewed) = self.0.board.load().viewed(view) {
            viewed.request_probes();
        }
        self.wait_on_board(view, deadline, |viewed| move || viewed.has_answered()).await;
    }

    /// Waits for something of a view until it is done or too late. If the board is replaced meanwhile, it goes on with the next one: a reload is
    /// no reason to answer earlier.
    async fn wait_on_board<D: FnMut() -> bool>(&self, view: &View, deadline: Instant, of: impl Fn(Arc<Viewed>) -> D) {
        loop {
            let board = self.0.board.load_full();
            let Some(viewed) = board.viewed(view) else { return };
            let (mut done, mut is_done) = (of(Arc::clone(viewed)), false);
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

    /// Wakes at every result, and whenever the engine shows that it moves.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.pulse.watch()
    }

    /// Looks again after every change, at a pace, until it is done or too late.
    async fn wait(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let mut changes = self.0.pulse.watch();
        let is_paced = self.0.board.load().entries().len() > UNPACED;
        let mut looked = Instant::now();
        while !done() && matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
            if is_paced {
                sleep_until((looked + PACE).min(deadline)).await;
                looked = Instant::now();
            }
        }
    }

    /// The view that a name in a URL means: a group or a component.
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

    /// The names of all groups but those that are built in.
    #[must_use]
    pub fn groups(&self) -> Vec<CheckName> {
        self.0.board.load().groups().cloned().collect()
    }

    /// All components' names, kinds and policies, by name.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        self.0.board.load().entries().iter().map(|entry| Component::clone(&entry.component())).collect()
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
        let (board, redactor) = self.into_board(None);
        let aggregator = Aggregator::new(board, redactor);
        aggregator.start_on(runtime, seed);
        aggregator
    }
}
