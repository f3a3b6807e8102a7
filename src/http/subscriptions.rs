//! Seats for answers without an end: how many there are, and which subscriber has to leave when all are taken.

use super::network::network;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};

/// The most subscribers at a time.
pub(super) const MAX_SUBSCRIBERS: usize = 256;

/// The most subscribers on one connection, so that a few HTTP/2 connections cannot take all seats.
pub(super) const MAX_PER_CONNECTION: usize = 16;

/// The seats of one kind of endless answer. A newcomer always gets one; when there is none left, another subscriber has to leave. `T` is what a
/// subscriber needs for as long as it has its seat.
#[derive(Debug)]
pub(super) struct Subscriptions<T>(Arc<Mutex<Taken<T>>>);

#[derive(Debug)]
struct Taken<T> {
    next: u64,
    /// By age, the oldest first.
    subscribers: BTreeMap<u64, Subscriber<T>>,
}

#[derive(Debug)]
struct Subscriber<T> {
    holder: Holder,
    ended: Arc<Notify>,
    _needed: T,
}

/// Which client has a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    /// Address and port identify a connection; `None` where an embedding application does not provide them.
    peer: Option<SocketAddr>,
    /// When it last took an event.
    active: Instant,
}

impl<T> Default for Subscriptions<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Taken { next: 0, subscribers: BTreeMap::new() })))
    }
}

impl<T> Subscriptions<T> {
    /// Gives a seat to a newcomer. If another subscriber has to leave for it, its [`Seat::ended`] returns.
    pub(super) fn enter(&self, peer: Option<SocketAddr>, needed: T) -> Seat<T> {
        let holder = Holder { peer, active: Instant::now() };
        let ended = Arc::new(Notify::new());
        let mut taken = lock(&self.0);
        let leaving = leaving(taken.subscribers.iter().map(|(number, subscriber)| (*number, &subscriber.holder)), peer);
        let removed = leaving.and_then(|number| taken.subscribers.remove(&number));
        let number = taken.next;
        taken.next += 1;
        taken.subscribers.insert(number, Subscriber { holder, ended: Arc::clone(&ended), _needed: needed });
        drop(taken);
        if let Some(removed) = removed {
            removed.ended.notify_one();
        }
        Seat { number, ended, taken: Arc::clone(&self.0) }
    }
}

/// A subscriber's seat, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat<T> {
    number: u64,
    ended: Arc<Notify>,
    taken: Arc<Mutex<Taken<T>>>,
}

impl<T> Seat<T> {
    /// Notes that the client took an event.
    pub(super) fn touch(&self) {
        if let Some(subscriber) = lock(&self.taken).subscribers.get_mut(&self.number) {
            subscriber.holder.active = Instant::now();
        }
    }

    /// Returns when the subscriber has to leave; by then, the seat is another's.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<T> {
        let ended = Arc::clone(&self.ended);
        async move { ended.notified().await }
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        // What the subscriber needed is dropped after the lock is released.
        let _subscriber = lock(&self.taken).subscribers.remove(&self.number);
    }
}

fn lock<T>(taken: &Mutex<Taken<T>>) -> MutexGuard<'_, Taken<T>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The subscriber that has to leave for a newcomer from `peer`, if any has to: the one that has taken no event for longest, of the newcomer's own
/// connection if that has all that one may have, else of the network with most subscribers, the newcomer counted. `taken` is in order of age.
fn leaving<'a>(taken: impl Iterator<Item = (u64, &'a Holder)> + Clone, peer: Option<SocketAddr>) -> Option<u64> {
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

/// The first of those that have been idle for longest.
fn longest_idle<'a>(holders: impl Iterator<Item = (u64, &'a Holder)>) -> Option<u64> {
    holders.min_by_key(|(number, holder)| (holder.active, *number)).map(|(number, _)| number)
}

/// The network of a client; all clients of which the server knows no address count as one.
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

    fn enter(subscriptions: &Subscriptions<()>, address: &str) -> Seat<()> {
        subscriptions.enter(Some(peer(address)), ())
    }

    fn has_ended<T>(seat: &Seat<T>) -> bool {
        seat.ended().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_all_its_seats_loses_its_longest_idle_one() {
        let subscriptions = Subscriptions::default();
        let stranger = enter(&subscriptions, "192.0.2.1:2");
        let seats: Vec<_> = (0..MAX_PER_CONNECTION).map(|_| enter(&subscriptions, "192.0.2.1:1")).collect();
        advance(Duration::from_secs(1)).await;
        seats[0].touch();
        let newcomer = enter(&subscriptions, "192.0.2.1:1");
        let ended: Vec<_> = seats.iter().map(has_ended).collect();
        assert_eq!(ended.iter().position(|ended| *ended), Some(1), "the first one was active since");
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        assert!(!has_ended(&stranger) && !has_ended(&newcomer));
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_is_dropped_is_free() {
        let subscriptions = Subscriptions::default();
        let first = enter(&subscriptions, "192.0.2.1:1");
        for _ in 0..2 * MAX_PER_CONNECTION {
            drop(enter(&subscriptions, "192.0.2.1:1"));
        }
        assert!(!has_ended(&first));
        assert_eq!(lock(&subscriptions.0).subscribers.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_peers_share_all_seats_but_are_not_one_connection() {
        let subscriptions = Subscriptions::default();
        let seats: Vec<_> = (0..=MAX_SUBSCRIBERS).map(|_| subscriptions.enter(None, ())).collect();
        assert!(has_ended(&seats[0]) && !seats[1..].iter().any(has_ended));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_from_one_address_loses_its_seats_to_the_others() {
        let subscriptions = Subscriptions::default();
        let crowd: Vec<_> = (0..2 * MAX_SUBSCRIBERS).map(|port| enter(&subscriptions, &format!("192.0.2.1:{}", port + 1))).collect();
        let others: Vec<_> = (1..=100).map(|last| enter(&subscriptions, &format!("198.51.100.{last}:1"))).collect();
        assert!(!others.iter().any(has_ended));
        assert_eq!(crowd.iter().filter(|seat| !has_ended(seat)).count(), MAX_SUBSCRIBERS - 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_subscriber_needs_is_dropped_when_it_has_to_leave() {
        let (subscriptions, needed) = (Subscriptions::default(), Arc::new(()));
        let _seats: Vec<_> = (0..300).map(|_| subscriptions.enter(None, Arc::clone(&needed))).collect();
        assert_eq!(Arc::strong_count(&needed), 1 + MAX_SUBSCRIBERS);
    }

    /// What a client does: the number of its address, and of its connection.
    #[derive(Clone, Debug)]
    enum Step {
        Enter(u8, u8),
        Leave(prop::sample::Index),
        Touch(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few addresses with many connections, so that all seats are taken soon.
        let step = prop_oneof![
            8 => (0..6_u8, 0..20_u8).prop_map(|(address, connection)| Step::Enter(address * address, connection)),
            1 => any::<prop::sample::Index>().prop_map(Step::Leave),
            1 => any::<prop::sample::Index>().prop_map(Step::Touch),
        ];
        prop::collection::vec(step, 0..900)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn no_limit_is_exceeded_and_only_the_largest_network_loses_a_seat(steps in steps()) {
            // The model: all seats, and by which step each was active last.
            let mut model: BTreeMap<u64, Holder> = BTreeMap::new();
            let start = Instant::now();
            for (number, step) in (0_u64..).zip(steps) {
                let active = start + Duration::from_secs(number);
                match step {
                    Step::Enter(address, connection) => {
                        let newcomer = Some(peer(&format!("192.0.2.{address}:{}", u16::from(connection) + 1)));
                        let mut sizes = BTreeMap::from([(network_of(newcomer), 1)]);
                        for holder in model.values() {
                            *sizes.entry(network_of(holder.peer)).or_insert(0) += 1;
                        }
                        let size = |holder: &Holder| sizes[&network_of(holder.peer)];
                        let on_connection = |model: &BTreeMap<u64, Holder>| model.values().filter(|holder| holder.peer == newcomer).count();
                        let chosen = leaving(model.iter().map(|(number, holder)| (*number, holder)), newcomer);
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
                    Step::Leave(index) if !model.is_empty() => {
                        let number = *index.get(&model.keys().copied().collect::<Vec<_>>());
                        model.remove(&number);
                    }
                    Step::Touch(index) if !model.is_empty() => {
                        let number = *index.get(&model.keys().copied().collect::<Vec<_>>());
                        model.entry(number).and_modify(|holder| holder.active = active);
                    }
                    Step::Leave(_) | Step::Touch(_) => {}
                }
            }
        }
    }
}
