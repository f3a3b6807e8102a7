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

/// A listener on loopback that does with every connection what it was told to; it lives as long as the test process.
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

    /// How many connections it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Waits until it has accepted so many: a client is connected before its server has accepted.
    pub(crate) fn await_accepted(&self, connections: usize) {
        eventually(&format!("{connections} connections"), || (self.accepted() >= connections).then_some(()));
    }

    /// Accepts, reads, and never says a word.
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

    /// Waits for a word and closes without an answer, in good order.
    pub(crate) fn hanging_up() -> Self {
        Self::new(|mut stream| {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.shutdown(Shutdown::Write);
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        })
    }

    /// The same as [`closing`](Self::closing) on the loopback address of IPv6, where this machine has one.
    pub(crate) fn closing_on_ipv6() -> Option<Self> {
        TcpListener::bind("[::1]:0").ok().map(|listener| Self::on(listener, close))
    }

    /// Accepts and resets the connection as soon as something was said.
    pub(crate) fn resetting() -> Self {
        Self::new(|mut stream| {
            let _ = stream.read(&mut [0; 1]);
            let _ = rustix::net::sockopt::set_socket_linger(OwnedFd::from(stream), Some(Duration::ZERO));
        })
    }

    /// Answers everything with something that is nobody's protocol.
    pub(crate) fn babbling() -> Self {
        Self::new(|mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"\x7f\x00\xffwhat is this, said the server to nobody in particular\r\n\r\n\r\n");
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        })
    }

    /// Speaks first, a byte after the other, and then waits.
    pub(crate) fn greeting(words: &'static [u8]) -> Self {
        Self::new(move |mut stream| {
            for byte in words {
                let _ = stream.write_all(&[*byte]);
                thread::sleep(Duration::from_millis(10));
            }
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        })
    }

    /// Speaks first, and resets the connection when that was heard.
    pub(crate) fn greeting_and_resetting(words: &'static str) -> Self {
        Self::new(move |mut stream| {
            let _ = stream.write_all(words.as_bytes());
            // A reset takes with it what was not read yet, and nobody tells when it was.
            thread::sleep(Duration::from_millis(500));
            let _ = rustix::net::sockopt::set_socket_linger(OwnedFd::from(stream), Some(Duration::ZERO));
        })
    }

    /// Speaks first, and for ever.
    pub(crate) fn endlessly_greeting(words: &'static str) -> Self {
        Self::new(move |mut stream| while stream.write_all(words.as_bytes()).is_ok() {})
    }

    /// Begins an answer and never ends it.
    pub(crate) fn endless(beginning: &'static [u8], rest: &'static [u8]) -> Self {
        let rest = rest.repeat(64 * 1024);
        Self::new(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(beginning);
            while stream.write_all(&rest).is_ok() {}
        })
    }

    /// Begins an answer and goes on slowly, for ever.
    pub(crate) fn trickling(beginning: &'static [u8], rest: &'static [u8]) -> Self {
        Self::new(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(beginning);
            while stream.write_all(rest).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        })
    }

    /// Answers the first request, closes, and tells what was asked.
    pub(crate) fn listening(answer: &'static str) -> (Self, mpsc::Receiver<String>) {
        let (heard, requests) = mpsc::channel();
        let server = Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let _ = heard.send(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        });
        (server, requests)
    }

    /// Answers whatever it hears with what a function makes of it, and closes.
    pub(crate) fn replying(reply: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let _ = stream.write_all(&reply(&buffer[..read]));
        })
    }

    /// Sends every request on to the next of some ports, in turn, and keeps the connection.
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

    /// Says everything that it hears back, as a server's error message may.
    pub(crate) fn echoing() -> Self {
        Self::new(|mut stream| {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..read]);
            }
        })
    }

    /// Says what it is told to say as soon as anything is said to it, or a little later by itself, and closes.
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

    /// Answers every request with the same bytes and keeps the connection.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::new(move |mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer.as_bytes());
            }
        })
    }
}

/// An HTTP server that answers every request with 200, after a time that can be changed.
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

    /// A table of kind `http`, without its header.
    pub(crate) fn table(&self) -> String {
        format!("kind = \"http\"\nurl = \"http://{}/\"\n", self.server.address)
    }
}

fn close(stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
    drop(stream);
}

/// A port to which packets get lost: its backlog is full and nobody accepts.
pub(crate) struct BlackHole {
    pub(crate) port: u16,
    _listener: OwnedFd,
    _backlog: Vec<OwnedFd>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        Self::at(0)
    }

    /// On a port that nobody listens on, or any.
    pub(crate) fn at(port: u16) -> Self {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with};
        let open =
            || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None).expect("a socket");
        let listener = open();
        // Connections of the one who listened there before may linger.
        rustix::net::sockopt::set_socket_reuseaddr(&listener, true).expect("an option");
        bind(&listener, &SocketAddr::from(([127, 0, 0, 1], port))).expect("a port");
        listen(&listener, 0).expect("a listener");
        let address: SocketAddr = getsockname(&listener).expect("an address").try_into().expect("an address");
        // The first ones fill the backlog; their packets are the last that get through.
        let backlog: Vec<OwnedFd> = std::iter::repeat_with(open).take(4).collect();
        for socket in &backlog {
            let _ = connect(socket, &address);
        }
        Self { port: address.port(), _listener: listener, _backlog: backlog }
    }
}
