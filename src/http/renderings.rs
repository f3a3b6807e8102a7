//! The one cache of rendered responses.
//!
//! A response is *current* until there is a newer result, status, drain or configuration.
//!
//! 1. All requests for the same view, format and level of detail share a current response, for as long as it is kept.
//! 2. If there is none, the response is rendered once for all requests that arrived before the rendering began. Metrics and responses that
//!    show the pollers are never current, because every poll changes them; neither is `/livez`, because it depends on the time.
//! 3. A plain poll of a large view gets the last response while the next is rendered, as long as every status in it is current and its values
//!    are at most two seconds old.
//!
//! Responses for large views are rendered off the answering thread: one at a time, and with a rest as long as the work, so that they take at
//! most half of one processor. Plain polls do not queue for this.

use super::renderer::{Rendered, Renderer, RenderingKey};
use crate::{
    engine::{Aggregator, Freshness},
    report::View,
};
use arc_swap::ArcSwapOption;
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

/// With up to this many components, every format of a view is rendered in less than a millisecond.
const MAX_SMALL_VIEW: usize = 64;

/// Between two background renderings for plain polls there is a rest of this many times the rendering's duration.
const BACKGROUND_REST_FACTOR: u32 = 16;

/// The longest rest after the rendering of a large response.
const MAX_REST: Duration = Duration::from_secs(1);

/// How long a poll waits at most for its response to be rendered.
const MAX_POLL_WAIT: Duration = Duration::from_secs(5);

/// The most responses that are kept for later requests, besides those to plain polls.
const MAX_KEPT: usize = 64;
/// The largest body that is kept for later requests, besides those to plain polls.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// The views that plain polls request. `/livez` is not one of them, because it is never current.
const PLAIN_VIEWS: [View; 3] = [View::Whole, View::Ready, View::Startup];

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// There is no such component or group.
    UnknownView,
    /// It was not rendered by the deadline.
    Late,
    /// It does not fit into the memory for responses.
    NoMemory,
}

/// The place for the response to one key.
#[derive(Default)]
struct Slot {
    last: ArcSwapOption<Rendered>,
    /// Locked by the request that renders the next response.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether the next response to plain polls is being rendered in the background, or rests after that.
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

/// The cache. Clones share it.
#[derive(Clone)]
pub(super) struct Renderings(Arc<RenderingCache>);

struct RenderingCache {
    renderer: Renderer,
    plain: [Arc<Slot>; PLAIN_VIEWS.len()],
    others: Mutex<BTreeMap<RenderingKey, Arc<Slot>>>,
    /// Acquired while a large response is rendered.
    large: Arc<Semaphore>,
    /// Counts requests and renderings, which shows the order of any two.
    clock: AtomicU64,
}

impl Renderings {
    pub(super) fn new(renderer: Renderer) -> Self {
        Self(Arc::new(RenderingCache {
            renderer,
            plain: Default::default(),
            others: Mutex::default(),
            large: Arc::new(Semaphore::new(1)),
            clock: AtomicU64::new(0),
        }))
    }

    /// The response to a plain poll of a view. `None`: it is not cached, and has to wait or to be rendered on another thread.
    pub(super) fn plain(&self, view: &View) -> Option<Arc<Rendered>> {
        let renderer = &self.0.renderer;
        let index = PLAIN_VIEWS.iter().position(|plain| plain == view)?;
        let slot = &self.0.plain[index];
        let answers = renderer.answers.load();
        if let Some(last) = &*slot.last.load()
            && Arc::ptr_eq(&last.answers, &answers)
            // Every poll waits for a missing result, not only the first one.
            && !last.source.report.is_awaited()
        {
            match renderer.aggregator.freshness(&last.source) {
                Freshness::Current => return Some(Arc::clone(last)),
                Freshness::StaleValues if is_large(&renderer.aggregator, view) => {
                    self.render_in_background(index);
                    return Some(Arc::clone(last));
                }
                Freshness::StaleValues | Freshness::Outdated => {}
            }
        }
        if is_large(&renderer.aggregator, view) || renderer.aggregator.is_awaited(view) {
            return None;
        }
        self.0.render(slot, &RenderingKey::plain(view.clone(), answers.detail))
    }

    /// The response for a key: the current one, or one that is rendered after this call.
    pub(super) async fn get(&self, key: RenderingKey, deadline: Instant) -> Result<Arc<Rendered>, Unavailable> {
        let slot = self.0.slot(&key);
        let rendered = self.0.get(&slot, &key, deadline).await;
        self.0.leave(&key, &slot);
        rendered
    }

    /// Renders the next response to plain polls, then rests.
    fn render_in_background(&self, index: usize) {
        let slot = &self.0.plain[index];
        // While slow clients read large responses, every rendering is one more that stays in memory.
        let has_room = self.0.renderer.memory.fits(3 * slot.size.load(Ordering::Relaxed));
        if !has_room || slot.in_background.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let began = Instant::now();
            let rendering = Arc::clone(&inner);
            // When this fails, a later poll renders its own response.
            let _ = spawn_blocking(move || {
                let detail = rendering.renderer.answers.load().detail;
                rendering.render(&rendering.plain[index], &RenderingKey::plain(PLAIN_VIEWS[index].clone(), detail));
            })
            .await;
            sleep(began.elapsed() * BACKGROUND_REST_FACTOR).await;
            inner.plain[index].in_background.store(false, Ordering::Release);
        });
    }
}

impl RenderingCache {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel)
    }

    /// The slot of plain polls, if the key is that of a plain poll.
    fn plain_slot(&self, key: &RenderingKey) -> Option<&Arc<Slot>> {
        let index = PLAIN_VIEWS.iter().position(|view| *view == key.view)?;
        let plain = RenderingKey::plain(key.view.clone(), self.renderer.answers.load().detail);
        (*key == plain).then(|| &self.plain[index])
    }

    fn slot(&self, key: &RenderingKey) -> Arc<Slot> {
        if let Some(slot) = self.plain_slot(key) {
            return Arc::clone(slot);
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MAX_KEPT {
            others.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(others.entry(key.clone()).or_default())
    }

    /// Drops a response that is large or that no later request can share. Its size stays known.
    fn leave(&self, key: &RenderingKey, slot: &Arc<Slot>) {
        if self.plain_slot(key).is_some() || (key.is_reusable() && slot.size.load(Ordering::Relaxed) <= MAX_KEPT_BYTES) {
            return;
        }
        let _others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is the map's, the other this request's.
        if Arc::strong_count(slot) == 2 {
            slot.last.store(None);
        }
    }

    /// Drops every response but those to plain polls.
    fn drop_others(&self) {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.values().for_each(|slot| slot.last.store(None));
    }

    /// Renders on this thread.
    fn render(&self, slot: &Slot, key: &RenderingKey) -> Option<Arc<Rendered>> {
        let rendered = self.renderer.render(key, self.tick());
        let size = rendered.as_ref().map_or(0, |rendered| rendered.body.len());
        slot.store(rendered.as_ref(), size);
        rendered
    }

    /// The last response, if it is current or its rendering began after `asked`.
    fn last(&self, slot: &Slot, key: &RenderingKey, asked: u64) -> Option<Arc<Rendered>> {
        let last = slot.last.load_full()?;
        let is_current = || key.is_reusable() && self.renderer.aggregator.freshness(&last.source) == Freshness::Current;
        let is_valid = Arc::ptr_eq(&last.answers, &self.renderer.answers.load()) && (last.began > asked || is_current());
        is_valid.then_some(last)
    }

    async fn get(self: &Arc<Self>, slot: &Arc<Slot>, key: &RenderingKey, deadline: Instant) -> Result<Arc<Rendered>, Unavailable> {
        let asked = self.tick();
        if let Some(last) = self.last(slot, key, asked) {
            return Ok(last);
        }
        // A late response is better for a poll than none: a load balancer's own timeout is longer than our deadline.
        let deadline = if key.is_poll() { deadline.max(Instant::now() + MAX_POLL_WAIT) } else { deadline };
        let turn = timeout_at(deadline, Arc::clone(&slot.turn).lock_owned()).await.map_err(|_| Unavailable::Late)?;
        // Every request that is ready by now can share the response.
        yield_now().await;
        if let Some(last) = self.last(slot, key, asked) {
            return Ok(last);
        }
        let is_large = is_large(&self.renderer.aggregator, &key.view);
        if self.plain_slot(key).is_some() {
            return if is_large { self.render_off_thread(slot, key, turn, None, deadline).await } else { self.render_here(slot, key) };
        }
        let size = slot.size.load(Ordering::Relaxed);
        if !self.renderer.memory.fits(size) {
            self.drop_others();
        }
        if !key.is_poll() && !self.renderer.memory.wait_for(size, deadline).await {
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

    fn render_here(&self, slot: &Slot, key: &RenderingKey) -> Result<Arc<Rendered>, Unavailable> {
        let rendered = self.render(slot, key).ok_or(Unavailable::UnknownView)?;
        if rendered.body.len() > self.renderer.memory.limit() && !key.is_poll() {
            slot.last.store(None);
            return Err(Unavailable::NoMemory);
        }
        Ok(rendered)
    }

    /// Renders on another thread. Even if the client disconnects meanwhile, other requests can use the response.
    async fn render_off_thread(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        key: &RenderingKey,
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
            // The client may have disconnected.
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

/// Whether a view is so large that it has to be rendered off the answering thread.
pub(super) fn is_large(aggregator: &Aggregator, view: &View) -> bool {
    aggregator.size_of(view).is_some_and(|components| components > MAX_SMALL_VIEW)
}

#[cfg(test)]
mod tests;
