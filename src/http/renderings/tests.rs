//! The cache of rendered responses: what is shared, what is rendered again, and what is refused.

use super::*;
use crate::{
    dialect::{Detail, Dialect, MetricsFormat},
    engine::OnDemand,
    http::{memory::ResponseMemory, renderer::RenderingFormat, test_check::PassingCheck},
};
use futures_util::{FutureExt, future::join_all};
use tokio::time::advance;

/// An engine with results, and the cache of its responses.
async fn engine(components: usize, limit: usize) -> (OnDemand, Renderings) {
    let builder = (0..components).fold(Aggregator::builder(), |builder, number| builder.check(&format!("c{number}"), PassingCheck));
    let mut checks = builder.build();
    checks.probe_all(|_, _| {}).await;
    let renderer = Renderer {
        aggregator: checks.aggregator().clone(),
        answers: Arc::default(),
        polls: Arc::default(),
        memory: ResponseMemory::new(limit),
    };
    (checks, Renderings::new(renderer))
}

fn key(format: RenderingFormat) -> RenderingKey {
    RenderingKey { view: View::Whole, format, detail: Detail::Full, with_pollers: matches!(format, RenderingFormat::Metrics(_)), depth: 0 }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

const METRICS: RenderingFormat = RenderingFormat::Metrics(MetricsFormat::Prometheus);

#[tokio::test]
async fn a_response_is_rendered_once_for_each_result() {
    let (mut checks, renderings) = engine(1, usize::MAX).await;
    let first = renderings.plain(&View::Whole).expect("a response");
    assert!(Arc::ptr_eq(&first, &renderings.plain(&View::Whole).expect("a response")));
    let routed = renderings.get(key(RenderingFormat::Report(Dialect::Json)), deadline()).await.expect("a response");
    assert!(Arc::ptr_eq(&first, &routed), "an equal request through the routes");
    checks.probe_all(|_, _| {}).await;
    assert!(!Arc::ptr_eq(&first, &renderings.plain(&View::Whole).expect("a response")));
}

#[tokio::test]
async fn requests_that_arrive_before_a_rendering_begins_share_it() {
    let (_checks, renderings) = engine(1, usize::MAX).await;
    for format in [METRICS, RenderingFormat::Report(Dialect::Text), RenderingFormat::ServiceList] {
        let all = join_all((0..10).map(|_| renderings.get(key(format), deadline()))).await;
        let all: Vec<_> = all.into_iter().map(|one| one.expect("a response")).collect();
        assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])), "{format:?}");
        let later = renderings.get(key(format), deadline()).await.expect("a response");
        assert_eq!(Arc::ptr_eq(&later, &all[0]), format != METRICS, "metrics count each poll: {format:?}");
    }
    assert!(renderings.0.slot(&key(METRICS)).last.load().is_none(), "no other request can share it");
}

#[tokio::test]
async fn a_large_response_is_not_rendered_on_the_answering_thread() {
    let (_checks, renderings) = engine(MAX_SMALL_VIEW + 1, usize::MAX).await;
    assert!(renderings.plain(&View::Whole).is_none());
    for format in [METRICS, RenderingFormat::Report(Dialect::Json), RenderingFormat::Report(Dialect::Html)] {
        assert!(renderings.get(key(format), deadline()).now_or_never().is_none(), "{format:?}");
        renderings.get(key(format), deadline()).await.expect("a response");
    }
    assert!(renderings.plain(&View::Whole).is_some(), "now it is cached");
}

/// As long as no status has changed, the next response is rendered in the background.
#[tokio::test(start_paused = true)]
async fn a_poll_of_a_large_view_does_not_wait_for_values() {
    let (mut checks, renderings) = engine(MAX_SMALL_VIEW + 1, usize::MAX).await;
    let first = renderings.get(key(RenderingFormat::Report(Dialect::Json)), deadline()).await.expect("a response");
    checks.probe_all(|_, _| {}).await;
    assert!(Arc::ptr_eq(&first, &renderings.plain(&View::Whole).expect("a response")));
    let next = loop {
        advance(Duration::from_millis(1)).await;
        match renderings.0.plain[0].last.load_full() {
            Some(next) if !Arc::ptr_eq(&first, &next) => break next,
            _ => {}
        }
    };
    assert!(Arc::ptr_eq(&next, &renderings.plain(&View::Whole).expect("a response")));
    checks.aggregator().drain();
    assert!(renderings.plain(&View::Whole).is_none(), "a status has changed: it has to be rendered first");
}

#[tokio::test(start_paused = true)]
async fn a_response_without_room_is_refused_unless_it_is_for_a_poll() {
    let (mut checks, renderings) = engine(1, usize::MAX).await;
    let read_slowly = renderings.get(key(METRICS), deadline()).await.expect("there is room");
    renderings.0.renderer.memory.set_limit(read_slowly.body.len() + 10);
    renderings.get(key(RenderingFormat::Report(Dialect::Text)), deadline()).await.expect("its size is not known yet");
    checks.probe_all(|_, _| {}).await;
    assert_eq!(renderings.get(key(RenderingFormat::Report(Dialect::Text)), deadline()).await.err(), Some(Unavailable::NoMemory));
    assert!(renderings.plain(&View::Whole).is_some());
    assert!(renderings.get(key(RenderingFormat::Report(Dialect::Json)), deadline()).await.is_ok());
    drop(read_slowly);
    assert!(renderings.get(key(RenderingFormat::Report(Dialect::Text)), deadline()).await.is_ok(), "the client has read it");
    renderings.0.renderer.memory.set_limit(10);
    assert_eq!(renderings.get(key(METRICS), deadline()).await.err(), Some(Unavailable::NoMemory), "it never fits");
    assert!(renderings.get(key(RenderingFormat::Report(Dialect::Json)), deadline()).await.is_ok());
}

#[tokio::test]
async fn the_number_of_kept_responses_is_bounded() {
    let (checks, renderings) = engine(200, usize::MAX).await;
    for component in checks.aggregator().components() {
        let key = RenderingKey { view: View::Component(component.name.clone()), ..key(RenderingFormat::Report(Dialect::Text)) };
        renderings.get(key, deadline()).await.expect("a response");
    }
    assert!(renderings.0.others.lock().expect("no panic").len() <= MAX_KEPT);
    let unknown = RenderingKey { view: View::Component("unknown".parse().expect("a name")), ..key(RenderingFormat::Report(Dialect::Text)) };
    assert_eq!(renderings.get(unknown, deadline()).await.err(), Some(Unavailable::UnknownView));
}
