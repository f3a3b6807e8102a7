//! The load balancer: a poll on a new connection every 100 ms, from threads of the operating system, whatever the earlier polls do.

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server, and the TLS that it expects.
#[derive(Clone)]
pub(super) struct PolledServer {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// What became of the polls.
#[derive(Debug, Default)]
pub(super) struct PollResults {
    /// Of all polls, in ascending order. One that was not answered took at least [`TIMEOUT`].
    latencies: Vec<Duration>,
    pub(super) statuses: BTreeMap<u16, usize>,
    pub(super) errors: BTreeMap<String, usize>,
}

impl PollResults {
    pub(super) fn sent(&self) -> usize {
        self.latencies.len()
    }

    pub(super) fn answered(&self) -> usize {
        self.statuses.values().sum()
    }

    pub(super) fn slowest(&self) -> Duration {
        self.latencies.last().copied().unwrap_or_default()
    }

    /// Three quarters of the polls took at most this long.
    pub(super) fn third_quartile(&self) -> Duration {
        self.latencies.get(self.sent() * 3 / 4).copied().unwrap_or_default()
    }
}

/// Polls for a duration, and waits for the answers.
pub(super) fn poll_for(polled: &PolledServer, duration: Duration) -> PollResults {
    let start = Instant::now();
    let results: Vec<_> = thread::scope(|scope| {
        let mut pending = Vec::new();
        for number in 0.. {
            let at = EVERY * number;
            if at >= duration {
                break;
            }
            thread::sleep(at.saturating_sub(start.elapsed()));
            let path = match number % 8 {
                3 => "/readyz",
                7 => "/livez",
                _ => "/health",
            };
            pending.push(scope.spawn(move || poll(polled, path)));
        }
        pending.into_iter().map(|poll| poll.join().expect("no panic")).collect()
    });
    let mut polls = PollResults::default();
    for (latency, result) in results {
        match result {
            Ok(status) => {
                polls.latencies.push(latency);
                *polls.statuses.entry(status).or_default() += 1;
            }
            Err(error) => {
                polls.latencies.push(latency.max(TIMEOUT));
                *polls.errors.entry(error.to_string()).or_default() += 1;
            }
        }
    }
    polls.latencies.sort();
    polls
}

/// One poll: how long it took, and its status.
pub(super) fn poll(polled: &PolledServer, path: &str) -> (Duration, io::Result<u16>) {
    let start = Instant::now();
    let result = exchange(polled, path, start + TIMEOUT);
    (start.elapsed(), result)
}

fn exchange(polled: &PolledServer, path: &str, deadline: Instant) -> io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: balanced\r\nConnection: close\r\n\r\n");
    let stream = TcpStream::connect_timeout(&polled.address, TIMEOUT)?;
    let clock = stream.try_clone()?;
    let response = match &polled.tls {
        None => read_response(stream, &request, &clock, deadline)?,
        Some(config) => {
            let name = ServerName::try_from("localhost").expect("a name");
            let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
            read_response(StreamOwned::new(connection, stream), &request, &clock, deadline)?
        }
    };
    let text = String::from_utf8_lossy(&response);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other(format!("{} bytes and the end", response.len())))?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err(io::Error::other("half a body"));
    }
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| io::Error::other("no status"))
}

/// Writes the request, and reads until the server closes.
fn read_response(mut stream: impl Read + Write, request: &str, clock: &TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let (mut response, mut buffer) = (Vec::new(), [0; 8 * 1024]);
    clock.set_write_timeout(Some(TIMEOUT))?;
    clock.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean no timeout.
        clock.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(response),
            Ok(count) => response.extend_from_slice(&buffer[..count]),
            // TLS without a closing alert. The length of the body shows whether all of it has arrived.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(response),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
}
