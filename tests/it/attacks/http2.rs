//! A connection of HTTP/2 that sends any bytes, reads what arrives, and answers PING and SETTINGS, so that it looks alive.

use super::{
    crowd::Attacker,
    frames::{self, ACK, GOAWAY, PING, SETTINGS},
};
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};

pub(super) struct Http2 {
    stream: TcpStream,
    attacker: Attacker,
    next: u32,
    /// A frame that has not arrived completely.
    partial: Vec<u8>,
    /// Acknowledgements that have not been sent.
    owed: Vec<u8>,
    goaway: Option<u32>,
}

impl Http2 {
    /// Connects, and sends the preface with settings.
    pub(super) async fn open(attacker: &Attacker, settings: &[(u16, u32)]) -> Option<Self> {
        let stream = attacker.connect().await?;
        let mut connection = Self { stream, attacker: attacker.clone(), next: 1, partial: Vec::new(), owed: Vec::new(), goaway: None };
        connection.send(&[frames::PREFACE, &frames::settings(settings)].concat()).await?;
        Some(connection)
    }

    /// The id of a new stream.
    pub(super) fn next_stream(&mut self) -> u32 {
        let id = self.next;
        self.next += 2;
        id
    }

    /// Sends a frame, or several, on each of some new streams.
    pub(super) async fn send_on_new_streams(&mut self, count: usize, frame: impl Fn(u32) -> Vec<u8>) -> Option<()> {
        let bytes: Vec<u8> = (0..count).flat_map(|_| frame(self.next_stream())).collect();
        self.send(&bytes).await
    }

    /// Sends all bytes, and reads what arrives meanwhile: neither side waits for the other.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        let owed = std::mem::take(&mut self.owed);
        for mut rest in [&owed[..], bytes] {
            while !rest.is_empty() {
                let ready = self.stream.ready(Interest::READABLE | Interest::WRITABLE).await.ok()?;
                if ready.is_readable() {
                    self.receive_arrived()?;
                }
                if ready.is_writable() {
                    match self.stream.try_write(rest) {
                        Ok(count) => rest = &rest[count..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return self.end(),
                    }
                }
            }
        }
        Some(())
    }

    /// Reads for some time, and acknowledges what has to be acknowledged.
    pub(super) async fn read_for(&mut self, duration: Duration) -> Option<()> {
        let end = Instant::now() + duration;
        while let Ok(ready) = timeout_at(end, self.stream.readable()).await {
            ready.ok()?;
            self.receive_arrived()?;
            self.send(&[]).await?;
            // One wake-up for many small writes of the server.
            sleep(Duration::from_millis(1)).await;
        }
        Some(())
    }

    /// Reads forever.
    pub(super) async fn read_to_end(&mut self) -> Option<()> {
        self.read_for(Duration::from_secs(3600)).await
    }

    /// Waits without reading until the server ends the connection.
    pub(super) async fn stay_without_reading(&mut self) -> Option<()> {
        super::http1::wait_for_end(&self.attacker, &self.stream).await
    }

    /// Repeats the same bytes without a pause.
    pub(super) async fn flood(&mut self, batch: &[u8]) -> Option<()> {
        loop {
            self.send(batch).await?;
            self.receive_arrived()?;
            tokio::task::yield_now().await;
        }
    }

    fn receive_arrived(&mut self) -> Option<()> {
        let mut buffer = [0; 8 * 1024];
        loop {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return self.end(),
                Ok(count) => {
                    self.partial.extend_from_slice(&buffer[..count]);
                    self.parse();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(()),
                Err(_) => return self.end(),
            }
        }
    }

    fn parse(&mut self) {
        let mut at = 0;
        while let Some([a, b, c, kind, flags, ..]) = self.partial.get(at..at + 9) {
            let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).expect("a length");
            let Some(payload) = self.partial.get(at + 9..at + 9 + length) else { break };
            match (*kind, flags & ACK) {
                (SETTINGS, 0) => self.owed.extend(frames::frame(SETTINGS, ACK, 0, &[])),
                (PING, 0) => self.owed.extend(frames::frame(PING, ACK, 0, payload)),
                (GOAWAY, _) => {
                    let code = payload.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
                    // The first one may only announce the end (RFC 9113, section 6.8).
                    self.goaway = code.filter(|code| *code != 0).or(self.goaway);
                }
                _ => {}
            }
            at += 9 + length;
        }
        self.partial.drain(..at);
    }

    fn end<T>(&mut self) -> Option<T> {
        self.attacker.record_end(self.goaway.take());
        None
    }
}
