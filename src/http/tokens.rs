//! Wrong tokens: the log names their sources, and a source that sends several is slowed down.

use super::{network::network, pace::OncePerMinute};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many wrong tokens a source may send in a minute before it is slowed down.
const FREE_TRIES: u32 = 5;

/// How long the answer to a wrong token is delayed from then on.
const DELAY: Duration = Duration::from_millis(250);

/// How long tries are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// How many networks are counted separately.
const MAX_SOURCES: usize = 256;

/// Counts wrong tokens.
#[derive(Debug, Default)]
pub(super) struct WrongTokens(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By network; `None`: the server does not know the addresses of its clients.
    sources: HashMap<Option<IpAddr>, Tries>,
    log: OncePerMinute,
    /// Since the last line in the log.
    unlogged: u32,
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    count: u32,
    since: Instant,
}

impl WrongTokens {
    /// Counts a wrong token from an address, and returns how long the answer to it has to be delayed.
    pub(super) fn count(&self, address: Option<IpAddr>, now: Instant) -> Duration {
        let source = address.map(network);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.sources.len() >= MAX_SOURCES && !state.sources.contains_key(&source) {
            // The sources that began latest are the ones that still try.
            let oldest = state.sources.iter().min_by_key(|(_, tries)| tries.since).map(|(source, _)| *source);
            oldest.and_then(|oldest| state.sources.remove(&oldest));
        }
        let tries = state.sources.entry(source).or_insert(Tries { count: 0, since: now });
        if now.saturating_duration_since(tries.since) >= WINDOW {
            *tries = Tries { count: 0, since: now };
        }
        tries.count = tries.count.saturating_add(1);
        let delay = if tries.count > FREE_TRIES { DELAY } else { Duration::ZERO };
        state.unlogged = state.unlogged.saturating_add(1);
        if state.log.is_due(now) {
            let from = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
            tracing::warn!(from, requests = state.unlogged, "wrong token: requests were answered without what the token unlocks");
            state.unlogged = 0;
        }
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test(start_paused = true)]
    async fn a_source_is_slowed_down_after_several_tries_in_a_minute() {
        let (tokens, start) = (WrongTokens::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))));
        for _ in 0..FREE_TRIES {
            assert_eq!(tokens.count(one, start), Duration::ZERO);
        }
        assert_eq!(tokens.count(one, start), DELAY);
        assert_eq!(tokens.count(other, start), Duration::ZERO);
        assert_eq!(tokens.count(one, start + WINDOW), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn another_address_of_the_same_ipv6_network_is_no_new_source() {
        let tokens = WrongTokens::default();
        let delays = (0..=FREE_TRIES).map(|last| {
            let address = format!("2001:db8::{last}").parse().expect("an address");
            tokens.count(Some(address), Instant::now())
        });
        assert_eq!(delays.last(), Some(DELAY));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_sources_is_bounded() {
        let tokens = WrongTokens::default();
        for last in 0..1000_u32 {
            tokens.count(Some(IpAddr::V4(Ipv4Addr::from(last))), Instant::now());
        }
        assert_eq!(tokens.0.lock().expect("no panic").sources.len(), MAX_SOURCES);
    }
}
