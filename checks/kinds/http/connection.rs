//! A kept HTTP connection. Its driver has no task of its own: it runs while a request does, and rests with the connection.

use super::{
    expectation::MAX_BODY_BYTES,
    link_local::{self, LinkLocal},
};
use crate::{
    contract::prelude::*,
    wire::{
        address::Dialer,
        connect::{self, Expiry, Phases},
        http1::{Origin, drive_while, failure},
        meter::{Meter, Metered},
        tls::{self, Tls},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{mem, net::SocketAddr, time::Duration};
use tokio::time::timeout;

/// Maximum number of bytes read for one response in all: head, body, sizes of chunks, and 1xx responses before it.
const MAX_EXCHANGE_BYTES: usize = 1 << 20;

/// Maximum size of the response headers.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long the probe waits for the end of a body without expectations: an endless stream is a response, too.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);

type HttpDriver = Connection<TokioIo<Metered>, Empty<Bytes>>;

/// A connection to one server.
pub struct HttpConnection {
    pub(super) origin: Origin,
    pub(super) expiry: Option<Expiry>,
    /// Whether the host has only link-local addresses.
    pub(super) is_link_local: bool,
    phases: Phases,
    meter: Meter,
    sender: SendRequest<Empty<Bytes>>,
    /// `None` when the connection cannot be used again.
    driver: Option<HttpDriver>,
}

/// A body, or its first 64 KiB.
#[derive(Default)]
pub(super) struct BodyStart {
    pub(super) bytes: Vec<u8>,
    pub(super) whole: bool,
}

impl HttpConnection {
    pub(super) async fn open(dialer: &Dialer, origin: Origin, tls: &Tls, link_local: LinkLocal) -> Result<Self, Failure> {
        let mut is_link_local = false;
        let select = |addresses: Vec<SocketAddr>| {
            is_link_local = addresses.iter().all(|address| link_local::is_link_local(address.ip()));
            link_local.select(addresses)
        };
        let opened = connect::open_selected(dialer, &origin.address, origin.encrypted.then_some(tls), select).await?;
        let meter = Meter::new(MAX_EXCHANGE_BYTES);
        let stream = Metered::new(opened.stream, meter.clone());
        let (sender, driver) = Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(failure)?;
        Ok(Self { origin, expiry: opened.expiry, is_link_local, phases: opened.phases, meter, sender, driver: Some(driver) })
    }

    /// Whether another request may be sent, as far as is known without trying.
    pub(super) const fn is_usable(&self) -> bool {
        self.driver.is_some()
    }

    /// How long the phases of opening took; returned once.
    pub(super) fn take_phases(&mut self) -> Phases {
        mem::take(&mut self.phases)
    }

    /// Sends a request and reads the head of the response.
    pub(super) async fn exchange(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.meter.refill(MAX_EXCHANGE_BYTES);
        let response = self.sender.send_request(request);
        drive_while(&mut self.driver, response).await.map_err(|error| {
            if speaks_http2(&self.meter.beginning()) {
                return Failure::protocol(error).saying("the server speaks only HTTP/2, and HTTP/1.1 is required");
            }
            self.meter.explain(failure(error))
        })
    }

    /// Reads a body to its end or up to 64 KiB. If it was read to its end, the connection can be used again.
    pub(super) async fn read(&mut self, mut body: Incoming) -> Result<BodyStart, Failure> {
        let mut beginning = BodyStart::default();
        self.read_into(&mut beginning, &mut body).await?;
        Ok(beginning)
    }

    /// Reads a body without expectations, if it is short in size and time. A longer one costs the connection.
    pub(super) async fn drain_briefly(&mut self, mut body: Incoming) -> Result<BodyStart, Failure> {
        let mut beginning = BodyStart::default();
        if let Ok(read) = timeout(DRAIN_TIMEOUT, self.read_into(&mut beginning, &mut body)).await {
            read?;
        } else {
            self.driver = None;
        }
        Ok(beginning)
    }

    async fn read_into(&mut self, beginning: &mut BodyStart, body: &mut Incoming) -> Result<(), Failure> {
        while let Some(frame) = drive_while(&mut self.driver, body.frame()).await {
            beginning.bytes.extend_from_slice(frame.map_err(broken_off)?.data_ref().map_or(&[][..], |data| data));
            if beginning.bytes.len() > MAX_BODY_BYTES {
                beginning.bytes.truncate(MAX_BODY_BYTES);
                self.driver = None;
                return Ok(());
            }
        }
        beginning.whole = true;
        // The server may have announced that this was the last response.
        if drive_while(&mut self.driver, self.sender.ready()).await.is_err() {
            self.driver = None;
        }
        Ok(())
    }
}

/// Whether a server begins with a SETTINGS frame for the whole connection, as HTTP/2 requires: RFC 9113, sections 3.4 and 4.1.
fn speaks_http2(beginning: &[u8]) -> bool {
    matches!(beginning, [0, 0, _, 4, 0, 0, 0, 0, 0, ..])
}

/// An error in the middle of a body: the response is incomplete.
fn broken_off(error: hyper::Error) -> Failure {
    if tls::is_tls(&error) {
        failure(error)
    } else {
        Failure::protocol(error).saying("the connection was closed in the middle of the response")
    }
}
