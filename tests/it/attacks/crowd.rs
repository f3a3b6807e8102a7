//! An attack: how many clients misbehave, and how. Each client is an endless loop of connections, started at a limited rate.

use futures_util::future::BoxFuture;
use rustix::process::{Resource, getrlimit, nice};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// One connection of a client, from its start to its end. `None` if the server ended it.
pub(super) type Client = fn(Attacker) -> BoxFuture<'static, Option<()>>;

#[derive(Clone, Copy)]
pub(super) enum Crowd {
    /// Some more than the server has seats.
    OverSeats,
    Of(usize),
}

impl Crowd {
    fn size(self, seats: usize) -> usize {
        /// Other descriptors of this process, those of the load balancer among them.
        const RESERVE: u64 = 1000;
        let possible = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(RESERVE);
        let planned = match self {
            Self::OverSeats => seats + seats / 14 + 2,
            Self::Of(size) => size,
        };
        planned.min(usize::try_from(possible).unwrap_or(usize::MAX))
    }
}

/// How the clients of an attack connect.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) crowd: Crowd,
    /// The most connections that the whole crowd starts in a second.
    pub(super) per_second: u32,
    /// From how many source addresses; with one, it is the address that the load balancer uses.
    pub(super) addresses: usize,
}

/// What a client needs to know, and what it reports.
#[derive(Clone)]
pub(super) struct Attacker {
    pub(super) address: SocketAddr,
    /// Of the client within its crowd.
    pub(super) number: usize,
    addresses: usize,
    shared: Arc<CrowdState>,
}

struct CrowdState {
    per_second: u32,
    next_start: Mutex<Instant>,
    endings: Endings,
}

/// How connections of the crowd ended.
#[derive(Default)]
pub(super) struct Endings {
    opened: AtomicUsize,
    by_server: AtomicUsize,
    /// Of HTTP/2, with the error `ENHANCE_YOUR_CALM`.
    calmed: AtomicUsize,
}

impl Endings {
    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) fn by_server(&self) -> usize {
        self.by_server.load(Ordering::Relaxed)
    }

    pub(super) fn calmed(&self) -> usize {
        self.calmed.load(Ordering::Relaxed)
    }
}

impl Attacker {
    pub(super) async fn connect(&self) -> Option<TcpStream> {
        self.connect_with_buffer(None).await
    }

    /// A connection with a receive buffer of this number of bytes.
    pub(super) async fn connect_with_buffer(&self, bytes: Option<u32>) -> Option<TcpStream> {
        sleep_until(self.shared.reserve_start()).await;
        let socket = TcpSocket::new_v4().ok()?;
        if let Some(bytes) = bytes {
            socket.set_recv_buffer_size(bytes).expect("a buffer");
        }
        if self.addresses > 1 {
            let last = u8::try_from(2 + self.number % self.addresses).expect("a byte");
            socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).ok()?;
        }
        let stream = socket.connect(self.address).await.ok()?;
        let _ = stream.set_nodelay(true);
        self.shared.endings.opened.fetch_add(1, Ordering::Relaxed);
        Some(stream)
    }

    /// Records that the server ended a connection, and with which GOAWAY.
    pub(super) fn record_end(&self, goaway: Option<u32>) {
        const ENHANCE_YOUR_CALM: u32 = 0xb;
        self.shared.endings.by_server.fetch_add(1, Ordering::Relaxed);
        if goaway == Some(ENHANCE_YOUR_CALM) {
            self.shared.endings.calmed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl CrowdState {
    fn reserve_start(&self) -> Instant {
        let mut next = self.next_start.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*next).max(Instant::now());
        *next = at + Duration::from_secs(1) / self.per_second;
        at
    }
}

/// A runtime whose threads yield the processors to the service: real attackers run on other machines.
pub(super) fn runtime() -> Runtime {
    let yield_processor = || {
        let _ = nice(10);
    };
    Builder::new_multi_thread().worker_threads(2).on_thread_start(yield_processor).enable_all().build().expect("a runtime")
}

/// Attacks until `duration` is over or `stop` is set.
pub(super) async fn attack(
    address: SocketAddr,
    seats: usize,
    arrival: Arrival,
    client: Client,
    duration: Duration,
    stop: Arc<AtomicBool>,
) -> (usize, Endings) {
    let endings = Endings::default();
    let shared = Arc::new(CrowdState { per_second: arrival.per_second, next_start: Mutex::new(Instant::now()), endings });
    let end = Instant::now() + duration;
    let size = arrival.crowd.size(seats);
    let mut clients = JoinSet::new();
    for number in 0..size {
        let attacker = Attacker { address, number, addresses: arrival.addresses, shared: Arc::clone(&shared) };
        clients.spawn(async move {
            loop {
                if client(attacker.clone()).await.is_none() {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(10)).await;
    }
    clients.shutdown().await;
    (size, Arc::into_inner(shared).expect("all clients have ended").endings)
}
