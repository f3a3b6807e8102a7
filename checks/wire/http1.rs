//! HTTP/1 without a task of its own, for the kinds that send requests through hyper.

use crate::{
    contract::{Failure, FailureDetail},
    wire::{
        address::Address,
        meter::{TOO_LONG_MESSAGE, is_too_long},
        tls,
    },
};
use std::{
    error::Error as _,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::Poll,
};

const NOT_HTTP_MESSAGE: &str = "the response is not HTTP";

/// The server of a URL: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// Whether the scheme is `https`.
    pub(crate) encrypted: bool,
    pub(crate) address: Address,
}

impl Origin {
    /// The host may be in brackets. Without a port it is that of the scheme: 443 or 80.
    pub(crate) fn new(encrypted: bool, host: &str, port: Option<u16>) -> Self {
        Self { encrypted, address: Address::new(host, port.unwrap_or(if encrypted { 443 } else { 80 })) }
    }
}

/// Waits for `work`, and drives the connection that it needs meanwhile. Between two requests the connection rests.
pub async fn drive_while<D: Future + Unpin, T>(driver: &mut Option<D>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        // `work` receives the error of the connection. Here it only means that there is nothing left to drive.
        if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(context).is_ready()) {
            *driver = None;
        }
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Classifies an error of hyper.
#[must_use]
pub fn failure(error: hyper::Error) -> Failure {
    if tls::is_tls(&error) {
        return tls::failure(error);
    }
    if error.is_parse() {
        // hyper offers a method for this to servers only, so the text of the error decides.
        if error.to_string() == "message head is too large" {
            return Failure::protocol(error).saying("the response headers are too large").detailed(FailureDetail::HeadersTooLarge);
        }
        return Failure::protocol(error).saying(NOT_HTTP_MESSAGE);
    }
    if is_unexpected(&error) {
        return Failure::protocol(error).saying(NOT_HTTP_MESSAGE);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::unreachable(error).saying("connection closed before a response");
    }
    if is_too_long(&error) {
        return Failure::protocol(error).saying(TOO_LONG_MESSAGE);
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) => Failure::network(io::Error::new(io.kind(), error)),
        None => Failure::protocol(error).saying(NOT_HTTP_MESSAGE),
    }
}

/// Whether the server has sent data before it got the request, as those of SMTP, SSH and MySQL do.
fn is_unexpected(error: &hyper::Error) -> bool {
    // hyper offers no method for this, so the text of the error decides.
    error.source().is_some_and(|source| source.to_string() == "received unexpected message from connection")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper::{Request, client::conn::http1::handshake};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_server_that_speaks_first_does_not_speak_http() {
        let (mut server, client) = duplex(1024);
        server.write_all(b"220 mail.example ESMTP\r\n").await.expect("room");
        let (mut sender, driver) = handshake::<_, Empty<Bytes>>(TokioIo::new(client)).await.expect("a connection");
        let response = sender.send_request(Request::new(Empty::new()));
        let failure = failure(drive_while(&mut Some(driver), response).await.expect_err("no response"));
        assert_eq!((failure.class().as_str(), failure.message()), ("protocol", "the response is not HTTP"));
    }
}
