//! The one cache of rendered answers.
//!
//! An answer is *current* until there is a newer result, status, drain or configuration. The rule of freshness:
//!
//! 1. A current answer is shared by all requests for the same view, format and level of detail, for as long as it is kept.
//! 2. Otherwise the answer is rendered once for all requests that arrived before the rendering began. Metrics and everything that shows the
//!    pollers are never current, since every poll changes them, and neither is `/livez`, since it depends on the moment.
//! 3. A plain poll of a large view gets the last answer while the next is rendered, as long as every status in it is current and its values are
//!    at most two seconds old.
//!
//! What a large view needs is rendered off the answering thread, one at a time and with rests as long as the work, so that at most half a
//! processor is busy with it. Answers to plain polls are not part of that queue.

use super::{answer::Answers, grpc, memory::ResponseMemory, metrics, polls::Polls};
use crate::{
    dialect::{Detail, Dialect, metrics as text},
    engine::{Aggregator, Freshness, Made},
    report::View,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use axum::http::Response;
use bytes::Bytes;
use http_body_util::Full;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot},
    task::{spawn_blocking, yield_now},
    time::{Instant, sleep, timeout_at},
};

/// Up to so many components, every format of a view is rendered in less than a millisecond.
const MAX_SMALL_VIEW: usize = 64;

/// While plain polls get the last answer, rendering the next one takes at most this share of a processor: one in so many.
const BACKGROUND_SHARE: u32 = 16;

/// How long the rest after a rendering may be.
const MAX_REST: Duration = Duration::from_secs(1);

/// How long a poll waits for its answer to be rendered at most.
const MAX_PATIENCE: Duration = Duration::from_secs(5);

/// How many answers are kept for the next request, besides those to plain polls, and how large each may be.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// The views of plain polls.
const PLAIN: [View; 3] = [View::Whole, View::Ready, View::Startup];

/// What an answer is rendered for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) view: View,
    pub(super) format: Format,
    pub(super) detail: Detail,
    /// Whether it shows the pollers.
    pub(super) with_pollers: bool,
    /// How many folders below the root the status page is read.
    pub(super) depth: usize,
}

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    Report(Dialect),
    Metrics(text::Format),
    /// The answer to gRPC's `List`.
    ServiceList,
}

impl Key {
    /// The key of a poll that has nothing but a path.
    const fn plain(view: View, detail: Detail) -> Self {
        Self { view, format: Format::Report(Dialect::Json), detail, with_pollers: false, depth: 0 }
    }

    /// Whether a balancer may poll for it. Such an answer always has room.
    fn is_poll(&self) -> bool {
        self.format == Format::Report(Dialect::Json) && !self.with_pollers
    }

    /// Whether an answer stays current until the next result. An engine that ended has no more results, which `/livez` has to report.
    fn is_reusable(&self) -> bool {
        !self.with_pollers && !matches!(self.format, Format::Metrics(_)) && self.view != View::Live
    }
}

/// An answer, ready to be sent any number of times.
pub(super) struct Rendered {
    head: Response<()>,
    pub(super) body: Bytes,
    made: Arc<Made>,
    answers: Arc<Answers>,
    /// When the rendering began, by the clock of the cache.
    began: u64,
}

impl Rendered {
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        self.head.clone().map(|()| Full::new(self.body.clone()))
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// There is no such component or group.
    UnknownView,
    /// It was not rendered by the deadline.
    Late,
    /// It does not fit into the memory for answers.
    NoMemory,
}

/// What answers are rendered from.
pub(super) struct Source {
    pub(super) aggregator: Aggregator,
    pub(super) answers: Arc<ArcSwap<Answers>>,
    pub(super) polls: Arc<Polls>,
    pub(super) memory: ResponseMemory,
}

impl Source {
    fn render(&self, key: &Key, began: u64) -> Option<Arc<Rendered>> {
        let made = self.aggregator.made(&key.view)?;
        let answers = self.answers.load_full();
        let response = match key.format {
            Format::Report(dialect) => answers.report(key, dialect, &made.report, &self.polls),
            Format::Metrics(format) => metrics::answer(format, key.detail, &made.report, &self.polls),
            Format::ServiceList => grpc::list(&self.aggregator),
        };
        let (head, body) = response.into_parts();
        let (head, body) = (Response::from_parts(head, ()), self.memory.count(body));
        Some(Arc::new(Rendered { head, body, made, answers, began }))
    }
}

/// The place of one answer.
#[derive(Default)]
struct Slot {
    last: ArcSwapOption<Rendered>,
    /// Held by the request that renders the next answer.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether the next answer to plain polls is being rendered in the background.
    in_background: AtomicBool,
    /// The size of the last body.
    size: AtomicUsize,
}

impl Slot {
    fn store(&self, rendered: Option<&Arc<Rendered>>, size: usize) {
        self.size.store(size, Ordering::Relaxed);
        self.last.store(rendered.cloned());
    }
}

/// Rendered answers. Clones share them.
#[derive(Clone)]
pub(super) struct Renderings(Arc<Inner>);

struct Inner {
    source: Arc<Source>,
    plain: [Arc<Slot>; PLAIN.len()],
    others: Mutex<BTreeMap<Key, Arc<Slot>>>,
    /// Held while a large answer is rendered.
    large: Arc<Semaphore>,
    /// Counts requests and renderings, to know which of two was first.
    clock: AtomicU64,
}

impl Renderings {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self(Arc::new(Inner {
            source,
            plain: Default::default(),
            others: Mutex::default(),
            large: Arc::new(Semaphore::new(1)),
            clock: AtomicU64::new(0),
        }))
    }

    /// The answer to a poll of a view that has nothing but a path, as far as nothing has to be waited for.
    pub(super) fn plain(&self, view: &View) -> Option<Arc<Rendered>> {
        let source = &self.0.source;
        let index = PLAIN.iter().position(|plain| plain == view)?;
        let slot = &self.0.plain[index];
        let answers = source.answers.load();
        if let Some(last) = &*slot.last.load()
            && Arc::ptr_eq(&last.answers, &answers)
            // Every poll waits for a missing result, and not only the first.
            && !last.made.report.is_awaited()
        {
            match source.aggregator.freshness(&last.made) {
                Freshness::Current => return Some(Arc::clone(last)),
                Freshness::StaleValues if is_large(&source.aggregator, view) => {
                    self.render_in_background(index);
                    return Some(Arc::clone(last));
                }
                Freshness::StaleValues | Freshness::Outdated => {}
            }
        }
        if is_large(&source.aggregator, view) || source.aggregator.is_awaited(view) {
            return None;
        }
        self.0.render(slot, &Key::plain(view.clone(), answers.detail))
    }

    /// The answer for a key, rendered after this was called unless the last one is current.
    pub(super) async fn get(&self, key: Key, deadline: Instant) -> Result<Arc<Rendered>, Unavailable> {
        let slot = self.0.slot(&key);
        let rendered = self.0.get(&slot, &key, deadline).await;
        self.0.leave(&key, &slot);
        rendered
    }

    /// Renders the next answer to plain polls, then rests.
    fn render_in_background(&self, index: usize) {
        let slot = &self.0.plain[index];
        // With slow readers of large answers, every rendering is one more that has to be kept.
        let has_room = self.0.source.memory.fits(3 * slot.size.load(Ordering::Relaxed));
        if !has_room || slot.in_background.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let began = Instant::now();
            let renderer = Arc::clone(&inner);
            // When this fails, a later poll renders its own answer.
            let _ = spawn_blocking(move || {
                let detail = renderer.source.answers.load().detail;
                renderer.render(&renderer.plain[index], &Key::plain(PLAIN[index].clone(), detail));
            })
            .await;
            sleep(began.elapsed() * BACKGROUND_SHARE).await;
            inner.plain[index].in_background.store(false, Ordering::Release);
        });
    }
}

impl Inner {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel)
    }

    /// The place of a plain poll's answer, if the key is one's.
    fn plain_slot(&self, key: &Key) -> Option<&Arc<Slot>> {
        let index = PLAIN.iter().position(|view| *view == key.view)?;
        let plain = Key::plain(key.view.clone(), self.source.answers.load().detail);
        (*key == plain).then(|| &self.plain[index])
    }

    fn slot(&self, key: &Key) -> Arc<Slot> {
        if let Some(slot) = self.plain_slot(key) {
            return Arc::clone(slot);
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MAX_KEPT {
            others.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(others.entry(key.clone()).or_default())
    }

    /// Forgets an answer that is large, or that no later request can share. Its size stays known.
    fn leave(&self, key: &Key, slot: &Arc<Slot>) {
        if self.plain_slot(key).is_some() || (key.is_reusable() && slot.size.load(Ordering::Relaxed) <= MAX_KEPT_BYTES) {
            return;
        }
        let _others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        // The map has one, and this request the other.
        if Arc::strong_count(slot) == 2 {
            slot.last.store(None);
        }
    }

    /// Forgets every answer that no plain poll needs.
    fn forget_others(&self) {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.values().for_each(|slot| slot.last.store(None));
    }

    /// Renders on this thread.
    fn render(&self, slot: &Slot, key: &Key) -> Option<Arc<Rendered>> {
        let rendered = self.source.render(key, self.tick());
        let size = rendered.as_ref().map_or(0, |rendered| rendered.body.len());
        slot.store(rendered.as_ref(), size);
        rendered
    }

    /// The last answer, if it was rendered after `asked` or is current.
    fn last(&self, slot: &Slot, key: &Key, asked: u64) -> Option<Arc<Rendered>> {
        let last = slot.last.load_full()?;
        let is_current = || key.is_reusable() && self.source.aggregator.freshness(&last.made) == Freshness::Current;
        let is_valid = Arc::ptr_eq(&last.answers, &self.source.answers.load()) && (last.began > asked || is_current());
        is_valid.then_some(last)
    }

    async fn get(self: &Arc<Self>, slot: &Arc<Slot>, key: &Key, deadline: Instant) -> Result<Arc<Rendered>, Unavailable> {
        let asked = self.tick();
        if let Some(last) = self.last(slot, key, asked) {
            return Ok(last);
        }
        // For a poll late is better than not at all: a load balancer's own time limit is longer than ours.
        let deadline = if key.is_poll() { deadline.max(Instant::now() + MAX_PATIENCE) } else { deadline };
        let turn = timeout_at(deadline, Arc::clone(&slot.turn).lock_owned()).await.map_err(|_| Unavailable::Late)?;
        // Every request that is ready by now can share the answer.
        yield_now().await;
        if let Some(last) = self.last(slot, key, asked) {
            return Ok(last);
        }
        let is_large = is_large(&self.source.aggregator, &key.view);
        if self.plain_slot(key).is_some() {
            return if is_large { self.render_off_thread(slot, key, turn, None, deadline).await } else { self.render_here(slot, key) };
        }
        let size = slot.size.load(Ordering::Relaxed);
        if !self.source.memory.fits(size) {
            self.forget_others();
        }
        if !key.is_poll() && !self.source.memory.wait_for(size, deadline).await {
            return Err(Unavailable::NoMemory);
        }
        if !is_large {
            return self.render_here(slot, key);
        }
        let permit = timeout_at(deadline, Arc::clone(&self.large).acquire_owned()).await;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| Unavailable::Late)?.map_err(|_| Unavailable::Late)?;
        self.render_off_thread(slot, key, turn, Some(permit), deadline).await
    }

    fn render_here(&self, slot: &Slot, key: &Key) -> Result<Arc<Rendered>, Unavailable> {
        let rendered = self.render(slot, key).ok_or(Unavailable::UnknownView)?;
        if rendered.body.len() > self.source.memory.limit() && !key.is_poll() {
            slot.last.store(None);
            return Err(Unavailable::NoMemory);
        }
        Ok(rendered)
    }

    /// Renders on another thread. When the request is gone by then, the answer is still there for the others.
    async fn render_off_thread(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        key: &Key,
        turn: OwnedMutexGuard<()>,
        permit: Option<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> Result<Arc<Rendered>, Unavailable> {
        let (inner, slot, key) = (Arc::clone(self), Arc::clone(slot), key.clone());
        let (sender, receiver) = oneshot::channel();
        spawn_blocking(move || {
            let began = Instant::now();
            let rendered = inner.render_here(&slot, &key);
            drop((turn, slot));
            // The request may be gone.
            let _ = sender.send(rendered);
            if let Some(permit) = permit {
                thread::sleep(began.elapsed().min(MAX_REST));
                drop(permit);
            }
        });
        match timeout_at(deadline, receiver).await {
            Ok(Ok(rendered)) => rendered,
            // The rendering panicked, or takes too long.
            Ok(Err(_)) | Err(_) => Err(Unavailable::Late),
        }
    }
}

/// Whether a view has to be rendered off the answering thread.
pub(super) fn is_large(aggregator: &Aggregator, view: &View) -> bool {
    aggregator.size_of(view).is_some_and(|components| components > MAX_SMALL_VIEW)
}

#[cfg(test)]
mod tests;
