//! All open connections, and which of them is closed when there are too many.
//!
//! A new connection is always admitted. Beyond `server.max_connections`, and beyond the share of one address, another connection is closed at once.
//! It is chosen by the [`CloseOrder`], then from the address with most connections, then by age, the oldest first; the youngest quarter is spared as
//! long as possible. The age counts from the accept, so a client cannot renew it.

use super::{
    super::network::network,
    activity::{Activity, CloseOrder, STALL_THRESHOLD},
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

/// At the limit, one connection in this many is closed at once, so that there is room for the next new ones.
const HEADROOM_DIVISOR: usize = 32;

/// The most connections that may be closing while others are accepted.
const MAX_CLOSING: usize = 64;

/// Whether a connection is young, its [`CloseOrder`], how many its address has, and its number.
type Rank = (bool, CloseOrder, Reverse<usize>, u64);

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: Mutex<ConnectionTable>,
    /// The streams of all connections together.
    streams: Arc<AtomicUsize>,
    /// The number of sockets, those of closing connections included.
    open: AtomicUsize,
    /// Notified when a connection has ended.
    pub(super) ended: Notify,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    next_number: u64,
    /// By age, the oldest first.
    entries: BTreeMap<u64, ConnectionEntry>,
    by_source: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct ConnectionEntry {
    source: IpAddr,
    activity: Arc<Activity>,
}

/// A connection's place in the table, until it is dropped.
pub(super) struct AdmittedConnection {
    connections: Arc<Connections>,
    number: u64,
    pub(super) activity: Arc<Activity>,
}

impl Connections {
    /// Admits a new connection, and closes others if there are now more than `limit`.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, limit: usize) -> AdmittedConnection {
        let source = network(address);
        let activity = Activity::new(Arc::clone(&self.streams));
        let mut table = self.table();
        let number = table.next_number;
        table.next_number += 1;
        table.entries.insert(number, ConnectionEntry { source, activity: Arc::clone(&activity) });
        *table.by_source.entry(source).or_default() += 1;
        if table.by_source.get(&source).is_some_and(|held| *held > share(limit)) {
            table.close(limit, |_, entry| entry.source == source);
        }
        if table.entries.len() > limit {
            // Some more at once: in a crowd the next new connections are already waiting.
            table.close_down_to(limit - limit / HEADROOM_DIVISOR);
        }
        drop(table);
        self.open.fetch_add(1, Ordering::Relaxed);
        AdmittedConnection { connections: Arc::clone(self), number, activity }
    }

    /// Whether too many connections are closing: then a new one has to wait until their sockets and memory are released.
    pub(super) fn is_crowded(&self, limit: usize) -> bool {
        let closing = self.open.load(Ordering::Relaxed).saturating_sub(self.table().entries.len());
        closing >= spare(limit).min(MAX_CLOSING)
    }

    /// If all connections together have more than `limit` streams, closes some that have several.
    pub(super) fn bound_streams(&self, limit: usize, max_connections: usize) {
        let streams = || self.streams.load(Ordering::Relaxed);
        if streams() > limit {
            let mut table = self.table();
            while streams() > limit - limit / 8 && table.close(max_connections, |_, entry| entry.activity.streams() > 1) {}
        }
    }

    /// Closes some connections to release descriptors.
    pub(super) fn close_some(&self, limit: usize) {
        let mut table = self.table();
        for _ in 0..=table.entries.len() / 16 {
            table.close(limit, |_, _| true);
        }
    }

    /// Closes the connection that has been reading its response for longest. `false`: every client reads fast enough.
    pub(super) fn close_slow_reader(&self) -> bool {
        let mut table = self.table();
        let since = |entry: &ConnectionEntry| entry.activity.reading_since();
        let slowest = table.entries.iter().filter_map(|(number, entry)| Some((since(entry)?, *number))).min();
        let Some((_, number)) = slowest.filter(|(since, _)| since.elapsed() >= STALL_THRESHOLD) else { return false };
        if let Some(entry) = table.remove(number) {
            entry.activity.close();
        }
        true
    }

    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    /// Closes the connections with the lowest rank until `limit` are left.
    fn close_down_to(&mut self, limit: usize) {
        let mut ranked: Vec<_> = self.ranked(limit, |_, _| true).collect();
        let surplus = ranked.len().saturating_sub(limit);
        if surplus == 0 {
            return;
        }
        ranked.select_nth_unstable(surplus - 1);
        for (.., number) in &ranked[..surplus] {
            if let Some(entry) = self.remove(*number) {
                entry.activity.close();
            }
        }
    }

    /// Closes the connection with the lowest rank among those that may be closed. `false`: there is none.
    fn close(&mut self, limit: usize, may_close: impl Fn(u64, &ConnectionEntry) -> bool) -> bool {
        let Some((.., number)) = self.ranked(limit, may_close).min() else { return false };
        if let Some(entry) = self.remove(number) {
            entry.activity.close();
        }
        true
    }

    /// The ranks of the connections that may be closed: the lowest is closed first.
    fn ranked(&self, limit: usize, may_close: impl Fn(u64, &ConnectionEntry) -> bool) -> impl Iterator<Item = Rank> {
        let now = Instant::now();
        // The youngest quarter stays as long as there are others: their first requests are probably in progress or on the way.
        let young = self.entries.len().saturating_sub(limit / 4).min(self.entries.len().saturating_sub(1));
        let candidates = self.entries.iter().enumerate().filter(move |(_, (number, entry))| may_close(**number, entry));
        candidates.map(move |(index, (number, entry))| {
            let held = self.by_source.get(&entry.source).copied().unwrap_or_default();
            (index >= young, entry.activity.close_order(now), Reverse(held), *number)
        })
    }

    fn remove(&mut self, number: u64) -> Option<ConnectionEntry> {
        let entry = self.entries.remove(&number)?;
        if let Some(held) = self.by_source.get_mut(&entry.source) {
            *held -= 1;
            if *held == 0 {
                self.by_source.remove(&entry.source);
            }
        }
        Some(entry)
    }
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        self.connections.table().remove(self.number);
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.ended.notify_one();
    }
}

/// The most sockets of closing connections, besides the limit.
pub(super) const fn spare(limit: usize) -> usize {
    limit / 8 + 8
}

/// The most connections of one address.
const fn share(limit: usize) -> usize {
    limit - limit / 4
}

#[cfg(test)]
mod tests {
    use super::{super::activity::IDLE_THRESHOLD, *};
    use std::net::Ipv4Addr;
    use tokio::time::advance;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    fn is_open(connection: &AdmittedConnection) -> bool {
        connection.connections.table().entries.contains_key(&connection.number)
    }

    #[tokio::test(start_paused = true)]
    async fn half_requests_are_closed_first_and_then_the_oldest() {
        let connections = Arc::<Connections>::default();
        let open: Vec<_> = (0..4).map(|last| connections.admit(address(last), 4)).collect();
        advance(IDLE_THRESHOLD).await;
        open[2].activity.received(false);
        advance(IDLE_THRESHOLD).await;
        let newcomer = connections.admit(address(9), 4);
        assert_eq!(
            open.iter().map(is_open).collect::<Vec<_>>(),
            [true, true, false, true],
            "half a request is closed before idle connections"
        );
        let second = connections.admit(address(9), 4);
        assert_eq!(open.iter().map(is_open).collect::<Vec<_>>(), [false, true, false, true], "then the oldest");
        assert!(is_open(&newcomer) && is_open(&second));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_many_connections_loses_them_before_others() {
        let connections = Arc::<Connections>::default();
        let other = connections.admit(address(1), 8);
        let many: Vec<_> = (0..7).map(|_| connections.admit(address(2), 8)).collect();
        assert_eq!(many.iter().filter(|connection| is_open(connection)).count(), share(8), "no address has all connections");
        advance(IDLE_THRESHOLD).await;
        let newcomers: Vec<_> = (3..6).map(|last| connections.admit(address(last), 8)).collect();
        assert!(is_open(&other), "it is the oldest, and alone at its address");
        assert!(newcomers.iter().all(is_open));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_stays_in_a_crowd_of_new_ones() {
        let connections = Arc::<Connections>::default();
        let crowd: Vec<_> = (0..64).map(|last| connections.admit(address(last), 64)).collect();
        let (first, poll) = (connections.admit(address(200), 64), connections.admit(address(200), 64));
        let later: Vec<_> = (100..112).map(|last| connections.admit(address(last), 64)).collect();
        assert!(is_open(&first) && is_open(&poll), "although its address has most");
        drop((crowd, later));
    }

    #[test]
    fn closed_connections_leave_the_table() {
        let connections = Arc::<Connections>::default();
        drop((0..100).map(|last| connections.admit(address(last), 10)).collect::<Vec<_>>());
        let table = connections.table();
        assert!(table.entries.is_empty() && table.by_source.is_empty());
    }
}
