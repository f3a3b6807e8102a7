//! Events by a clock that the tests move.

use super::*;
use crate::{engine::OnDemand, http::test_check::PassingCheck};
use std::pin::{Pin, pin};

fn source(aggregator: &Aggregator, view: View, detail: Detail) -> EventSource {
    EventSource { aggregator: aggregator.clone(), polls: Arc::default(), view, detail }
}

/// Many components, whose page takes several events.
fn many(count: usize) -> OnDemand {
    let names = (0..count).map(|number| format!("c{number}"));
    names.fold(Aggregator::builder(), |builder, name| builder.check(&name, PassingCheck)).build()
}

async fn next(events: &mut Pin<&mut impl Stream<Item = [Bytes; 2]>>) -> String {
    String::from_utf8(events.next().await.expect("an event").concat()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn changes_are_sent_at_most_once_a_second_and_a_beat_after_a_silence() {
    let mut checks = Aggregator::builder().check("fleet", PassingCheck).build();
    let events = Events::default();
    let mut stream = pin!(events.subscribe(source(checks.aggregator(), View::Whole, Detail::Status), None));
    let start = Instant::now();
    let first = next(&mut stream).await;
    assert!(first.starts_with("retry: 2000\nid: ") && first.contains("\ndata: <div id=\"page\"><main>"), "{first}");
    assert!(
        first.contains("</main></div><section class=\"verdict calm\" id=\"assessment\"") && first.contains("id=\"c-fleet\""),
        "{first}"
    );
    assert!(first.ends_with("</li>\n\n") && first.lines().count() == 4, "{first}");
    checks.probe_all(|_, _| {}).await;
    checks.aggregator().drain();
    let second = next(&mut stream).await;
    assert!(second.contains("Draining") && second.contains("id=\"c-fleet\""), "{second}");
    assert_eq!(start.elapsed(), MIN_CHANGE_INTERVAL);
    let third = next(&mut stream).await;
    assert!(third.contains("\nevent: beat\ndata: "), "{third}");
    assert_eq!(start.elapsed(), MIN_CHANGE_INTERVAL + MAX_SILENCE);
}

#[test]
fn after_many_bytes_the_rest_is_longer_but_no_silence() {
    for (bytes, expected) in
        [(0, MIN_CHANGE_INTERVAL), (100_000, MIN_CHANGE_INTERVAL), (300_000, MIN_CHANGE_INTERVAL * 3), (usize::MAX, MAX_SILENCE)]
    {
        assert_eq!(rest(bytes), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_component_end_with_it() {
    let checks = Aggregator::builder().check("fleet", PassingCheck).build();
    let (aggregator, events) = (checks.aggregator(), Events::default());
    let fleet = || source(aggregator, View::Component("fleet".parse().expect("a name")), Detail::Full);
    let mut stream = pin!(events.subscribe(fleet(), None));
    assert!(stream.next().await.is_some());
    aggregator.replace(Aggregator::builder());
    assert!(stream.next().await.is_none());
    // When it is back, so are its events, though a client of the ended feed is still there.
    aggregator.replace(Aggregator::builder().check("fleet", PassingCheck));
    assert!(pin!(events.subscribe(fleet(), None)).next().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn subscribers_of_a_view_share_a_feed_which_ends_with_the_last_of_them() {
    let checks = many(1);
    let events = Events::default();
    let whole = || source(checks.aggregator(), View::Whole, Detail::Full);
    let mut one = Box::pin(events.subscribe(whole(), None));
    let mut other = Box::pin(events.subscribe(whole(), None));
    let (first, second) = (one.next().await.expect("an event"), other.next().await.expect("an event"));
    assert_eq!(first[1].as_ptr(), second[1].as_ptr(), "the same bytes");
    let _less = events.subscribe(source(checks.aggregator(), View::Whole, Detail::Status), None);
    let feeds = || events.feeds.lock().expect("no panic").values().filter_map(Weak::upgrade).count();
    assert_eq!(feeds(), 2);
    let task = events.feed(whole()).task.clone();
    drop(one);
    assert!(!task.is_finished());
    drop(other);
    tokio::task::yield_now().await;
    assert!(task.is_finished());
    assert_eq!(feeds(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_lost_its_subscription_keeps_no_feed() {
    let checks = many(1);
    let events = Events::default();
    let fleet = source(checks.aggregator(), View::Component("c0".parse().expect("a name")), Detail::Full);
    let mut stalled = pin!(events.subscribe(fleet, None));
    assert!(stalled.next().await.is_some());
    let whole = || source(checks.aggregator(), View::Whole, Detail::Full);
    let _others: Vec<_> = (0..crate::http::subscriptions::MAX_SUBSCRIBERS).map(|_| events.subscribe(whole(), None)).collect();
    assert_eq!(events.feeds.lock().expect("no panic").values().filter_map(Weak::upgrade).count(), 1);
    assert!(stalled.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_lags_gets_the_whole_change_at_once() {
    let mut checks = many(100);
    let events = Events::default();
    let mut stream = pin!(events.subscribe(source(checks.aggregator(), View::Whole, Detail::Status), None));
    while timeout(MIN_CHANGE_INTERVAL / 2, next(&mut stream)).await.is_ok() {}
    for _ in 0..10 {
        checks.probe_all(|_, _| {}).await;
        sleep(MIN_CHANGE_INTERVAL * 2).await;
    }
    let mut read = String::new();
    while let Ok(event) = timeout(MIN_CHANGE_INTERVAL / 2, next(&mut stream)).await {
        read.push_str(&event);
    }
    for number in 0..100 {
        assert!(read.matches(&format!("id=\"c-c{number}\"><div")).count() == 1, "{number}: {read}");
    }
}
