//! A connection to memcached, and what its replies mean: <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.

use crate::{
    contract::prelude::*,
    wire::{
        address::Stream,
        meter::{Meter, Metered, TOO_LONG_MESSAGE, is_too_long},
    },
};
use std::{collections::HashMap, io, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Maximum size of the replies of one probe: `stats` has a few thousand bytes.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// A connection, and a limit on what is read from it.
pub struct MemcachedClient {
    stream: BufReader<Metered>,
    meter: Meter,
    /// How long the name took to resolve; observed once.
    pub(super) resolving: Option<Duration>,
    /// Whether no probe has used it yet.
    pub(super) is_new: bool,
    /// Whether the server has closed it, or a reply was not waited for. Then it must not be used again.
    pub(super) is_spent: bool,
}

impl MemcachedClient {
    pub(super) fn new(stream: Stream, resolving: Option<Duration>) -> Self {
        let meter = Meter::new(MAX_REPLY_BYTES);
        Self { stream: BufReader::new(Metered::new(stream, meter.clone())), meter, resolving, is_new: true, is_spent: false }
    }

    pub(super) async fn send(&mut self, commands: &str) {
        self.meter.refill(MAX_REPLY_BYTES);
        // A server that closes the connection may have sent a reason: the error of reading says more than that of writing.
        let _ = self.stream.write_all(commands.as_bytes()).await;
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await;
        let failed = match read {
            Ok(_) if line.ends_with(b"\n") => return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
            Ok(_) => Failure::network(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_too_long(&error) => return Err(self.meter.explain(Failure::protocol(error).saying(TOO_LONG_MESSAGE))),
            Err(error) => Failure::network(error),
        };
        self.is_spent = true;
        Err(self.meter.explain(failed))
    }

    /// The rest of the next line, which must begin with `beginning`.
    pub(super) async fn expect(&mut self, beginning: &str) -> Result<String, Failure> {
        let line = self.line().await?;
        line.strip_prefix(beginning).map(str::to_owned).ok_or_else(|| failure(&line))
    }

    /// The reply to `stats`; empty if the server refuses it.
    pub(super) async fn stats(&mut self) -> Result<HashMap<String, String>, Failure> {
        let mut stats = HashMap::new();
        loop {
            let line = self.line().await?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["STAT", name, value] => {
                    stats.insert(name.to_owned(), value.to_owned());
                }
                // The values of interest are single words.
                ["STAT", ..] => {}
                ["END"] => return Ok(stats),
                _ if is_error(&line) => return Ok(HashMap::new()),
                _ => return Err(failure(&line)),
            }
        }
    }
}

/// Whether a line is an error of the server.
pub(super) fn is_error(line: &str) -> bool {
    matches!(line.split(' ').next(), Some("ERROR" | "CLIENT_ERROR" | "SERVER_ERROR"))
}

/// Classifies an unexpected line. Memcached has no error codes, so the text decides.
///
/// Sources: `memcached/memcached` 1.6 (`memcached.c`, `proto_text.c`, `proto_proxy.c`), `twitter/twemproxy` 0.5 (the text of the system's
/// error on its connection to a server).
pub(super) fn failure(line: &str) -> Failure {
    let is_of_proxy = || {
        const REASONS: &[&str] = &[
            "Connection refused",
            "Connection timed out",
            "Connection reset by peer",
            "Host is down",
            "No route to host",
            "backend failure",
        ];
        line.strip_prefix("SERVER_ERROR ").is_some_and(|reason| REASONS.iter().any(|known| reason.starts_with(known)))
    };
    let failure = if line.starts_with("ERROR Too many open connections") {
        Failure::exhausted("the server's connection limit is reached")
    } else if line.starts_with("SERVER_ERROR out of memory") {
        Failure::exhausted("the server is out of memory")
    } else if line.starts_with("CLIENT_ERROR unauthenticated") {
        Failure::rejected("the server requires authentication, which this check does not support")
    } else if line == "NOT_STORED" {
        Failure::unhealthy("the server did not store the value")
    } else if is_of_proxy() {
        Failure::unhealthy("the proxy cannot reach a memcached server")
    } else if is_error(line) {
        Failure::unhealthy("the server replied with an error")
    } else {
        return Failure::protocol(line).saying("the reply is not in the memcached protocol");
    };
    failure.because(line)
}
