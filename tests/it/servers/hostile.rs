//! Servers that misbehave on demand.

use crate::helpers::eventually;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// A listener on loopback that treats every connection in the same way. It lives as long as the test process.
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Hostile {
    fn new(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port"), behave)
    }

    fn on(listener: TcpListener, behave: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, behave) = (Arc::clone(&accepted), Arc::new(behave));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let behave = Arc::clone(&behave);
                thread::spawn(move || behave(stream));
            }
        });
        Self { address, accepted }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of accepted connections.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Waits for a number of accepted connections: a client is connected before its server accepts.
    pub(crate) fn await_accepted(&self, connections: usize) {
        eventually(&format!("{connections} connections"), || (self.accepted() >= connections).then_some(()));
    }

    /// Accepts and reads, but never sends anything.
    pub(crate) fn silent() -> Self {
        Self::new(|mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        })
    }

    /// Accepts and closes at once.
    pub(crate) fn closing() -> Self {
        Self::new(close)
    }

    /// Reads the first bytes and closes without a reply, but also without a reset.
    pub(crate) fn hanging_up() -> Self {
        Self::new(|mut stream| {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.shutdown(Shutdown::Write);
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        })
    }

    /// Like [`closing`](Self::closing), on the IPv6 loopback address, if this machine has one.
    pub(crate) fn closing_on_ipv6() -> Option<Self> {
        TcpListener::bind("[::1]:0").ok().map(|listener| Self::on(listener, close))
    }

    /// Resets the connection after the first byte.
    pub(crate) fn resetting() -> Self {
        Self::new(|mut stream| {
            let _ = stream.read(&mut [0; 1]);
            let _ = rustix::net::sockopt::set_socket_linger(OwnedFd::from(stream), Some(Duration::ZERO));
        })
    }

    /// Replies to everything in no known protocol.
    pub(crate) fn babbling() -> Self {
        Self::new(|mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"\x7f\x00\xffwhat is this, said the server to nobody in particular\r\n\r\n\r\n");
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        })
    }

    /// Sends a greeting byte by byte, and then waits.
    pub(crate) fn greeting(words: &'static [u8]) -> Self {
        Self::new(move |mut stream| {
            for byte in words {
                let _ = stream.write_all(&[*byte]);
                thread::sleep(Duration::from_millis(10));
            }
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        })
    }

    /// Sends a greeting, and resets the connection after the client has read it.
    pub(crate) fn greeting_and_resetting(words: &'static str) -> Self {
        Self::new(move |mut stream| {
            let _ = stream.write_all(words.as_bytes());
            // A reset discards bytes that the client has not read yet, and the server cannot know when it has.
            thread::sleep(Duration::from_millis(500));
            let _ = rustix::net::sockopt::set_socket_linger(OwnedFd::from(stream), Some(Duration::ZERO));
        })
    }

    /// Sends an endless greeting.
    pub(crate) fn endlessly_greeting(words: &'static [u8]) -> Self {
        Self::new(move |mut stream| while stream.write_all(words).is_ok() {})
    }

    /// Sends an endless reply at full speed.
    pub(crate) fn endless(beginning: &'static [u8], rest: &'static [u8]) -> Self {
        let rest = rest.repeat(64 * 1024);
        Self::new(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(beginning);
            while stream.write_all(&rest).is_ok() {}
        })
    }

    /// Sends an endless reply slowly.
    pub(crate) fn trickling(beginning: &'static [u8], rest: &'static [u8]) -> Self {
        Self::new(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(beginning);
            while stream.write_all(rest).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        })
    }

    /// Replies to the first request, closes, and sends the request to the test.
    pub(crate) fn listening(answer: &'static str) -> (Self, mpsc::Receiver<String>) {
        let (sender, requests) = mpsc::channel();
        let server = Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        });
        (server, requests)
    }

    /// Replies with the result of a function of the request, and closes.
    pub(crate) fn replying(reply: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let _ = stream.write_all(&reply(&buffer[..read]));
        })
    }

    /// Redirects every request to the next one of some ports, and keeps the connection.
    pub(crate) fn sending_on(ports: Vec<u16>) -> Self {
        let turn = AtomicUsize::new(0);
        Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                let port = ports[turn.fetch_add(1, Ordering::SeqCst) % ports.len()];
                let _ = write!(stream, "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n");
            }
        })
    }

    /// Echoes everything, as a server's error message may.
    pub(crate) fn echoing() -> Self {
        Self::new(|mut stream| {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..read]);
            }
        })
    }

    /// Sends the bytes that the test has set on the first bytes of the client, or by itself a little later, and closes.
    pub(crate) fn reciting(words: Arc<Mutex<Vec<u8>>>) -> Self {
        Self::new(move |mut stream| {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let words = words.lock().expect("a lock").clone();
            let _ = stream.write_all(&words);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        })
    }

    /// Replies to every request with the same bytes and keeps the connection.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer.as_bytes());
            }
        })
    }
}

/// An HTTP server that responds 200 after a time that the test can change.
pub(crate) struct Slow {
    pub(crate) server: Hostile,
    millis: Arc<AtomicUsize>,
}

impl Slow {
    pub(crate) fn by(millis: usize) -> Self {
        let time = Arc::new(AtomicUsize::new(millis));
        let now = Arc::clone(&time);
        let server = Hostile::new(move |mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                thread::sleep(Duration::from_millis(now.load(Ordering::SeqCst) as u64));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        Self { server, millis: time }
    }

    pub(crate) fn set(&self, millis: usize) {
        self.millis.store(millis, Ordering::SeqCst);
    }

    /// A table of the kind `http`, without its header.
    pub(crate) fn table(&self) -> String {
        format!("kind = \"http\"\nurl = \"http://{}/\"\n", self.server.address)
    }
}

fn close(stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
    drop(stream);
}

/// A port that drops packets: its backlog is full and nothing accepts.
pub(crate) struct BlackHole {
    pub(crate) port: u16,
    _listener: OwnedFd,
    _backlog: Vec<OwnedFd>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        Self::at(0)
    }

    /// On a given port without a listener, or on any port if it is 0.
    pub(crate) fn at(port: u16) -> Self {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with};
        let open =
            || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None).expect("a socket");
        let listener = open();
        // Connections of an earlier listener may linger.
        rustix::net::sockopt::set_socket_reuseaddr(&listener, true).expect("an option");
        bind(&listener, &SocketAddr::from(([127, 0, 0, 1], port))).expect("a port");
        listen(&listener, 0).expect("a listener");
        let address: SocketAddr = getsockname(&listener).expect("an address").try_into().expect("an address");
        // The first connections fill the backlog; packets of later ones are dropped.
        let backlog: Vec<OwnedFd> = std::iter::repeat_with(open).take(4).collect();
        for socket in &backlog {
            let _ = connect(socket, &address);
        }
        Self { port: address.port(), _listener: listener, _backlog: backlog }
    }
}
