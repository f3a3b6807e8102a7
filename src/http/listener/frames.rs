//! Frames of HTTP/2 that lead to nothing: `PING`, `SETTINGS`, `WINDOW_UPDATE`, resets and unknown types in any number.
//!
//! A connection has credit. Each frame costs some of it, answers and bytes that the client takes earn some, and time restores a little. A
//! connection without credit ends with `GOAWAY` and the code `ENHANCE_YOUR_CALM`: RFC 9113, sections 5.4.1 and 10.5.

use std::time::Duration;
use tokio::time::Instant;

/// The first bytes of every connection of HTTP/2 with prior knowledge: RFC 9113, section 3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header: RFC 9113, section 4.1.
const HEADER: usize = 9;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// The credit at the start, and the most there can be.
const MAX_CREDIT: u64 = 512;
/// The credit that comes back in a second.
const PER_SECOND: u64 = 32;
/// What an answer earns: a request, its answer and their acknowledgements take fewer frames.
const PER_ANSWER: u64 = 8;
/// As many bytes, sent to the client, earn the credit of a frame: a client acknowledges what it reads.
const BYTES_PER_FRAME: u64 = 1024;
/// What a reset costs: more than an answer earns.
const RESET: u64 = 16;

/// Finds the frames in one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    header: [u8; HEADER],
    /// How many bytes of the header have come.
    filled: usize,
    /// How many bytes of the payload are missing.
    payload: usize,
    /// The highest stream that a request was sent on.
    last_stream: u32,
}

impl FrameReader {
    /// Reads on, and returns what the frames cost that began.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut cost = 0;
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER {
                cost += self.begin();
            }
        }
        cost
    }

    /// Begins the frame whose header has come.
    fn begin(&mut self) -> u64 {
        let [one, two, three, kind, _, stream @ ..] = self.header;
        self.filled = 0;
        self.payload = usize::from(one) << 16 | usize::from(two) << 8 | usize::from(three);
        if kind == HEADERS {
            self.last_stream = self.last_stream.max(u32::from_be_bytes(stream) & (u32::MAX >> 1));
        }
        if kind == RST_STREAM { RESET } else { 1 }
    }

    /// Whether the last frame is complete, so that another can follow.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.filled == 0 && self.payload == 0
    }

    /// The frame that ends a connection.
    pub(super) fn goaway(&self) -> [u8; HEADER + 8] {
        const ENHANCE_YOUR_CALM: u8 = 0xb;
        let [one, two, three, four] = self.last_stream.to_be_bytes();
        [0, 0, 8, 7, 0, 0, 0, 0, 0, one, two, three, four, 0, 0, 0, ENHANCE_YOUR_CALM]
    }
}

/// How many frames a client may send without taking an answer.
#[derive(Debug)]
pub(super) struct Credit {
    left: u64,
    at: Instant,
    answered: u64,
    /// Sent bytes that have not earned anything yet.
    sent: u64,
}

impl Credit {
    pub(super) fn new() -> Self {
        Self { left: MAX_CREDIT, at: Instant::now(), answered: 0, sent: 0 }
    }

    /// Notes bytes that the client has taken.
    pub(super) const fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// Pays for frames; `answered` counts the answers so far. `false`: there is too little credit.
    pub(super) fn pay(&mut self, cost: u64, answered: u64) -> bool {
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.at).min(Duration::from_secs(60));
        let restored = u64::try_from(waited.as_millis()).unwrap_or(0) * PER_SECOND / 1000;
        if restored > 0 {
            self.at = now;
        }
        let earned = (answered - self.answered) * PER_ANSWER + self.sent / BYTES_PER_FRAME;
        (self.answered, self.sent) = (answered, self.sent % BYTES_PER_FRAME);
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
            prop_assert_eq!(cost, frames.iter().map(|(kind, ..)| if *kind == RST_STREAM { RESET } else { 1 }).sum::<u64>());
            prop_assert!(reader.is_between_frames());
            let requests = frames.iter().filter(|(kind, ..)| *kind == HEADERS).map(|(_, stream, _)| *stream);
            prop_assert_eq!(reader.last_stream, requests.max().unwrap_or_default());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_without_answers_use_the_credit_up() {
        let mut credit = Credit::new();
        assert!((0..MAX_CREDIT).all(|_| credit.pay(1, 0)));
        assert!(!credit.pay(1, 0));
        advance(Duration::from_secs(1)).await;
        assert!(credit.pay(PER_SECOND, 0) && !credit.pay(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_what_is_read_of_them_pay_for_frames() {
        let mut credit = Credit::new();
        assert!((1..100_000).all(|answered| credit.pay(5, answered)), "a request, its body, two acknowledgements and a ping");
        let mut reader = Credit::new();
        for _ in 0..100_000 {
            reader.sent(2 * 16 * 1024);
            assert!(reader.pay(2, 0), "a large answer is acknowledged twice in 32 KiB");
        }
    }
}
