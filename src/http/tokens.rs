//! Wrong tokens: the log names their source, and responses to a source that sends several are delayed.

use super::{network::network, pace::OncePerMinute};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The most wrong tokens in a minute whose responses are not delayed, for each source.
const MAX_FREE_TRIES: u32 = 5;

/// The delay of every further response to a wrong token.
const RESPONSE_DELAY: Duration = Duration::from_millis(250);

/// The time for which the wrong tokens of a source are counted.
const COUNTING_WINDOW: Duration = Duration::from_secs(60);

/// The most networks that are counted separately.
const MAX_SOURCES: usize = 256;

/// Counts wrong tokens.
#[derive(Debug, Default)]
pub(super) struct WrongTokens(Mutex<TokenSources>);

#[derive(Debug, Default)]
struct TokenSources {
    /// By network; `None` if the server does not know the addresses of its clients.
    sources: HashMap<Option<IpAddr>, TokenTries>,
    log: OncePerMinute,
    /// The number of wrong tokens since the last line in the log.
    unlogged: u32,
}

#[derive(Clone, Copy, Debug)]
struct TokenTries {
    count: u32,
    since: Instant,
}

impl WrongTokens {
    /// Counts a wrong token from an address, and returns the delay of its response.
    pub(super) fn count(&self, address: Option<IpAddr>, now: Instant) -> Duration {
        let source = address.map(network);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.sources.len() >= MAX_SOURCES && !state.sources.contains_key(&source) {
            // A source that began long ago has probably stopped.
            let oldest = state.sources.iter().min_by_key(|(_, tries)| tries.since).map(|(source, _)| *source);
            oldest.and_then(|oldest| state.sources.remove(&oldest));
        }
        let tries = state.sources.entry(source).or_insert(TokenTries { count: 0, since: now });
        if now.saturating_duration_since(tries.since) >= COUNTING_WINDOW {
            *tries = TokenTries { count: 0, since: now };
        }
        tries.count = tries.count.saturating_add(1);
        let delay = if tries.count > MAX_FREE_TRIES { RESPONSE_DELAY } else { Duration::ZERO };
        state.unlogged = state.unlogged.saturating_add(1);
        if state.log.is_due(now) {
            let from = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
            tracing::warn!(from, requests = state.unlogged, "wrong token: the responses contained only what clients without the token get");
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
    async fn responses_are_delayed_after_several_wrong_tokens_in_a_minute() {
        let (tokens, start) = (WrongTokens::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))));
        for _ in 0..MAX_FREE_TRIES {
            assert_eq!(tokens.count(one, start), Duration::ZERO);
        }
        assert_eq!(tokens.count(one, start), RESPONSE_DELAY);
        assert_eq!(tokens.count(other, start), Duration::ZERO);
        assert_eq!(tokens.count(one, start + COUNTING_WINDOW), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_ipv6_network_are_one_source() {
        let tokens = WrongTokens::default();
        let delays = (0..=MAX_FREE_TRIES).map(|last| {
            let address = format!("2001:db8::{last}").parse().expect("an address");
            tokens.count(Some(address), Instant::now())
        });
        assert_eq!(delays.last(), Some(RESPONSE_DELAY));
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
