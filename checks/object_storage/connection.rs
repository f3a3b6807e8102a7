//! A kept HTTP connection, on which one request after the other is sent.

use crate::{
    contract::Failure,
    wire::{
        address::Stream,
        http1::{drive_while, failure},
        meter::{Meter, Metered},
    },
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, StatusCode, Uri,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use object_store::client::{HttpRequest, HttpRequestBody};

/// Maximum size of a response: errors, tokens and our own objects are small.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

type StorageDriver = Connection<TokioIo<Stream>, HttpRequestBody>;

/// A kept HTTP connection. Its driver has no task of its own: it runs while a request does, and rests with the connection.
pub(super) struct StorageConnection {
    sender: SendRequest<HttpRequestBody>,
    driver: Option<StorageDriver>,
    meter: Meter,
}

/// A complete response.
#[derive(Clone, Debug)]
pub(crate) struct StorageResponse {
    /// The URL of the request.
    pub(crate) uri: Uri,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl StorageConnection {
    pub(super) async fn over(stream: Stream) -> Result<Self, Failure> {
        let meter = Meter::new(MAX_RESPONSE_BYTES);
        let stream: Stream = Box::new(Metered::new(stream, meter.clone()));
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failure)?;
        Ok(Self { sender, driver: Some(connection), meter })
    }

    /// Sends a request and reads the complete response.
    pub(super) async fn ask(&mut self, request: HttpRequest) -> Result<StorageResponse, Failure> {
        self.exchange(request).await.map_err(|error| self.meter.explain(failure(error)))
    }

    async fn exchange(&mut self, request: HttpRequest) -> hyper::Result<StorageResponse> {
        self.meter.refill(MAX_RESPONSE_BYTES);
        // First: an error that ends the connection while no request waits, such as a TLS alert, would be lost.
        let response = drive_while(&mut self.driver, self.sender.send_request(request)).await?;
        let (head, body) = response.into_parts();
        let body = drive_while(&mut self.driver, body.collect()).await?.to_bytes();
        // Ready for the next request. If this was the last one, the next request gets the error.
        let _ = drive_while(&mut self.driver, self.sender.ready()).await;
        Ok(StorageResponse { uri: Uri::default(), status: head.status, headers: head.headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    use tokio::io::{AsyncRead, ReadBuf, join, sink};

    /// A server that has rejected our handshake before the first request: with TLS 1.3, our part is done before the server has seen our
    /// certificate.
    struct Refused;

    impl AsyncRead for Refused {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, alert)))
        }
    }

    #[tokio::test]
    async fn the_next_request_gets_the_error_that_ended_the_connection() {
        let mut connection = StorageConnection::over(Box::new(join(Refused, sink()))).await.expect("a connection");
        let request = hyper::Request::get("/media").body(HttpRequestBody::empty()).expect("a request");
        let failure = connection.ask(request).await.expect_err("it was refused");
        assert_eq!((failure.class().as_str(), failure.message()), ("tls", "the server requires a client certificate"));
    }
}
