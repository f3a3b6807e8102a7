//! One HTTP connection, on which one request after the other is made.

use super::transport::Answer;
use crate::{
    contract::Failure,
    meter::{Meter, Metered, TOO_LONG},
    net::Stream,
    tls,
};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use object_store::client::{HttpRequest, HttpRequestBody};
use std::{
    error::Error as _,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::Poll,
};

/// The most that is read of one answer: errors, tokens and what we wrote ourselves are small.
const ANSWER: usize = 256 * 1024;

type Driver = Connection<TokioIo<Stream>, HttpRequestBody>;

/// A kept HTTP connection. Its driver has no task of its own: it runs while a request does, and rests with the connection.
pub(super) struct Link {
    sender: SendRequest<HttpRequestBody>,
    driver: Option<Driver>,
    meter: Meter,
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

/// Waits for `work` and drives the connection on which it waits.
async fn alongside<T>(driver: &mut Option<Driver>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        // An error of the connection reaches whoever waits on it; here it only means that there is nothing left to drive.
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

fn failure(error: hyper::Error) -> Failure {
    if tls::is_tls(&error) {
        return tls::failure(error);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::unreachable(error).saying("connection closed before an answer");
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData) => Failure::protocol(error).saying(TOO_LONG),
        Some(kind) => Failure::network(io::Error::new(kind, error)),
        None => Failure::protocol(error).saying("the answer is not HTTP"),
    }
}
