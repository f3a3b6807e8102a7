//! Classifies the errors of Redis, Valkey and proxies in front of them.
//!
//! Sources: `redis/redis` 7.0 and `valkey` 8 (`src/server.c`, `acl.c`, `networking.c`), `twitter/twemproxy` 0.5 (`src/proto/nc_redis.c`),
//! `envoyproxy/envoy` 1.40 (`source/extensions/filters/network/redis_proxy`), `joyieldInc/predixy` (`src/Response.cpp`), and the pages of
//! managed services.

use crate::{
    contract::{Failure, FailureClass},
    wire::{meter::is_too_long, tls},
};
use redis::{ErrorKind, RedisError};
use std::io;

use FailureClass::{Exhausted, Protocol, Rejected, Unhealthy};

/// A class and a message.
type Verdict = (FailureClass, &'static str);

const CREDENTIALS: Verdict = (Rejected, "the credentials are not accepted");
const NO_PASSWORD_SENT: Verdict = (Rejected, "the server requires a password");
const NO_PASSWORD_SET: Verdict = (Rejected, "the server has no password, but the check sends one: remove it");
const NO_PERMISSION: Verdict = (Rejected, "the user does not have the required permission");
const NO_DATABASE: Verdict = (Rejected, "there is no such database");
const BEHIND_PROXY: Verdict = (Unhealthy, "the proxy cannot reach a Redis server");
const FOREIGN: Verdict = (Protocol, "the reply is not in the Redis protocol");
const UNKNOWN_COMMAND: Verdict = (Unhealthy, "the server does not support a command of this check");

/// By the code, the first word of an error.
const CODES: &[(&str, Verdict)] = &[
    ("WRONGPASS", CREDENTIALS),
    ("NOAUTH", NO_PASSWORD_SENT),
    ("NOPERM", NO_PERMISSION),
    ("DENIED", (Rejected, "the server is in protected mode: only its own machine may connect")),
    ("LOADING", (Unhealthy, "the server is loading its data")),
    ("MASTERDOWN", (Unhealthy, "the replica has lost its primary")),
    ("CLUSTERDOWN", (Unhealthy, "the cluster is down")),
    ("READONLY", (Unhealthy, "the server is read-only")),
    ("MOVED", (Unhealthy, "another node of the cluster has the keys")),
    ("ASK", (Unhealthy, "another node of the cluster has the keys")),
    ("TRYAGAIN", (Unhealthy, "another node of the cluster has the keys")),
    ("OOM", (Exhausted, "the server is out of memory")),
    ("MISCONF", (Unhealthy, "the server cannot save its data")),
    ("NOREPLICAS", (Unhealthy, "the server has too few replicas to write")),
    ("BUSY", (Unhealthy, "the server is busy with a script")),
    ("UNBLOCKED", (Unhealthy, "a failover interrupted the command")),
    ("NOPROTO", (Rejected, "the server does not support RESP3: write `protocol=2` in the URL")),
];

/// By words of the error, which decide before the code: many errors have only the code `ERR`. The first row that matches decides.
const TEXTS: &[(&str, Verdict)] = &[
    ("Hash slot not served", (Unhealthy, "the cluster has no working node for the key")),
    ("called without any password configured", NO_PASSWORD_SET),
    ("no password is set", NO_PASSWORD_SET),
    ("Authentication required", NO_PASSWORD_SENT),
    // twemproxy, Envoy, and Redis before version 6.
    ("invalid password", CREDENTIALS),
    ("invalid username-password pair", CREDENTIALS),
    // Redis before version 6 has no user names; the driver tries again without.
    ("wrong number of arguments for 'auth'", CREDENTIALS),
    ("no permissions", NO_PERMISSION),
    ("max number of clients", (Exhausted, "the server's connection limit is reached")),
    ("DB index", NO_DATABASE),
    ("SELECT is not allowed", NO_DATABASE),
    ("cluster support disabled", (Unhealthy, "the server is not part of a cluster")),
    ("unknown command", UNKNOWN_COMMAND),
    ("unsupported command", UNKNOWN_COMMAND),
    // Envoy, without a code.
    ("upstream failure", BEHIND_PROXY),
    ("no upstream host", BEHIND_PROXY),
    // twemproxy: the text of the system's error on its connection to a server.
    ("Connection refused", BEHIND_PROXY),
    ("Connection timed out", BEHIND_PROXY),
    ("Connection reset by peer", BEHIND_PROXY),
    ("Host is down", BEHIND_PROXY),
    ("No route to host", BEHIND_PROXY),
    // predixy, with its own spelling.
    ("no server connection avaliable", BEHIND_PROXY),
];

/// Whether a driver's error is that the connection was closed, or never opened.
#[cfg(feature = "redis")]
pub(super) fn is_dropped(error: &RedisError) -> bool {
    error.is_connection_dropped() && !tls::is_tls(error) && !is_too_long(error)
}

/// Classifies an error of the driver.
pub(crate) fn failure(error: RedisError) -> Failure {
    let (class, message) = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) => CREDENTIALS,
        (_, Some(code)) => verdict(code, error.detail().unwrap_or_default()),
        (ErrorKind::RESP3NotSupported, _) => (Unhealthy, "the server is older than Redis 6"),
        (ErrorKind::Io, _) => return network(error),
        _ => FOREIGN,
    };
    Failure::new(class, message).because(error)
}

/// Why a server rejects a client, by its first bytes, if it does. The driver does not return them: the server may close the connection at
/// once, and of a failed login the driver reports only that.
pub(super) fn rejection(beginning: &[u8]) -> Option<Failure> {
    let line = beginning.strip_prefix(b"-")?.split(|byte| *byte == b'\r').next()?;
    let line = String::from_utf8_lossy(line);
    let (code, detail) = line.split_once(' ').unwrap_or((&line, ""));
    let (class, message) = verdict(code, detail);
    Some(Failure::new(class, message).because(line.into_owned()))
}

/// Whether first bytes are those of another protocol, such as `HTTP/1.1 400` and memcached's `ERROR`. When they come before the driver has sent
/// all its commands, it reports only that the connection ended.
///
/// Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/#resp-protocol-description>.
pub(super) fn is_foreign(beginning: &[u8]) -> bool {
    const TYPES: &[u8] = b"+-:$*_#,(!=%|~>";
    beginning.first().is_some_and(|first| first.is_ascii_graphic() && !TYPES.contains(first))
}

/// A failure as that of a server with another protocol.
pub(super) fn foreign(failure: Failure) -> Failure {
    let (class, message) = FOREIGN;
    failure.reclassified(class).saying(message)
}

/// Classifies an error of the server by its code and the rest of its text.
fn verdict(code: &str, detail: &str) -> Verdict {
    let text = format!("{code} {detail}");
    let by_text = TEXTS.iter().find(|(words, _)| text.contains(words));
    let known = by_text.or_else(|| CODES.iter().find(|(known, _)| *known == code));
    known.map_or((Unhealthy, "the server replied with an error"), |(_, verdict)| *verdict)
}

/// Classifies an I/O error, whose kind the driver hides.
fn network(error: RedisError) -> Failure {
    if tls::is_tls(&error) {
        return tls::failure(error);
    }
    let kind = match &error {
        error if error.is_connection_refusal() => io::ErrorKind::ConnectionRefused,
        error if error.is_connection_dropped() => io::ErrorKind::ConnectionReset,
        error if error.is_timeout() => io::ErrorKind::TimedOut,
        error if is_too_long(error) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    Failure::network(io::Error::new(kind, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts as each server sends them; those of servers that can be had are also produced by the tests with real servers.
    #[test]
    fn each_error_has_its_class_and_message() {
        for (line, class, message) in [
            ("-WRONGPASS invalid username-password pair or user is disabled.", "rejected", CREDENTIALS.1),
            ("-ERR invalid password", "rejected", CREDENTIALS.1),
            ("-NOAUTH Authentication required.", "rejected", NO_PASSWORD_SENT.1),
            (
                "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                "rejected",
                NO_PASSWORD_SET.1,
            ),
            ("-ERR Client sent AUTH, but no password is set", "rejected", NO_PASSWORD_SET.1),
            ("-NOPERM this user has no permissions to run the 'info' command", "rejected", NO_PERMISSION.1),
            ("-ERR max number of clients + cluster connections reached", "exhausted", "the server's connection limit is reached"),
            ("-ERR DB index is out of range", "rejected", NO_DATABASE.1),
            ("-CLUSTERDOWN Hash slot not served", "unhealthy", "the cluster has no working node for the key"),
            ("-CLUSTERDOWN The cluster is down", "unhealthy", "the cluster is down"),
            (
                "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
                "unhealthy",
                "a failover interrupted the command",
            ),
            ("-ERR unknown command 'INFO', with args beginning with: ", "unhealthy", UNKNOWN_COMMAND.1),
            ("-upstream failure", "unhealthy", BEHIND_PROXY.1),
            ("-no upstream host", "unhealthy", BEHIND_PROXY.1),
            ("-unsupported command 'info'", "unhealthy", UNKNOWN_COMMAND.1),
            ("-ERR Connection refused", "unhealthy", BEHIND_PROXY.1),
            ("-ERR no server connection avaliable", "unhealthy", BEHIND_PROXY.1),
            ("-CROSSSLOT Keys in request don't hash to the same slot", "unhealthy", "the server replied with an error"),
            ("-EXECABORT Transaction discarded because of previous errors.", "unhealthy", "the server replied with an error"),
        ] {
            let failure = rejection(format!("{line}\r\n+PONG\r\n").as_bytes()).expect(line);
            assert_eq!((failure.class().as_str(), failure.message()), (class, message), "{line}");
        }
        assert!(rejection(b"+PONG\r\n").is_none());
    }
}
