//! The start of a connection on which a load balancer may announce its client.

use super::proxy_header::{self, MAX_DECISIVE_BYTES, Opening};
use bytes::BufMut;
use std::{
    io::{self, Cursor},
    net::SocketAddr,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, Chain, Join, copy, join, sink},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A stream whose first bytes have been read already, and are read again.
pub(super) type ReplayedStream = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;

/// Reads the header of the PROXY protocol, if there is one. Returns the stream after it, and the announced client. `received` is called for
/// every part that arrives.
///
/// A malformed header is left in the stream: it is no request either, and gets the response to one that is malformed.
pub(super) async fn read_header(stream: TcpStream, received: impl Fn()) -> io::Result<(ReplayedStream, Option<SocketAddr>)> {
    let (mut reader, writer) = stream.into_split();
    let mut bytes = Vec::new();
    let header = loop {
        match proxy_header::read(&bytes) {
            Opening::Header(header) => break Some(header),
            Opening::Other => break None,
            Opening::Undecided => {}
        }
        let missing = MAX_DECISIVE_BYTES - bytes.len();
        if reader.read_buf(&mut (&mut bytes).limit(missing)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received();
    };
    if let Some(header) = header {
        let arrived = header.length.min(bytes.len());
        bytes.drain(..arrived);
        skip(&mut reader, header.length - arrived).await?;
    }
    Ok((join(Cursor::new(bytes).chain(reader), writer), header.and_then(|header| header.source)))
}

/// Reads and discards the rest of a header: the extensions of version 2, of up to 64 KiB.
async fn skip(reader: &mut (impl AsyncRead + Unpin), count: usize) -> io::Result<()> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    if copy(&mut reader.take(count), &mut sink()).await? < count {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
