//! A proxy between a check and a server that counts connections and round trips, and closes connections on demand.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// A proxy. It lives as long as the test process.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    seen: Arc<Counters>,
}

struct Counters {
    connections: AtomicUsize,
    open: AtomicUsize,
    turns: AtomicUsize,
    /// The number of bytes from the server that one connection may carry.
    limit: AtomicUsize,
}

impl Proxy {
    /// In front of a port on loopback.
    pub(crate) fn to(port: u16) -> Self {
        Self::between(move || TcpStream::connect(("127.0.0.1", port)), (b"", b""))
    }

    /// The same, with another address of this machine: servers treat 127.0.0.1 in a special way.
    pub(crate) fn with_source(source: Ipv4Addr, port: u16) -> Self {
        Self::between(move || connect_from(source, port), (b"", b""))
    }

    /// The same, with another text in the place of each `from` that the client sends. No `from` may be split between packets.
    pub(crate) fn replacing(port: u16, from: &'static [u8], into: &'static [u8]) -> Self {
        Self::between(move || TcpStream::connect(("127.0.0.1", port)), (from, into))
    }

    fn between(connect: impl Fn() -> io::Result<TcpStream> + Send + 'static, replacement: (&'static [u8], &'static [u8])) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Counters { connections: 0.into(), open: 0.into(), turns: 0.into(), limit: usize::MAX.into() });
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.connections.fetch_add(1, SeqCst);
                let Ok(server) = connect() else { continue };
                join(client, server, &shared, replacement);
            }
        });
        Self { port: own, seen }
    }

    /// The number of connections that were opened.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    /// The number of connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(SeqCst)
    }

    /// The number of round trips: how often the client sent bytes first or after the server had.
    pub(crate) fn round_trips(&self) -> usize {
        self.seen.turns.load(SeqCst)
    }

    /// From now on, closes each connection after this number of bytes from the server.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.seen.limit.store(bytes, SeqCst);
    }
}

fn connect_from(source: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::from((source, 0)))?;
    connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket.into())
}

fn join(client: TcpStream, server: TcpStream, seen: &Arc<Counters>, replacement: (&'static [u8], &'static [u8])) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let clients_turn = Arc::new(AtomicBool::new(true));
    seen.open.fetch_add(1, SeqCst);
    let (from, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let (shared, turn) = (Arc::clone(seen), Arc::clone(&clients_turn));
    thread::spawn(move || {
        copy(from, to, replacement, |chunk| {
            if turn.swap(false, SeqCst) {
                shared.turns.fetch_add(1, SeqCst);
            }
            chunk
        });
    });
    let shared = Arc::clone(seen);
    thread::spawn(move || {
        let mut sent = 0;
        copy(server, client, (b"", b""), |chunk| {
            clients_turn.store(true, SeqCst);
            let room = shared.limit.load(SeqCst).saturating_sub(sent).min(chunk);
            sent += chunk;
            room
        });
        shared.open.fetch_sub(1, SeqCst);
    });
}

/// Copies until either side closes or the limit is reached; then closes both.
fn copy(mut from: TcpStream, mut to: TcpStream, (old, new): (&'static [u8], &'static [u8]), mut may_pass: impl FnMut(usize) -> usize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let passes = may_pass(read);
        if to.write_all(&replaced(&buffer[..passes], old, new)).is_err() || passes < read {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(old).filter(|_| !old.is_empty()) {
            result.extend_from_slice(new);
            rest = after;
        } else {
            result.push(*first);
            rest = others;
        }
    }
    result
}
