//! The seats of connections: who has one, and who has to leave when there are too few.
//!
//! A new connection always gets a seat. Beyond `server.max_connections`, and beyond an address's share, another connection is closed at once:
//! first by its [`Claim`], then of the address that holds most seats, then the oldest; the youngest quarter last. The age is that since the
//! connection was accepted, which nothing that a client does can renew.

use super::{
    super::network::network,
    activity::{Activity, Claim, PATIENCE},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{sync::Notify, time::Instant};

/// When room has to be made, one part in so many of all seats becomes free at once.
const HEADROOM: usize = 32;

/// How many connections may be in the course of being closed while others are accepted.
const MAX_CLOSING: usize = 64;

/// Whether a connection is young, its claim, how many its address holds, and its number.
type Rank = (bool, Claim, Reverse<usize>, u64);

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Seats {
    table: Mutex<Table>,
    /// The streams of all connections together.
    streams: Arc<AtomicUsize>,
    /// The connections that have a socket, also those that are being closed.
    open: AtomicUsize,
    /// Notified when a connection has ended.
    pub(super) ended: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By age, the oldest first.
    taken: BTreeMap<u64, Taken>,
    by_source: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Taken {
    source: IpAddr,
    activity: Arc<Activity>,
}

/// A connection's seat, until it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    pub(super) activity: Arc<Activity>,
}

impl Seats {
    /// Gives a seat to a new connection, and closes others where there are now more than `limit`.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, limit: usize) -> Seat {
        let source = network(address);
        let activity = Activity::new(Arc::clone(&self.streams));
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.taken.insert(number, Taken { source, activity: Arc::clone(&activity) });
        *table.by_source.entry(source).or_default() += 1;
        if table.by_source.get(&source).is_some_and(|held| *held > share(limit)) {
            table.close(limit, |_, taken| taken.source == source);
        }
        if table.taken.len() > limit {
            // Some more at once: in a crowd, the next newcomers are here already.
            table.close_down_to(limit - limit / HEADROOM);
        }
        drop(table);
        self.open.fetch_add(1, Ordering::Relaxed);
        Seat { seats: Arc::clone(self), number, activity }
    }

    /// Whether so many connections are being closed that a newcomer has to wait until their sockets and memory are gone.
    pub(super) fn is_crowded(&self, limit: usize) -> bool {
        let closing = self.open.load(Ordering::Relaxed).saturating_sub(self.table().taken.len());
        closing >= spare(limit).min(MAX_CLOSING)
    }

    /// Closes connections when all together have more than `limit` streams: of those that have several.
    pub(super) fn bound_streams(&self, limit: usize, seats: usize) {
        let streams = || self.streams.load(Ordering::Relaxed);
        if streams() > limit {
            let mut table = self.table();
            while streams() > limit - limit / 8 && table.close(seats, |_, taken| taken.activity.streams() > 1) {}
        }
    }

    /// Closes some connections, for want of descriptors.
    pub(super) fn close_some(&self, limit: usize) {
        let mut table = self.table();
        for _ in 0..=table.taken.len() / 16 {
            table.close(limit, |_, _| true);
        }
    }

    /// Closes the connection that has been reading its answer for longest. `false`: all read at a reasonable pace.
    pub(super) fn close_slow_reader(&self) -> bool {
        let mut table = self.table();
        let since = |taken: &Taken| taken.activity.reading_since();
        let slowest = table.taken.iter().filter_map(|(number, taken)| Some((since(taken)?, *number))).min();
        let Some((_, number)) = slowest.filter(|(since, _)| since.elapsed() >= PATIENCE) else { return false };
        if let Some(taken) = table.remove(number) {
            taken.activity.close();
        }
        true
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Closes the weakest connections until so many are left.
    fn close_down_to(&mut self, limit: usize) {
        let mut ranked: Vec<_> = self.ranked(limit, |_, _| true).collect();
        let surplus = ranked.len().saturating_sub(limit);
        if surplus == 0 {
            return;
        }
        ranked.select_nth_unstable(surplus - 1);
        for (.., number) in &ranked[..surplus] {
            if let Some(taken) = self.remove(*number) {
                taken.activity.close();
            }
        }
    }

    /// Closes one connection of those that may be closed. `false`: there is none.
    fn close(&mut self, limit: usize, may_close: impl Fn(u64, &Taken) -> bool) -> bool {
        let Some((.., number)) = self.ranked(limit, may_close).min() else { return false };
        if let Some(taken) = self.remove(number) {
            taken.activity.close();
        }
        true
    }

    /// The connections that may be closed, each with its rank: the least is closed first.
    fn ranked(&self, limit: usize, may_close: impl Fn(u64, &Taken) -> bool) -> impl Iterator<Item = Rank> {
        let now = Instant::now();
        // The youngest quarter stays as long as there is another: their first requests are in progress or on the way, whatever it looks like.
        let young = self.taken.len().saturating_sub(limit / 4).min(self.taken.len().saturating_sub(1));
        let candidates = self.taken.iter().enumerate().filter(move |(_, (number, taken))| may_close(**number, taken));
        candidates.map(move |(index, (number, taken))| {
            let held = self.by_source.get(&taken.source).copied().unwrap_or_default();
            (index >= young, taken.activity.claim(now), Reverse(held), *number)
        })
    }

    fn remove(&mut self, number: u64) -> Option<Taken> {
        let taken = self.taken.remove(&number)?;
        if let Some(held) = self.by_source.get_mut(&taken.source) {
            *held -= 1;
            if *held == 0 {
                self.by_source.remove(&taken.source);
            }
        }
        Some(taken)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table().remove(self.number);
        self.seats.open.fetch_sub(1, Ordering::Relaxed);
        self.seats.ended.notify_one();
    }
}

/// How many sockets there may be besides the seats, of connections that are being closed.
pub(super) const fn spare(limit: usize) -> usize {
    limit / 8 + 8
}

/// How many seats one address may hold.
const fn share(limit: usize) -> usize {
    limit - limit / 4
}

#[cfg(test)]
mod tests {
    use super::{super::activity::ARRIVAL, *};
    use std::net::Ipv4Addr;
    use tokio::time::advance;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    fn is_open(seat: &Seat) -> bool {
        seat.seats.table().taken.contains_key(&seat.number)
    }

    #[tokio::test(start_paused = true)]
    async fn the_weakest_claim_leaves_first() {
        let seats = Arc::<Seats>::default();
        let taken: Vec<_> = (0..4).map(|last| seats.take(address(last), 4)).collect();
        advance(ARRIVAL).await;
        taken[2].activity.received(false);
        advance(ARRIVAL).await;
        let newcomer = seats.take(address(9), 4);
        assert_eq!(taken.iter().map(is_open).collect::<Vec<_>>(), [true, true, false, true], "half a request leaves before idle ones");
        let second = seats.take(address(9), 4);
        assert_eq!(taken.iter().map(is_open).collect::<Vec<_>>(), [false, true, false, true], "then the oldest");
        assert!(is_open(&newcomer) && is_open(&second));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_many_seats_loses_them_before_others() {
        let seats = Arc::<Seats>::default();
        let other = seats.take(address(1), 8);
        let many: Vec<_> = (0..7).map(|_| seats.take(address(2), 8)).collect();
        assert_eq!(many.iter().filter(|seat| is_open(seat)).count(), share(8), "no address has all seats");
        advance(ARRIVAL).await;
        let newcomers: Vec<_> = (3..6).map(|last| seats.take(address(last), 8)).collect();
        assert!(is_open(&other), "it is the oldest, and alone at its address");
        assert!(newcomers.iter().all(is_open));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_stays_in_a_crowd_of_new_ones() {
        let seats = Arc::<Seats>::default();
        let crowd: Vec<_> = (0..64).map(|last| seats.take(address(last), 64)).collect();
        let (first, poll) = (seats.take(address(200), 64), seats.take(address(200), 64));
        let later: Vec<_> = (100..112).map(|last| seats.take(address(last), 64)).collect();
        assert!(is_open(&first) && is_open(&poll), "although its address holds most");
        drop((crowd, later));
    }

    #[test]
    fn seats_are_given_back() {
        let seats = Arc::<Seats>::default();
        drop((0..100).map(|last| seats.take(address(last), 10)).collect::<Vec<_>>());
        let table = seats.table();
        assert!(table.taken.is_empty() && table.by_source.is_empty());
    }
}
