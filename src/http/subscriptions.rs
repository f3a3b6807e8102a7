//! Subscriptions: a bound on responses without an end, and which subscriber loses its subscription for a new one.

use super::network::network;
#[cfg(feature = "server")]
use std::mem;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};

/// The most subscribers at a time.
pub(super) const MAX_SUBSCRIBERS: usize = 256;

/// The most subscribers on one connection, so that a few HTTP/2 connections cannot take all subscriptions.
pub(super) const MAX_PER_CONNECTION: usize = 16;

/// The subscriptions to one kind of endless response. A new client always gets one; at the limit, another subscriber loses its own. `T` is
/// what a subscriber needs for as long as it has its subscription.
#[derive(Debug)]
pub(super) struct Subscriptions<T>(Arc<Mutex<SubscriberTable<T>>>);

#[derive(Debug)]
struct SubscriberTable<T> {
    next_number: u64,
    /// By age, the oldest first.
    subscribers: BTreeMap<u64, SubscriberEntry<T>>,
}

#[derive(Debug)]
struct SubscriberEntry<T> {
    holder: Holder,
    ended: Arc<Notify>,
    _needed: T,
}

/// Which client has a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    /// Address and port identify a connection; `None` where an embedding application does not provide them.
    peer: Option<SocketAddr>,
    /// When it last took an event.
    active: Instant,
}

impl<T> Default for Subscriptions<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(SubscriberTable { next_number: 0, subscribers: BTreeMap::new() })))
    }
}

impl<T> Subscriptions<T> {
    /// Subscribes a client. If another subscriber loses its subscription for it, that one's [`Subscription::ended`] returns.
    pub(super) fn subscribe(&self, peer: Option<SocketAddr>, needed: T) -> Subscription<T> {
        let holder = Holder { peer, active: Instant::now() };
        let ended = Arc::new(Notify::new());
        let mut table = lock(&self.0);
        let displaced = displaced(table.subscribers.iter().map(|(number, subscriber)| (*number, &subscriber.holder)), peer);
        let removed = displaced.and_then(|number| table.subscribers.remove(&number));
        let number = table.next_number;
        table.next_number += 1;
        table.subscribers.insert(number, SubscriberEntry { holder, ended: Arc::clone(&ended), _needed: needed });
        drop(table);
        if let Some(removed) = removed {
            removed.ended.notify_one();
        }
        Subscription { number, ended, table: Arc::clone(&self.0) }
    }

    /// Ends all subscriptions.
    #[cfg(feature = "server")]
    pub(super) fn end_all(&self) {
        let subscribers = mem::take(&mut lock(&self.0).subscribers);
        for subscriber in subscribers.values() {
            subscriber.ended.notify_one();
        }
    }
}

/// A subscription, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Subscription<T> {
    number: u64,
    ended: Arc<Notify>,
    table: Arc<Mutex<SubscriberTable<T>>>,
}

impl<T> Subscription<T> {
    /// Notes that the client took an event.
    pub(super) fn touch(&self) {
        if let Some(subscriber) = lock(&self.table).subscribers.get_mut(&self.number) {
            subscriber.holder.active = Instant::now();
        }
    }

    /// Returns when another client has got this subscription, or all subscriptions have ended.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<T> {
        let ended = Arc::clone(&self.ended);
        async move { ended.notified().await }
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        // The entry is dropped after the lock is released.
        let _subscriber = lock(&self.table).subscribers.remove(&self.number);
    }
}

fn lock<T>(table: &Mutex<SubscriberTable<T>>) -> MutexGuard<'_, SubscriberTable<T>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The subscriber that loses its subscription to a new one from `peer`, if the limit is reached: the one that has taken no event for longest. It
/// is chosen from the new client's own connection if that has the most that one may have, otherwise from the network with most subscribers, the
/// new one counted. `taken` is in order of age.
fn displaced<'a>(taken: impl Iterator<Item = (u64, &'a Holder)> + Clone, peer: Option<SocketAddr>) -> Option<u64> {
    let own = taken.clone().filter(|(_, holder)| peer.is_some() && holder.peer == peer);
    if own.clone().count() >= MAX_PER_CONNECTION {
        return longest_idle(own);
    }
    if taken.clone().count() < MAX_SUBSCRIBERS {
        return None;
    }
    let mut counts = BTreeMap::from([(network_of(peer), 1)]);
    for (_, holder) in taken.clone() {
        *counts.entry(network_of(holder.peer)).or_insert(0) += 1;
    }
    let most = counts.values().max().copied();
    longest_idle(taken.filter(|(_, holder)| counts.get(&network_of(holder.peer)).copied() == most))
}

/// The one that has been idle for longest; of several, the oldest.
fn longest_idle<'a>(holders: impl Iterator<Item = (u64, &'a Holder)>) -> Option<u64> {
    holders.min_by_key(|(number, holder)| (holder.active, *number)).map(|(number, _)| number)
}

/// The network of a client. All clients with unknown addresses count as one network.
fn network_of(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| network(peer.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use std::time::Duration;
    use tokio::time::advance;

    fn peer(address: &str) -> SocketAddr {
        address.parse().expect("an address")
    }

    fn subscribe(subscriptions: &Subscriptions<()>, address: &str) -> Subscription<()> {
        subscriptions.subscribe(Some(peer(address)), ())
    }

    fn has_ended<T>(seat: &Subscription<T>) -> bool {
        seat.ended().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_at_its_limit_loses_its_longest_idle_subscription() {
        let subscriptions = Subscriptions::default();
        let stranger = subscribe(&subscriptions, "192.0.2.1:2");
        let seats: Vec<_> = (0..MAX_PER_CONNECTION).map(|_| subscribe(&subscriptions, "192.0.2.1:1")).collect();
        advance(Duration::from_secs(1)).await;
        seats[0].touch();
        let newcomer = subscribe(&subscriptions, "192.0.2.1:1");
        let ended: Vec<_> = seats.iter().map(has_ended).collect();
        assert_eq!(ended.iter().position(|ended| *ended), Some(1), "the first one was active since");
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        assert!(!has_ended(&stranger) && !has_ended(&newcomer));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_subscription_is_free_for_others() {
        let subscriptions = Subscriptions::default();
        let first = subscribe(&subscriptions, "192.0.2.1:1");
        for _ in 0..2 * MAX_PER_CONNECTION {
            drop(subscribe(&subscriptions, "192.0.2.1:1"));
        }
        assert!(!has_ended(&first));
        assert_eq!(lock(&subscriptions.0).subscribers.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_with_unknown_addresses_are_one_network_but_not_one_connection() {
        let subscriptions = Subscriptions::default();
        let seats: Vec<_> = (0..=MAX_SUBSCRIBERS).map(|_| subscriptions.subscribe(None, ())).collect();
        assert!(has_ended(&seats[0]) && !seats[1..].iter().any(has_ended));
    }

    #[tokio::test(start_paused = true)]
    async fn many_subscribers_of_one_address_lose_their_subscriptions_to_others() {
        let subscriptions = Subscriptions::default();
        let crowd: Vec<_> = (0..2 * MAX_SUBSCRIBERS).map(|port| subscribe(&subscriptions, &format!("192.0.2.1:{}", port + 1))).collect();
        let others: Vec<_> = (1..=100).map(|last| subscribe(&subscriptions, &format!("198.51.100.{last}:1"))).collect();
        assert!(!others.iter().any(has_ended));
        assert_eq!(crowd.iter().filter(|seat| !has_ended(seat)).count(), MAX_SUBSCRIBERS - 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_subscriber_needs_is_dropped_with_its_subscription() {
        let (subscriptions, needed) = (Subscriptions::default(), Arc::new(()));
        let _seats: Vec<_> = (0..300).map(|_| subscriptions.subscribe(None, Arc::clone(&needed))).collect();
        assert_eq!(Arc::strong_count(&needed), 1 + MAX_SUBSCRIBERS);
    }

    /// What a client does. It is given by the numbers of its address and of its connection.
    #[derive(Clone, Debug)]
    enum ClientStep {
        Subscribe(u8, u8),
        Leave(prop::sample::Index),
        Touch(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<ClientStep>> {
        // Few addresses with many connections, so that the limit is reached soon.
        let step = prop_oneof![
            8 => (0..6_u8, 0..20_u8).prop_map(|(address, connection)| ClientStep::Subscribe(address * address, connection)),
            1 => any::<prop::sample::Index>().prop_map(ClientStep::Leave),
            1 => any::<prop::sample::Index>().prop_map(ClientStep::Touch),
        ];
        prop::collection::vec(step, 0..900)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn no_limit_is_exceeded_and_only_the_largest_network_loses_a_subscription(steps in steps()) {
            // The model: all subscriptions, and by which step each was active last.
            let mut model: BTreeMap<u64, Holder> = BTreeMap::new();
            let start = Instant::now();
            for (number, step) in (0_u64..).zip(steps) {
                let active = start + Duration::from_secs(number);
                match step {
                    ClientStep::Subscribe(address, connection) => {
                        let newcomer = Some(peer(&format!("192.0.2.{address}:{}", u16::from(connection) + 1)));
                        let mut sizes = BTreeMap::from([(network_of(newcomer), 1)]);
                        for holder in model.values() {
                            *sizes.entry(network_of(holder.peer)).or_insert(0) += 1;
                        }
                        let size = |holder: &Holder| sizes[&network_of(holder.peer)];
                        let on_connection = |model: &BTreeMap<u64, Holder>| model.values().filter(|holder| holder.peer == newcomer).count();
                        let chosen = displaced(model.iter().map(|(number, holder)| (*number, holder)), newcomer);
                        let is_full = on_connection(&model) == MAX_PER_CONNECTION;
                        prop_assert_eq!(chosen.is_some(), is_full || model.len() == MAX_SUBSCRIBERS);
                        if let Some(chosen) = chosen {
                            let left = model[&chosen];
                            let idler = |holder: &Holder| holder.active < left.active;
                            if is_full {
                                prop_assert_eq!(left.peer, newcomer);
                                prop_assert!(!model.values().any(|holder| holder.peer == newcomer && idler(holder)));
                            } else {
                                let largest = size(&left);
                                prop_assert!(model.values().all(|holder| size(holder) <= largest));
                                prop_assert!(!model.values().any(|holder| size(holder) == largest && idler(holder)));
                            }
                            model.remove(&chosen);
                        }
                        model.insert(number, Holder { peer: newcomer, active });
                        prop_assert!(model.len() <= MAX_SUBSCRIBERS && on_connection(&model) <= MAX_PER_CONNECTION);
                    }
                    ClientStep::Leave(index) if !model.is_empty() => {
                        let number = *index.get(&model.keys().copied().collect::<Vec<_>>());
                        model.remove(&number);
                    }
                    ClientStep::Touch(index) if !model.is_empty() => {
                        let number = *index.get(&model.keys().copied().collect::<Vec<_>>());
                        model.entry(number).and_modify(|holder| holder.active = active);
                    }
                    ClientStep::Leave(_) | ClientStep::Touch(_) => {}
                }
            }
        }
    }
}
