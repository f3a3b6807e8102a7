//! TLS handshakes: with an RSA key the signature of one takes up to milliseconds, so they are computed one at a time, and addresses take turns.
//!
//! The next turn is that of the address whose last turn was longest ago; its oldest handshake is computed. A new address counts as if it had a turn
//! when it arrived. So a flood from any number of new addresses delays a load balancer, which connects every few seconds, by a few signatures. A
//! flood from the load balancer's own address delays it like every other client there.

use super::super::network::network;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// The most waiting handshakes of one address. Beyond this, its oldest one fails.
const MAX_PER_ADDRESS: usize = 256;

/// The most waiting handshakes in total. Beyond this, the oldest one of the address with most of them fails.
const MAX_WAITING: usize = 1024;

/// The most addresses whose last turns are remembered.
const MAX_REMEMBERED: usize = 4096;

/// The queues of handshakes.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<HandshakeQueues>);

#[derive(Debug, Default)]
struct HandshakeQueues {
    is_busy: bool,
    /// The addresses with waiting handshakes.
    waiting: HashMap<IpAddr, AddressQueue>,
    count: usize,
    /// When each address had its last turn, by a clock that counts turns and new addresses.
    last_turns: HashMap<IpAddr, u64>,
    clock: u64,
}

#[derive(Debug)]
struct AddressQueue {
    /// When the address had its last turn, or arrived.
    since: u64,
    /// The oldest first; never empty.
    queue: VecDeque<oneshot::Sender<Turn>>,
}

/// The right to compute a handshake, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<Handshakes>);

impl Handshakes {
    /// Waits for the turn of a client. `None`: too many others are waiting.
    pub(super) async fn turn(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let address = network(address);
        let receiver = {
            let mut queues = self.queues();
            if !queues.is_busy {
                queues.is_busy = true;
                queues.note_turn(address);
                return Some(Turn(Arc::clone(self)));
            }
            queues.push(address)
        };
        receiver.await.ok()
    }

    fn queues(&self) -> MutexGuard<'_, HandshakeQueues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandshakeQueues {
    fn push(&mut self, address: IpAddr) -> oneshot::Receiver<Turn> {
        if self.waiting.get(&address).is_some_and(|waiting| waiting.queue.len() >= MAX_PER_ADDRESS) {
            self.pop(address);
        } else if self.count >= MAX_WAITING {
            let most = self.waiting.iter().max_by_key(|(_, waiting)| (waiting.queue.len(), waiting.since)).map(|(address, _)| *address);
            most.and_then(|most| self.pop(most));
        }
        self.clock += 1;
        let since = self.last_turns.get(&address).copied().unwrap_or(self.clock);
        let (sender, receiver) = oneshot::channel();
        self.waiting.entry(address).or_insert_with(|| AddressQueue { since, queue: VecDeque::new() }).queue.push_back(sender);
        self.count += 1;
        receiver
    }

    /// Takes the oldest handshake of an address.
    fn pop(&mut self, address: IpAddr) -> Option<oneshot::Sender<Turn>> {
        let waiting = self.waiting.get_mut(&address)?;
        let sender = waiting.queue.pop_front();
        if waiting.queue.is_empty() {
            self.waiting.remove(&address);
        }
        self.count -= usize::from(sender.is_some());
        sender
    }

    /// Takes the next handshake whose client is still connected.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        loop {
            let address = *self.waiting.iter().min_by_key(|(_, waiting)| waiting.since)?.0;
            if let Some(sender) = self.pop(address).filter(|sender| !sender.is_closed()) {
                self.note_turn(address);
                return Some(sender);
            }
        }
    }

    fn note_turn(&mut self, address: IpAddr) {
        self.clock += 1;
        if self.last_turns.len() >= MAX_REMEMBERED
            && !self.last_turns.contains_key(&address)
            // A load balancer connects again and again, so the newest entry is dropped: new addresses of a flood displace each other.
            && let Some(latest) = self.last_turns.iter().max_by_key(|(_, turn)| **turn).map(|(address, _)| *address)
        {
            self.last_turns.remove(&latest);
        }
        self.last_turns.insert(address, self.clock);
        if let Some(waiting) = self.waiting.get_mut(&address) {
            waiting.since = self.clock;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queues = self.0.queues();
            let next = queues.next();
            queues.is_busy = next.is_some();
            next
        };
        if let Some(sender) = next {
            // If the client has disconnected meanwhile, this drops the new turn, which in turn looks for the next client.
            drop(sender.send(Turn(Arc::clone(&self.0))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::{net::Ipv4Addr, pin::pin};

    fn address(last: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(last).expect("a number")))
    }

    #[tokio::test]
    async fn addresses_take_turns_and_disconnected_clients_are_skipped() {
        let handshakes = Arc::<Handshakes>::default();
        let busy = handshakes.turn(address(1)).await.expect("the first turn");
        let (mut one, mut two) = (pin!(handshakes.turn(address(1))), pin!(handshakes.turn(address(1))));
        let (mut left, mut other) = (Box::pin(handshakes.turn(address(3))), pin!(handshakes.turn(address(2))));
        assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
        assert!(left.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
        drop((left, busy));
        let turn = one.await.expect("the turn of the address that arrived first");
        assert!(other.as_mut().now_or_never().is_none());
        drop(turn);
        let turn = other.await.expect("the other address is next");
        assert!(two.as_mut().now_or_never().is_none());
        drop(turn);
        drop(two.await.expect("then the last"));
        assert!(handshakes.turn(address(1)).now_or_never().flatten().is_some(), "no other client is waiting");
    }

    #[tokio::test]
    async fn a_known_address_is_not_displaced_by_new_ones() {
        let handshakes = Arc::<Handshakes>::default();
        drop(handshakes.turn(address(1)).await.expect("a turn"));
        let busy = handshakes.turn(address(2)).await.expect("a turn");
        let mut flood: Vec<_> = (3..MAX_WAITING + 100).map(|last| Box::pin(handshakes.turn(address(last)))).collect();
        for waiting in &mut flood {
            let _ = waiting.as_mut().now_or_never();
        }
        let mut known = pin!(handshakes.turn(address(1)));
        assert!(known.as_mut().now_or_never().is_none());
        for waiting in &mut flood[..50] {
            let _ = waiting.as_mut().now_or_never();
        }
        drop(busy);
        assert!(known.now_or_never().flatten().is_some(), "it is next");
    }

    #[tokio::test]
    async fn at_the_limit_of_an_address_its_oldest_handshake_fails() {
        let handshakes = Arc::<Handshakes>::default();
        let _busy = handshakes.turn(address(1)).await.expect("the first turn");
        let mut other = pin!(handshakes.turn(address(2)));
        assert!(other.as_mut().now_or_never().is_none());
        let mut many: Vec<_> = (0..=MAX_PER_ADDRESS).map(|_| Box::pin(handshakes.turn(address(1)))).collect();
        for waiting in many.iter_mut().rev() {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        // The last one that was polled is the newest.
        assert!(many[MAX_PER_ADDRESS].as_mut().now_or_never().is_some_and(|turn| turn.is_none()), "the oldest gave way");
        assert!(other.as_mut().now_or_never().is_none() && many[0].as_mut().now_or_never().is_none());
    }

    #[tokio::test]
    async fn the_queues_and_the_remembered_turns_are_bounded() {
        let handshakes = Arc::<Handshakes>::default();
        let _busy = handshakes.turn(address(0)).await.expect("the first turn");
        let mut many: Vec<_> = (0..2 * MAX_WAITING).map(|last| Box::pin(handshakes.turn(address(last)))).collect();
        for waiting in &mut many {
            let _ = waiting.as_mut().now_or_never();
        }
        assert_eq!(handshakes.queues().count, MAX_WAITING);
        for last in 0..3 * MAX_REMEMBERED {
            handshakes.queues().note_turn(address(last));
        }
        assert!(handshakes.queues().last_turns.len() <= MAX_REMEMBERED);
    }
}
