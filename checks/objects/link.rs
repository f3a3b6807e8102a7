//! One HTTP connection, on which one request after the other is made.

use crate::{
    contract::Failure,
    exchange::{alongside, failure},
    meter::{Meter, Metered},
    net::Stream,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, StatusCode,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use object_store::client::{HttpRequest, HttpRequestBody};

/// The most that is read of one answer: errors, tokens and what we wrote ourselves are small.
const ANSWER: usize = 256 * 1024;

type Driver = Connection<TokioIo<Stream>, HttpRequestBody>;

/// A kept HTTP connection. Its driver has no task of its own: it runs while a request does, and rests with the connection.
pub(super) struct Link {
    sender: SendRequest<HttpRequestBody>,
    driver: Option<Driver>,
    meter: Meter,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Link {
    pub(super) async fn over(stream: Stream) -> Result<Self, Failure> {
        let meter = Meter::new(ANSWER);
        let stream: Stream = Box::new(Metered::new(stream, meter.clone()));
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failure)?;
        Ok(Self { sender, driver: Some(connection), meter })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn ask(&mut self, request: HttpRequest) -> Result<Answer, Failure> {
        self.exchange(request).await.map_err(|error| self.meter.explain(failure(error)))
    }

    async fn exchange(&mut self, request: HttpRequest) -> hyper::Result<Answer> {
        self.meter.refill(ANSWER);
        alongside(&mut self.driver, self.sender.ready()).await?;
        let response = alongside(&mut self.driver, self.sender.send_request(request)).await?;
        let (head, body) = response.into_parts();
        let body = alongside(&mut self.driver, body.collect()).await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}
