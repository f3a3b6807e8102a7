//! The handle to the engine: read its report, ask for fresh probes, drain it.

use super::{board::Board, sampler, supervisor::supervise};
use crate::{
    component::{CheckName, Component},
    report::{Circumstances, ComponentReport, Report, Service, View},
};
use arc_swap::ArcSwapOption;
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
    board: Arc<Board>,
    service: Arc<Service>,
    /// What each view judges, as indices of the board, and the last report made of it.
    views: BTreeMap<View, (Vec<usize>, ArcSwapOption<Cached>)>,
    only_host: bool,
    draining: AtomicBool,
    rounds: watch::Sender<u64>,
    /// When fresh probes were called for last.
    fresh: Mutex<Option<Instant>>,
    engine: Mutex<Option<AbortHandle>>,
}

struct Cached {
    report: Arc<Report>,
    version: u64,
    until: Option<Instant>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.get_mut().unwrap_or_else(PoisonError::into_inner) {
            engine.abort();
        }
    }
}

impl Aggregator {
    /// Over a board, and which of its components each view judges.
    pub(super) fn new(board: Board, service: Service, views: BTreeMap<View, Vec<usize>>, only_host: bool) -> Self {
        let (rounds, _) = watch::channel(0);
        Self(Arc::new(Inner {
            board: Arc::new(board),
            service: Arc::new(service),
            views: views.into_iter().map(|(view, indices)| (view, (indices, ArcSwapOption::empty()))).collect(),
            only_host,
            draining: AtomicBool::new(false),
            rounds,
            fresh: Mutex::new(None),
            engine: Mutex::new(None),
        }))
    }

    /// Begins to probe.
    pub(super) fn start_on(&self, runtime: &Handle) {
        let engine = runtime.spawn(supervise(Arc::clone(&self.0.board), self.0.rounds.subscribe()));
        *self.0.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.abort_handle());
    }

    /// The report on everything: a read of memory, at any time.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.report_on(&View::Whole).unwrap_or_else(|| self.make(&View::Whole, &[], Instant::now()).0)
    }

    /// The report on a view; `None` when there is no such group or component.
    #[must_use]
    pub fn report_on(&self, view: &View) -> Option<Arc<Report>> {
        let (indices, cache) = self.0.views.get(view)?;
        let now = Instant::now();
        // Read before the states are, so that a change in between makes the report out of date and not the other way round.
        let version = self.0.board.version();
        if let Some(cached) = &*cache.load()
            && cached.version == version
            && cached.until.is_none_or(|until| now < until)
            && *view != View::Live
        {
            return Some(Arc::clone(&cached.report));
        }
        let (report, until) = self.make(view, indices, now);
        cache.store(Some(Arc::new(Cached { report: Arc::clone(&report), version, until })));
        Some(report)
    }

    fn make(&self, view: &View, indices: &[usize], now: Instant) -> (Arc<Report>, Option<Instant>) {
        let mut until: Option<Instant> = None;
        let mut components = BTreeMap::new();
        for index in indices {
            let (name, component, stands_until) = self.0.board.report(*index, now);
            components.insert(name, component);
            until = [until, stands_until].into_iter().flatten().min();
        }
        (Arc::new(Report::new(view, components, self.circumstances())), until)
    }

    fn circumstances(&self) -> Circumstances {
        Circumstances {
            service: Arc::clone(&self.0.service),
            generated_at: Timestamp::now(),
            draining: self.is_draining(),
            alive: self.is_alive(),
            only_host: self.0.only_host,
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
        let indices = &self.0.views.get(view)?.0;
        let mut answered = 0;
        self.wait(deadline, || {
            answered += indices[answered..].iter().take_while(|index| self.0.board.has_answered(**index, round)).count();
            answered == indices.len()
        })
        .await;
        self.report_on(view)
    }

    /// Looks again at every change until it is as wished or too late.
    async fn wait(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let mut changes = self.0.board.watch();
        while !done() && matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {}
    }

    /// Probes every component once, here and now, and calls `seen` for each as it answers. For an engine that was built and not started.
    pub async fn probe_once(&self, mut seen: impl FnMut(&CheckName, &ComponentReport)) -> Arc<Report> {
        let board = &self.0.board;
        let enabled = (0..board.len()).filter(|index| board.component(*index).policy.enabled);
        let mut probes: FuturesUnordered<_> = enabled
            .map(|index| async move {
                sampler::probe_and_record(board, index, 0).await;
                index
            })
            .collect();
        let mut components = BTreeMap::new();
        while let Some(index) = probes.next().await {
            let (name, report, _) = board.report(index, Instant::now());
            seen(&name, &report);
            components.insert(name, report);
        }
        // Each as it was when it answered: who waited long for the slowest has not grown old by that.
        let muted = (0..board.len()).map(|index| board.report(index, Instant::now())).filter(|(_, report, _)| report.muted);
        components.extend(muted.map(|(name, report, _)| (name, report)));
        Arc::new(Report::new(&View::Whole, components, self.circumstances()))
    }

    /// The view that a name in a URL means: a group or a component.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<View> {
        let known = |view: &View| self.0.views.contains_key(view);
        let own = name.parse().ok().and_then(|name: CheckName| [View::Component(name.clone()), View::Group(name)].into_iter().find(known));
        own.or(match name {
            "live" => Some(View::Live),
            "ready" => Some(View::Ready),
            "startup" => Some(View::Startup),
            _ => None,
        })
    }

    /// All components' names, kinds and policies, by name.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.0.board.components()
    }

    /// Begins to fail the whole report, `ready` and every group, so that load balancers send no more traffic.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
        self.0.board.bump();
    }

    /// Whether it is draining.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Whether the engine moved within the last five seconds.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.board.since_beat() < DEAD
    }
}

impl fmt::Debug for Aggregator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Aggregator")
            .field("components", &self.0.board.len())
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}
