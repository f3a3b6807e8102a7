//! HTTP/1.1 as raw bytes.

use super::crowd::Attacker;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest},
    net::TcpStream,
    time::sleep,
};

pub(super) fn get(path: &str) -> Vec<u8> {
    request("GET", path, "")
}

/// A request with more header lines, each ended by CRLF.
pub(super) fn request(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: attacked\r\n{headers}\r\n").into_bytes()
}

/// Longer than any attack.
pub(super) async fn wait_forever() {
    sleep(Duration::from_secs(3600)).await;
}

/// Reads and discards until the server closes the connection.
pub(super) async fn read_to_end(attacker: &Attacker, stream: &mut (impl AsyncRead + Unpin)) -> Option<()> {
    let mut buffer = [0; 4 * 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    attacker.record_end(None);
    None
}

/// Reads at most a number of bytes each time, at intervals.
pub(super) async fn read_slowly(
    attacker: &Attacker,
    stream: &mut (impl AsyncRead + Unpin),
    bytes: usize,
    interval: Duration,
) -> Option<()> {
    let mut buffer = vec![0; bytes];
    loop {
        sleep(interval).await;
        if !stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            attacker.record_end(None);
            return None;
        }
    }
}

/// Writes `begin` at once, then one copy of `piece` after each interval, while whatever arrives is read.
pub(super) async fn write_slowly(attacker: Attacker, begin: &[u8], piece: &[u8], interval: Duration) -> Option<()> {
    let (mut read, mut write) = attacker.connect().await?.into_split();
    write.write_all(begin).await.ok()?;
    let writing = async {
        loop {
            sleep(interval).await;
            if write.write_all(piece).await.is_err() {
                return None;
            }
        }
    };
    tokio::select! {
        ended = writing => ended,
        ended = read_to_end(&attacker, &mut read) => ended,
    }
}

/// Sends a request and never reads.
pub(super) async fn ask_without_reading(attacker: Attacker, path: &str) -> Option<()> {
    let mut stream = attacker.connect_with_buffer(Some(4096)).await?;
    stream.write_all(&get(path)).await.ok()?;
    wait_for_end(&attacker, &stream).await
}

/// Waits until the server has closed or reset the connection, without reading.
pub(super) async fn wait_for_end(attacker: &Attacker, stream: &TcpStream) -> Option<()> {
    loop {
        // The receive buffer is left as it is, so the window stays closed.
        if stream.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
            sleep(Duration::from_millis(100)).await;
        } else {
            attacker.record_end(None);
            return None;
        }
    }
}

/// Repeats requests on a connection that is kept, and reads all responses, however many.
pub(super) async fn ask_in_a_loop(attacker: Attacker, requests: impl Fn(usize) -> Vec<u8>) -> Option<()> {
    let mut stream = attacker.connect().await?;
    let mut buffer = vec![0; 64 * 1024];
    for count in 0.. {
        stream.write_all(&requests(count)).await.ok()?;
        if !stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            break;
        }
    }
    attacker.record_end(None);
    None
}
