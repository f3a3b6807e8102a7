//! A rate limit for HTTP/2 frames that lead to no response: `PING`, `SETTINGS`, `WINDOW_UPDATE`, resets and unknown types.
//!
//! A connection has credit. Each frame costs some of it; responses and bytes that the client reads earn some, and time restores a little. A
//! connection without credit ends with `GOAWAY` and the code `ENHANCE_YOUR_CALM`: RFC 9113, sections 5.4.1 and 10.5.

use std::time::Duration;
use tokio::time::Instant;

/// The first bytes of every connection of HTTP/2 with prior knowledge: RFC 9113, section 3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header: RFC 9113, section 4.1.
const FRAME_HEADER_BYTES: usize = 9;

const HEADERS_FRAME: u8 = 1;
const RST_STREAM_FRAME: u8 = 3;

/// The credit at the start, which is also the highest credit.
const MAX_CREDIT: u64 = 512;
/// The credit that a second restores.
const CREDIT_PER_SECOND: u64 = 32;
/// The credit that a response earns: a request, its response and their acknowledgements take fewer frames.
const CREDIT_PER_RESPONSE: u64 = 8;
/// The number of sent bytes that earn the credit of one frame: a client acknowledges what it reads.
const BYTES_PER_CREDIT: u64 = 1024;
/// The cost of a reset, which is more than a response earns. Every other frame costs 1.
const RESET_COST: u64 = 16;

/// Finds the frames in one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    header: [u8; FRAME_HEADER_BYTES],
    /// The number of bytes of the header that have arrived.
    filled: usize,
    /// The number of bytes of the payload that are missing.
    payload: usize,
    /// The highest stream of a request.
    last_stream: u32,
}

impl FrameReader {
    /// Reads further bytes, and returns the cost of the frames that begin in them.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut cost = 0;
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (FRAME_HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == FRAME_HEADER_BYTES {
                cost += self.begin();
            }
        }
        cost
    }

    /// Begins the frame whose header has arrived, and returns its cost.
    fn begin(&mut self) -> u64 {
        let [one, two, three, kind, _, stream @ ..] = self.header;
        self.filled = 0;
        self.payload = usize::from(one) << 16 | usize::from(two) << 8 | usize::from(three);
        if kind == HEADERS_FRAME {
            self.last_stream = self.last_stream.max(u32::from_be_bytes(stream) & (u32::MAX >> 1));
        }
        if kind == RST_STREAM_FRAME { RESET_COST } else { 1 }
    }

    /// Whether the last frame is complete, so that another can follow.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.filled == 0 && self.payload == 0
    }

    /// The frame that ends a connection.
    pub(super) fn goaway(&self) -> [u8; FRAME_HEADER_BYTES + 8] {
        const ENHANCE_YOUR_CALM: u8 = 0xb;
        let [one, two, three, four] = self.last_stream.to_be_bytes();
        [0, 0, 8, 7, 0, 0, 0, 0, 0, one, two, three, four, 0, 0, 0, ENHANCE_YOUR_CALM]
    }
}

/// The number of frames that a client may still send without a response.
#[derive(Debug)]
pub(super) struct Credit {
    left: u64,
    at: Instant,
    answered: u64,
    /// The number of sent bytes that have not earned anything yet.
    sent: u64,
}

impl Credit {
    pub(super) fn new() -> Self {
        Self { left: MAX_CREDIT, at: Instant::now(), answered: 0, sent: 0 }
    }

    /// Counts bytes that were sent to the client.
    pub(super) const fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// Pays for frames; `answered` is the number of responses so far. `false`: there is too little credit.
    pub(super) fn pay(&mut self, cost: u64, answered: u64) -> bool {
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.at).min(Duration::from_secs(60));
        let restored = u64::try_from(waited.as_millis()).unwrap_or(0) * CREDIT_PER_SECOND / 1000;
        if restored > 0 {
            self.at = now;
        }
        let earned = (answered - self.answered) * CREDIT_PER_RESPONSE + self.sent / BYTES_PER_CREDIT;
        (self.answered, self.sent) = (answered, self.sent % BYTES_PER_CREDIT);
        self.left = (self.left + restored + earned).min(MAX_CREDIT);
        let is_enough = self.left >= cost;
        self.left = self.left.saturating_sub(cost);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::advance;

    fn frame(kind: u8, stream: u32, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a length").to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), &vec![0; payload]].concat()
    }

    proptest! {
        #[test]
        fn frames_are_found_however_they_arrive(
            frames in prop::collection::vec((0_u8..12, 0_u32..100, 0_usize..300), 0..20),
            piece in 1_usize..40,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, stream, payload)| frame(*kind, *stream, *payload)).collect();
            let mut reader = FrameReader::default();
            let cost: u64 = bytes.chunks(piece).map(|piece| reader.read(piece)).sum();
            prop_assert_eq!(cost, frames.iter().map(|(kind, ..)| if *kind == RST_STREAM_FRAME { RESET_COST } else { 1 }).sum::<u64>());
            prop_assert!(reader.is_between_frames());
            let requests = frames.iter().filter(|(kind, ..)| *kind == HEADERS_FRAME).map(|(_, stream, _)| *stream);
            prop_assert_eq!(reader.last_stream, requests.max().unwrap_or_default());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_without_responses_use_up_the_credit() {
        let mut credit = Credit::new();
        assert!((0..MAX_CREDIT).all(|_| credit.pay(1, 0)));
        assert!(!credit.pay(1, 0));
        advance(Duration::from_secs(1)).await;
        assert!(credit.pay(CREDIT_PER_SECOND, 0) && !credit.pay(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn responses_and_their_bytes_pay_for_frames() {
        let mut credit = Credit::new();
        assert!((1..100_000).all(|answered| credit.pay(5, answered)), "a request, its body, two acknowledgements and a ping");
        let mut reader = Credit::new();
        for _ in 0..100_000 {
            reader.sent(2 * 16 * 1024);
            assert!(reader.pay(2, 0), "a large response is acknowledged twice in 32 KiB");
        }
    }
}
