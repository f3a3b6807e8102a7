//! Addresses, name resolution and TCP connections, for every kind that opens a connection.

use crate::{
    contract::{Blocking, Failure, FailureClass, from_text},
    wire::race::{AttemptFailure, first_success},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::{
    borrow::Cow,
    fmt, io, iter,
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    str::FromStr,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};

/// A host and a port: `db.internal:5432`, `10.0.0.7:80`, `[::1]:6379`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// A host, which may be in brackets, and a port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port }
    }

    /// Parses `host:port`, or a host alone, which gets this port.
    ///
    /// # Errors
    ///
    /// What to write; never the text itself, which may contain a password.
    pub fn with_default_port(text: &str, port: u16) -> Result<Self, String> {
        text.parse().or_else(|_| format!("{}:{port}", text.trim()).parse())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not quoted: it may contain a password.
        let wrong = || "not an address: write \"host:port\", such as \"db.internal:5432\"".to_owned();
        let text = text.trim();
        if text.matches(':').count() > 1 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)) {
            return Err("write an IPv6 address in brackets: \"[::1]:PORT\"".to_owned());
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        if host.contains('@') {
            return Err("an address has neither user nor password: write \"host:port\", such as \"db.internal:5432\"".to_owned());
        }
        if !is_host(host) {
            return Err(wrong());
        }
        Ok(Self::new(host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?))
    }
}

/// Whether a text can be a name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "/:?#[]\"\\".contains(c)),
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "address", "examples": ["db.internal:5432", "[::1]:6379"] })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// Resolves names and opens connections for one check.
///
/// The resolver of the system blocks and cannot be cancelled, so each check runs at most one lookup at a time.
#[derive(Debug, Default)]
pub struct Dialer(Blocking);

impl Dialer {
    /// All addresses of a name, from the resolver of the system. Kinds whose driver resolves names itself call this first: then a hung
    /// resolver costs only one thread, and a name that does not resolve differs from a port that does not answer.
    ///
    /// # Errors
    ///
    /// [`FailureClass::Unreachable`] when the name does not resolve, or the resolver has no answer.
    pub async fn resolve(&self, address: &Address) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = address.host.parse() {
            return Ok(vec![SocketAddr::new(ip, address.port)]);
        }
        let (host, port) = (address.host.clone(), address.port);
        let looked_up = self.0.run(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>)).await?;
        let addresses = looked_up.map_err(unresolved)?;
        if addresses.is_empty() { Err(unresolved(io::ErrorKind::NotFound.into())) } else { Ok(addresses) }
    }

    /// All addresses of a name, and if it is not an IP address the time it took to resolve it: `resolve_ms`.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve).
    pub async fn look_up(&self, address: &Address) -> Result<(Vec<SocketAddr>, Option<Duration>), Failure> {
        let began = Instant::now();
        let addresses = self.resolve(address).await?;
        let is_name = address.host.parse::<IpAddr>().is_err();
        Ok((addresses, is_name.then(|| began.elapsed())))
    }

    /// Connects to the first address of the name that accepts the connection.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), and the error of the first address that refused the connection, or else of the first address.
    pub async fn connect(&self, address: &Address) -> Result<TcpStream, Failure> {
        connect(&self.resolve(address).await?).await
    }
}

/// Connects to the first of these addresses that accepts the connection. If one is silent, the next one is tried in parallel after 250 ms, and
/// so an address whose packets are lost does not cost the whole timeout. <https://www.rfc-editor.org/rfc/rfc8305#section-5>
///
/// An address that accepts the connection is chosen for good, as in other clients: what the server does then is the result of the probe.
///
/// # Errors
///
/// The error of the first address that refused the connection, or else of the first address: a machine that refuses says more than a network
/// without a route for IPv6.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let attempt = async |address| TcpStream::connect(address).await.map_err(attempt_failure);
    let stream = first_success(by_alternating_family(addresses).into_iter().map(attempt).collect()).await?;
    stream.set_nodelay(true).map_err(Failure::network)?;
    Ok(stream)
}

fn attempt_failure(error: io::Error) -> AttemptFailure {
    let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
    let failure = Failure::network(error);
    if is_refused { AttemptFailure::replied(failure) } else { AttemptFailure::not_reached(failure) }
}

/// Why a name has no address. The standard library returns the error of `getaddrinfo` only in the words of the C library, which are never
/// translated here: those of glibc and musl for `EAI_AGAIN`.
fn unresolved(error: io::Error) -> Failure {
    let text = error.to_string();
    let has_no_answer = ["Temporary failure in name resolution", "Try again"].iter().any(|words| text.ends_with(words));
    let message = if has_no_answer {
        "the name cannot be resolved now: the DNS server does not answer, or answers with an error"
    } else {
        "the name does not resolve"
    };
    Failure::new(FailureClass::Unreachable, message).because(error)
}

/// The addresses in the resolver's order, but each followed by one of the other family while there is one: a network without a route for one
/// family then costs one attempt. <https://www.rfc-editor.org/rfc/rfc8305#section-4>
fn by_alternating_family(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family = |address: &&SocketAddr| addresses.first().is_some_and(|first| first.is_ipv4() == address.is_ipv4());
    let (first, second): (Vec<&SocketAddr>, Vec<_>) = addresses.iter().partition(is_first_family);
    let mut second = second.into_iter();
    let mut ordered: Vec<SocketAddr> = first.into_iter().flat_map(|address| iter::once(address).chain(second.next())).copied().collect();
    ordered.extend(second);
    ordered
}

/// A stream, encrypted or not.
pub type Stream = Box<dyn Duplex>;

/// A stream that can be read and written.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        net::{TcpListener, TcpSocket},
        time::timeout,
    };

    #[test]
    fn addresses_are_read() {
        assert_eq!("db:5432".parse(), Ok(Address::new("db", 5432)));
        assert_eq!("[::1]:80".parse::<Address>().map(|address| address.to_string()).as_deref(), Ok("[::1]:80"));
        for bare in ["::1", "::1:80", "2001:db8::2:11211"] {
            assert_eq!(bare.parse::<Address>(), Err("write an IPv6 address in brackets: \"[::1]:PORT\"".to_owned()));
        }
        for wrong in ["db", ":80", "db:", "db:0", "db:99999", "[db]:80", "http://db:80", "app:hunter2@db:80", "hunter2", "hunter2 x:80"] {
            let message = wrong.parse::<Address>().expect_err(wrong);
            assert!(message.contains("write \"host:port\"") && !message.contains("hunter2"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_unreachable() {
        // No label may be that long: the resolver rejects it without a query.
        let failure = Dialer::default().connect(&Address::new(&format!("{}.invalid", "x".repeat(64)), 1)).await.expect_err("no such host");
        assert_eq!((failure.class(), failure.message()), (FailureClass::Unreachable, "the name does not resolve"));
    }

    #[tokio::test]
    async fn an_address_that_refuses_says_more_than_one_without_a_route() {
        // Multicast is no address of a server: the kernel has no route for a connection to it.
        let addresses = ["[ff02::1]:1", "127.0.0.1:1"].map(|text| text.parse().expect("an address"));
        let failure = connect(&addresses).await.expect_err("nothing listens there");
        assert_eq!(failure.message(), "connection refused");
    }

    #[test]
    fn a_resolver_without_an_answer_differs_from_a_name_that_does_not_exist() {
        let message =
            |text: &str| unresolved(io::Error::other(format!("failed to lookup address information: {text}"))).message().to_owned();
        let no_answer = "the name cannot be resolved now: the DNS server does not answer, or answers with an error";
        for text in ["Temporary failure in name resolution", "Try again"] {
            assert_eq!(message(text), no_answer);
        }
        for text in ["Name or service not known", "No address associated with hostname", "Name does not resolve"] {
            assert_eq!(message(text), "the name does not resolve");
        }
    }

    #[test]
    fn the_other_family_is_tried_second() {
        let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<SocketAddr>>();
        let ordered = by_alternating_family(&parsed(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(ordered, parsed(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        let ordered = by_alternating_family(&parsed(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
        assert_eq!(ordered, parsed(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
    }

    /// A listener whose backlog is full, so that the kernel drops the packets of further clients; and the clients that fill it.
    async fn without_answer() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let mut clients = Vec::new();
        while let Ok(client) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            clients.push(client.expect("the backlog has room"));
        }
        (listener, clients)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_does_not_delay_the_next_one_for_long() {
        let (silent, _clients) = without_answer().await;
        let healthy = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addresses = [silent.local_addr().expect("its address"), healthy.local_addr().expect("its address")];
        let connected = timeout(Duration::from_secs(20), connect(&addresses)).await.expect("in time").expect("a connection");
        assert_eq!(connected.peer_addr().expect("its peer"), addresses[1]);
    }
}
