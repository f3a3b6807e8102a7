//! Responses to bytes that are no request. hyper sends only a status line for them; these say what is wrong and what to do.

use super::{
    super::{
        fast_path::FastPath,
        pace::OncePerMinute,
        peer::Peer,
        respond::{head_of, problem_bytes},
    },
    proxy_header::{V1_PREFIX, V2_SIGNATURE},
};
use axum::http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, DATE},
};
use bytes::Bytes;
use std::{
    str,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// The number of a connection's first bytes that show what the client speaks. A request line without a version fits, with the longest name of a
/// component and parameters.
pub(super) const MAX_FIRST_BYTES: usize = 256;

/// Version 2 is recognised by the part of its signature at which hyper gives up.
const V2_SIGNATURE_START: usize = 5;

/// What a client speaks that sends no valid HTTP/1.1 request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken<'a> {
    ProxyProtocol(u8),
    Tls,
    /// A request line without a version, which is HTTP/0.9, and its path.
    Http09(&'a str),
    /// Another version of HTTP in the request line.
    OtherVersion,
    Other,
}

/// Composes the responses.
pub(super) struct Refusals {
    service: FastPath,
    proxy_header_warning: Mutex<OncePerMinute>,
}

impl Refusals {
    pub(super) fn new(service: FastPath) -> Self {
        Self { service, proxy_header_warning: Mutex::default() }
    }

    /// The response instead of `automatic`, which is hyper's. `first` is the start of the connection, if it is the start of the request as well.
    /// `None`: the connection is closed without a response.
    fn response(&self, automatic: &[u8], first: &[u8], reads_proxy_header: bool, peer: Peer) -> Option<Bytes> {
        let automatic = str::from_utf8(automatic).unwrap_or_default();
        let code = automatic.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(StatusCode::BAD_REQUEST);
        let spoken = if code == StatusCode::BAD_REQUEST { recognize(first) } else { Spoken::Other };
        let mut response = match spoken {
            Spoken::Http09(path) => self.service.verdict_without_status(path)?,
            Spoken::ProxyProtocol(version) => {
                if !reads_proxy_header {
                    self.warn_of_proxy_header(version, peer);
                }
                self.problem(code, &proxy_protocol(version, reads_proxy_header))
            }
            Spoken::Tls => self.problem(code, "the client speaks TLS, but this port is plaintext: use http://, or configure [server.tls]"),
            Spoken::OtherVersion => self.problem(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "the request line names another version than HTTP/1.0 or HTTP/1.1: send `GET /health HTTP/1.1`",
            ),
            Spoken::Other => self.problem(code, general(code)),
        };
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let date = automatic.lines().find_map(|line| line.strip_prefix("date: "));
        headers.extend(date.and_then(|date| HeaderValue::from_str(date).ok()).map(|date| (DATE, date)));
        Some([head_of(&response).as_slice(), response.body()].concat().into())
    }

    /// Logs that a load balancer sends the header, although the configuration does not accept it.
    pub(super) fn warn_of_proxy_header(&self, version: u8, peer: Peer) {
        if self.proxy_header_warning.lock().unwrap_or_else(PoisonError::into_inner).is_due(Instant::now()) {
            let from = peer.address.ip().to_canonical();
            tracing::warn!(
                %from,
                "a client sends the PROXY protocol's header, version {version}, which `server.proxy_protocol` does not accept: set it to \
                 \"accept\", or turn the header off in the load balancer"
            );
        }
    }

    fn problem(&self, code: StatusCode, detail: &str) -> Response<Bytes> {
        problem_bytes(code, detail, self.service.status())
    }
}

/// Composes the responses for one connection.
pub(super) struct Refuser {
    pub(super) refusals: Arc<Refusals>,
    pub(super) reads_proxy_header: bool,
    pub(super) peer: Peer,
}

impl Refuser {
    /// As [`Refusals::response`].
    pub(super) fn response(&self, automatic: &[u8], first: &[u8]) -> Option<Bytes> {
        self.refusals.response(automatic, first, self.reads_proxy_header, self.peer)
    }
}

/// The version of the PROXY protocol's header at the start of bytes.
pub(super) fn proxy_protocol_version(first: &[u8]) -> Option<u8> {
    if first.starts_with(V1_PREFIX) { Some(1) } else { first.starts_with(&V2_SIGNATURE[..V2_SIGNATURE_START]).then_some(2) }
}

/// Whether the first line shows that no request follows, because it ends without a version of HTTP. `None`: more bytes are needed to decide.
pub(super) fn is_no_request(first: &[u8]) -> Option<bool> {
    let end = first.iter().position(|byte| *byte == b'\n')?;
    let line = first[..end].trim_ascii_end();
    // A client may send empty lines before a request: RFC 9112, section 2.2.
    Some(!line.is_empty() && !line.rsplit(|byte| *byte == b' ').next().is_some_and(|word| word.starts_with(b"HTTP/")))
}

fn recognize(first: &[u8]) -> Spoken<'_> {
    // A handshake record of TLS 1.0 or later: RFC 8446, section 5.1.
    const HANDSHAKE: &[u8] = &[0x16, 0x03];
    if let Some(version) = proxy_protocol_version(first) {
        return Spoken::ProxyProtocol(version);
    }
    if first.starts_with(HANDSHAKE) {
        return Spoken::Tls;
    }
    let line = first.split(|byte| *byte == b'\n').next().and_then(|line| str::from_utf8(line).ok());
    let Some(line) = line.filter(|line| line.len() < first.len()) else { return Spoken::Other };
    let words: Vec<&str> = line.trim_end_matches('\r').split(' ').collect();
    match words[..] {
        ["GET", path] if path.starts_with('/') => Spoken::Http09(path),
        [_, _, version] if version.starts_with("HTTP/") && !version.starts_with("HTTP/1.") => Spoken::OtherVersion,
        _ => Spoken::Other,
    }
}

fn proxy_protocol(version: u8, is_read: bool) -> String {
    let header = format!("the connection begins with the PROXY protocol's header, version {version}");
    if is_read {
        format!("{header}, which is malformed or sent twice")
    } else {
        format!(
            "{header}, and `server.proxy_protocol` is \"off\": set `server.proxy_protocol = \"accept\"`, or turn the header off in the load \
             balancer"
        )
    }
}

fn general(code: StatusCode) -> &'static str {
    match code {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the request's head is larger than 16 KiB or has more than 100 headers: send fewer and shorter headers, and a shorter path"
        }
        StatusCode::URI_TOO_LONG => "the request's path is too long: the report is at /health",
        _ => "this is not a valid HTTP/1.1 request: send `GET /health HTTP/1.1`, a `Host` header and an empty line",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_without_a_version_is_no_request() {
        for (first, expected) in [
            (&b"GET /"[..], None),
            (b"", None),
            (b"GET / HTTP/1.1\r\nHost", Some(false)),
            (b"GET / HTTP/1.1 \r\n", Some(false)),
            (b"GET / HTTP/3.0\n", Some(false)),
            (b"\r\nGET /", Some(false)),
            (b"GET /\r\n", Some(true)),
            (b"GET /\n", Some(true)),
            (b"EHLO a\r\n", Some(true)),
        ] {
            assert_eq!(is_no_request(first), expected, "{first:?}");
        }
    }

    #[test]
    fn the_first_bytes_show_what_the_client_speaks() {
        for (first, spoken) in [
            (&b"PROXY TCP4 192.0.2.1"[..], Spoken::ProxyProtocol(1)),
            (b"\r\n\r\n\0", Spoken::ProxyProtocol(2)),
            (b"\x16\x03\x01\x02\x00", Spoken::Tls),
            (b"GET /\r\n", Spoken::Http09("/")),
            (b"GET /readyz\r\n\r\n", Spoken::Http09("/readyz")),
            (b"GET /\n", Spoken::Http09("/")),
            (b"GET /", Spoken::Other),
            (b"GET / HTTP/3.0\r\n", Spoken::OtherVersion),
            (b"GET / HTTP/1.1\r\nbad header\r\n", Spoken::Other),
            (b"GET  /\r\n", Spoken::Other),
            (b"POST /\r\n", Spoken::Other),
            (b"", Spoken::Other),
        ] {
            assert_eq!(recognize(first), spoken, "{first:?}");
        }
    }
}
