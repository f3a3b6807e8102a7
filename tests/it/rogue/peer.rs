//! A rogue server that follows a script and records every byte that clients send, inside and outside of TLS.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    fs,
    io::{self, Read, Write},
    mem,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The timeout for a silent client.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the server is encrypted.
#[derive(Clone)]
pub(super) enum Encryption {
    /// Not at all.
    None,
    /// From the first byte.
    Immediate(Arc<ServerConfig>),
    /// When the script calls [`Peer::encrypt`].
    OnRequest(Arc<ServerConfig>),
}

/// The bytes that clients sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Outside of TLS.
    pub(super) plain: Vec<u8>,
    /// Inside of TLS, decrypted.
    pub(super) encrypted: Vec<u8>,
    /// A proof of the password that does not reveal it: a scramble or a signature.
    pub(super) proof: bool,
    /// The password, encrypted with a key that the rogue server chose.
    pub(super) sealed: bool,
}

/// The script for each connection.
type Script = Arc<dyn Fn(&mut Peer) -> io::Result<()> + Send + Sync>;

/// A server that runs until the test reads what clients sent.
pub(super) struct Rogue {
    pub(super) port: u16,
    socket: Option<PathBuf>,
    heard: Arc<Mutex<Heard>>,
    closing: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

enum Listener {
    Tcp(TcpListener),
    Local(UnixListener),
}

impl Listener {
    fn accept(&self) -> io::Result<Wire> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Wire::Tcp(stream))
            }
            Self::Local(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Wire::Local(stream))
            }
        }
    }

    fn set_nonblocking(&self) {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true).expect("a listener"),
            Self::Local(listener) => listener.set_nonblocking(true).expect("a listener"),
        }
    }
}

impl Rogue {
    /// Listens on a port of loopback.
    pub(super) fn new(encryption: Encryption, script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Self::serve(Listener::Tcp(listener), (port, None), encryption, Arc::new(script))
    }

    /// Listens on a Unix socket.
    pub(super) fn local(socket: PathBuf, script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        fs::create_dir_all(socket.parent().expect("a folder")).expect("a folder");
        let listener = UnixListener::bind(&socket).expect("a socket");
        Self::serve(Listener::Local(listener), (0, Some(socket)), Encryption::None, Arc::new(script))
    }

    fn serve(listener: Listener, (port, socket): (u16, Option<PathBuf>), encryption: Encryption, script: Script) -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let closing = Arc::new(AtomicBool::new(false));
        let (recorded, ends) = (Arc::clone(&heard), Arc::clone(&closing));
        let accepting = thread::spawn(move || {
            let mut conversations = Vec::new();
            loop {
                let accepted = listener.accept();
                if ends.load(Ordering::SeqCst) {
                    // Earlier connections are still in the queue.
                    listener.set_nonblocking();
                }
                let Ok(wire) = accepted else { break };
                let (tls, number) = (encryption.clone(), conversations.len());
                let (heard, script) = (Arc::clone(&recorded), Arc::clone(&script));
                conversations.push(thread::spawn(move || converse(Peer { wire, tls, heard, number }, &script)));
            }
            for conversation in conversations {
                conversation.join().expect("a script that does not panic");
            }
        });
        Self { port, socket, heard, closing, accepting }
    }

    /// Its Unix socket, if it has one.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The bytes that clients sent. They must have closed their connections.
    pub(super) fn finish(self) -> Heard {
        self.closing.store(true, Ordering::SeqCst);
        // This connection wakes the listener. It is the last one in the queue.
        match &self.socket {
            Some(socket) => drop(UnixStream::connect(socket).expect("a connection")),
            None => drop(TcpStream::connect(("127.0.0.1", self.port)).expect("a connection")),
        }
        self.accepting.join().expect("a server that does not panic");
        mem::take(&mut self.heard.lock().expect("a lock"))
    }
}

/// Follows the script, ends the reply, and records what the client still sends.
fn converse(mut peer: Peer, script: &Script) {
    let immediate = matches!(peer.tls, Encryption::Immediate(_));
    let begun = if immediate { peer.encrypt() } else { Ok(()) };
    if begun.and_then(|()| script(&mut peer)).is_ok() {
        peer.wire.end();
    }
    while peer.read_some().is_ok() {}
}

/// The client, as a script sees it.
pub(super) struct Peer {
    wire: Wire,
    tls: Encryption,
    heard: Arc<Mutex<Heard>>,
    /// The number of earlier connections.
    pub(super) number: usize,
}

enum Wire {
    Tcp(TcpStream),
    Local(UnixStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

impl Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Local(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Gone => Ok(0),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Local(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Closes the sending side.
    fn end(&mut self) {
        // The client may have left already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Local(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush().and_then(|()| stream.sock.shutdown(Shutdown::Write))
            }
            Self::Gone => Ok(()),
        };
    }
}

impl Peer {
    /// Whether TLS can begin on request.
    pub(super) fn offers_tls(&self) -> bool {
        matches!(self.tls, Encryption::OnRequest(_)) && matches!(self.wire, Wire::Tcp(_))
    }

    /// Starts TLS, and returns when the client has accepted the certificate or given up.
    pub(super) fn encrypt(&mut self) -> io::Result<()> {
        let (Encryption::OnRequest(config) | Encryption::Immediate(config)) = &self.tls else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let Wire::Tcp(stream) = mem::replace(&mut self.wire, Wire::Gone) else { return Err(io::ErrorKind::Unsupported.into()) };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        let mut stream = Box::new(StreamOwned::new(connection, stream));
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock)? == (0, 0) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.wire = Wire::Tls(stream);
        Ok(())
    }

    /// Reads the next bytes.
    pub(super) fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 16 * 1024];
        let read = self.wire.read(&mut buffer)?;
        buffer.truncate(read);
        self.record(&buffer);
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(buffer) }
    }

    /// Reads a number of bytes.
    pub(super) fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let mut buffer = vec![0; length - bytes.len()];
            let read = self.wire.read(&mut buffer)?;
            self.record(&buffer[..read]);
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
        Ok(bytes)
    }

    /// Reads up to and including these bytes.
    pub(super) fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.extend(self.read(1)?);
        }
        Ok(bytes)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write(bytes)
    }

    /// Records that the client proved its password without revealing it.
    pub(super) fn has_proof(&self) {
        self.heard.lock().expect("a lock").proof = true;
    }

    /// Records that the client encrypted its password with the rogue server's key.
    pub(super) fn has_sealed(&self) {
        self.heard.lock().expect("a lock").sealed = true;
    }

    fn record(&self, bytes: &[u8]) {
        let mut heard = self.heard.lock().expect("a lock");
        if matches!(self.wire, Wire::Tls(_)) { &mut heard.encrypted } else { &mut heard.plain }.extend_from_slice(bytes);
    }
}
