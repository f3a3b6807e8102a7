//! A proxy between a check and a server that imitates every network fault, and can be repaired.

use super::hostile::BlackHole;
use crate::helpers::eventually;
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// The state of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The network works.
    None,
    /// Nothing listens, and open connections are closed.
    Refused,
    /// All packets are lost, those that open connections and those of open ones.
    BlackHole,
    /// Connections are accepted, and no reply arrives.
    Silent,
    /// Replies arrive byte by byte.
    Drip,
    /// Every connection is reset.
    Reset,
    /// Open connections are dead without notice; new ones work.
    HalfOpen,
}

/// The interval at which threads look at the fault.
const LOOK: Duration = Duration::from_millis(5);
/// The pause after each byte: the shortest replies, the 5 bytes of memcached's `END`, must not arrive within the timeout of a check.
const DRIP: Duration = Duration::from_millis(400);

pub(crate) struct Breaker {
    pub(crate) port: u16,
    network: Arc<Network>,
}

struct Network {
    server: AtomicUsize,
    fault: Mutex<Fault>,
    /// Grows with every change. Connections from before a fault that kills connections are dead.
    age: AtomicU64,
    /// Connections from before this age are dead.
    dead_before: AtomicU64,
    accepting: AtomicBool,
    listens: AtomicBool,
    hole: Mutex<Option<BlackHole>>,
}

impl Breaker {
    /// In front of a port on loopback.
    pub(crate) fn to(server: u16) -> Self {
        Self::on("127.0.0.1", 0, server)
    }

    /// The same on a host and port; port 0 is any.
    pub(crate) fn on(host: &'static str, port: u16, server: u16) -> Self {
        let listener = TcpListener::bind((host, port)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let network = Arc::new(Network {
            server: usize::from(server).into(),
            fault: Fault::None.into(),
            age: 0.into(),
            dead_before: 0.into(),
            accepting: true.into(),
            listens: true.into(),
            hole: None.into(),
        });
        let shared = Arc::clone(&network);
        thread::spawn(move || shared.accept(Some(listener), (host, port)));
        Self { port, network }
    }

    /// Sets or removes a fault.
    pub(crate) fn set(&self, fault: Fault) {
        let network = &self.network;
        let accepts = !matches!(fault, Fault::Refused | Fault::BlackHole);
        if accepts {
            network.hole.lock().expect("a lock").take();
        }
        let age = network.age.fetch_add(1, SeqCst) + 1;
        // A connection that was cut stays dead; one that only waited continues.
        if fault != Fault::Silent && fault != Fault::Drip && fault != Fault::None {
            network.dead_before.store(age, SeqCst);
        }
        *network.fault.lock().expect("a lock") = fault;
        network.accepting.store(accepts, SeqCst);
        eventually("the listener follows", || (network.listens.load(SeqCst) == accepts).then_some(()));
        if fault == Fault::BlackHole {
            *network.hole.lock().expect("a lock") = Some(BlackHole::at(self.port));
        }
    }
}

impl Network {
    fn fault(&self) -> Fault {
        *self.fault.lock().expect("a lock")
    }

    fn accept(self: &Arc<Self>, mut listener: Option<TcpListener>, place: (&str, u16)) {
        loop {
            if !self.accepting.load(SeqCst) {
                listener = None;
                self.listens.store(false, SeqCst);
            } else if listener.is_none() {
                listener = TcpListener::bind(place).ok();
                self.listens.store(listener.is_some(), SeqCst);
            }
            let Some(open) = &listener else {
                thread::sleep(LOOK);
                continue;
            };
            open.set_nonblocking(true).expect("a listener");
            match open.accept() {
                Ok((client, _)) => {
                    client.set_nonblocking(false).expect("a stream");
                    let (network, born) = (Arc::clone(self), self.age.load(SeqCst));
                    thread::spawn(move || network.join(client, born));
                }
                Err(_) => thread::sleep(LOOK),
            }
        }
    }

    fn join(self: &Arc<Self>, client: TcpStream, born: u64) {
        let port = u16::try_from(self.server.load(SeqCst)).expect("a port");
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let (from, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
        let network = Arc::clone(self);
        thread::spawn(move || network.carry(from, to, born, false));
        self.carry(server, client, born, true);
    }

    /// Carries bytes in one direction until either side or a fault ends the connection.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, born: u64, from_server: bool) {
        let _ = (from.set_nodelay(true), to.set_nodelay(true), from.set_read_timeout(Some(LOOK)));
        let mut buffer = [0; 16 * 1024];
        loop {
            let (fault, dead) = (self.fault(), born < self.dead_before.load(SeqCst));
            match fault {
                Fault::Reset if dead => return reset(from, to),
                Fault::Reset => {
                    // Reset on the first byte.
                    let _ = from.read(&mut buffer);
                    return reset(from, to);
                }
                Fault::Refused | Fault::None if dead => break,
                Fault::BlackHole | Fault::Silent => {
                    thread::sleep(LOOK);
                    continue;
                }
                Fault::HalfOpen if dead => {
                    thread::sleep(LOOK);
                    continue;
                }
                _ => {}
            }
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            let written = if fault == Fault::Drip && from_server {
                self.drip(&mut to, &buffer[..read])
            } else {
                to.write_all(&buffer[..read]).is_ok()
            };
            if !written {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    fn drip(&self, to: &mut TcpStream, bytes: &[u8]) -> bool {
        for (at, byte) in bytes.iter().enumerate() {
            if self.fault() != Fault::Drip {
                return to.write_all(&bytes[at..]).is_ok();
            }
            if to.write_all(&[*byte]).is_err() {
                return false;
            }
            let written = Instant::now();
            while written.elapsed() < DRIP && self.fault() == Fault::Drip {
                thread::sleep(LOOK);
            }
        }
        true
    }
}

fn reset(from: TcpStream, to: TcpStream) {
    for stream in [from, to] {
        let _ = rustix::net::sockopt::set_socket_linger(OwnedFd::from(stream), Some(Duration::ZERO));
    }
}
