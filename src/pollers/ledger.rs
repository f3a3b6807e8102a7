//! The ledger: which pollers have polled this process, from where and how often, and what each concluded from the responses.
//!
//! Each poll writes to it. Dialects and metrics read it; the probe engine never does.

use super::{
    PollerKind, PollerOverview, PollerProfile, PollerReport,
    names::{client_name, may_be_balancer},
    report::TargetHealth,
};
use crate::age::rounded;
use allswell_checks::contract::printable;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The most pollers that are remembered. A load balancer counts once for each of its nodes and paths.
const MAX_POLLERS: usize = 64;
/// The most bytes of a user agent that are remembered.
const MAX_AGENT_BYTES: usize = 120;
/// A poller that has not polled for this many of its intervals has stopped: its last conclusion does not count any more.
const MAX_MISSED_POLLS: u64 = 10;
/// The interval, in nanoseconds, that is assumed of a poller that has polled only once: an ALB's default.
const DEFAULT_INTERVAL_NANOS: u64 = 30_000_000_000;
/// The shortest time without a poll from a load balancer that is worth a notice: three intervals of an ALB's default.
const MIN_SILENCE: Duration = Duration::from_secs(90);

/// One poll and its response.
pub(crate) struct RecordedPoll<'a> {
    /// The address of the client, if the server knows it.
    pub(crate) address: Option<IpAddr>,
    /// The header `User-Agent`.
    pub(crate) agent: &'a [u8],
    pub(crate) path: &'a str,
    /// Which kind of poller sent it, if that is known.
    pub(crate) kind: Option<PollerKind>,
    /// The HTTP status code of the response.
    pub(crate) code: u16,
    /// The health status that a gRPC response carries besides the code.
    pub(crate) serving: Option<bool>,
}

/// The pollers that are remembered: at most 64, whatever any number of clients send.
#[derive(Debug)]
pub(crate) struct Ledger {
    began: Instant,
    table: Mutex<PollerTable>,
}

/// The number of responses by client and status code.
type CodeCounts = BTreeMap<(&'static str, u16), u64>;

#[derive(Debug, Default)]
struct PollerTable {
    pollers: Vec<TrackedPoller>,
    /// The polls of the pollers that were forgotten.
    forgotten: CodeCounts,
}

/// A client that polls one path from one address with one user agent.
#[derive(Clone, Debug)]
struct TrackedPoller {
    client: &'static str,
    kind: Option<PollerKind>,
    /// How this kind polls, if the kind is known.
    profile: Option<PollerProfile>,
    address: Option<IpAddr>,
    agent: Box<[u8]>,
    path: Box<str>,
    polls: u64,
    /// The number of responses by status code. There are few codes, and the first is nearly always the one.
    codes: Vec<(u16, u64)>,
    last_polled: Instant,
    /// The average time between two polls, in nanoseconds: averaging these takes a few instructions.
    interval_nanos: Option<u64>,
    code: u16,
    /// Whether the last response was good for it.
    good: bool,
    /// How many responses in a row were as good or as bad as the last one.
    consecutive: u64,
    /// Whether it considers this process healthy, and since when.
    healthy: Option<(bool, Instant)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { began: Instant::now(), table: Mutex::default() }
    }
}

impl Ledger {
    /// Records a poll. This takes a few comparisons, and allocates only for a poller that is new.
    pub(crate) fn record(&self, poll: &RecordedPoll<'_>, now: Instant) {
        let agent = &poll.agent[..poll.agent.len().min(MAX_AGENT_BYTES)];
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |poller: &TrackedPoller| poller.address == poll.address && *poller.path == *poll.path && *poller.agent == *agent;
        let index = table.pollers.iter().position(is_same).unwrap_or_else(|| table.add(poll, agent, now));
        table.pollers[index].record(poll.code, poll.serving, now);
    }

    /// The pollers as they are now, and the notices about them.
    pub(crate) fn report(&self) -> PollerOverview {
        let (now, clock) = (Instant::now(), Timestamp::now());
        // Made from a copy, so that no poll waits for it.
        let pollers = self.table.lock().unwrap_or_else(PoisonError::into_inner).pollers.clone();
        // Ages come from the monotonic clock; the time of day is for display.
        let at = |instant: Instant| {
            let age = SignedDuration::try_from(now.saturating_duration_since(instant)).unwrap_or_default();
            clock.checked_sub(age).unwrap_or(clock)
        };
        let mut seen: Vec<PollerReport> = pollers.iter().map(|poller| poller.report(now, at)).collect();
        let notices = silence_notices(&pollers, self.began, now).into_iter().chain(unhealthy_notices(&seen)).collect();
        seen.sort_by(|one, other| other.last_polled_at.cmp(&one.last_polled_at).then_with(|| one.path.cmp(&other.path)));
        PollerOverview { notices, seen }
    }

    /// The number of responses by client and status code, those to forgotten pollers included.
    pub(crate) fn counts(&self) -> Vec<((&'static str, u16), u64)> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = table.forgotten.clone();
        table.pollers.iter().for_each(|poller| poller.add_to(&mut counts));
        drop(table);
        counts.into_iter().collect()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A notice for each kind of load balancer that polled repeatedly and has stopped, or one if no load balancer has ever polled.
fn silence_notices(pollers: &[TrackedPoller], began: Instant, now: Instant) -> Vec<String> {
    let age = |since: Instant| rounded(SignedDuration::try_from(now.saturating_duration_since(since)).unwrap_or(SignedDuration::MAX));
    let mut balancers: BTreeMap<&str, Vec<&TrackedPoller>> = BTreeMap::new();
    // A client that polled once or twice may have been a person with its user agent.
    for poller in pollers.iter().filter(|poller| poller.polls > 2 && poller.kind.is_some_and(PollerKind::is_balancer)) {
        balancers.entry(poller.profile.as_ref().map_or(poller.client, |profile| profile.title)).or_default().push(poller);
    }
    // Traefik and Caddy poll with the user agent of a library.
    let may_be_unknown = || pollers.iter().any(|poller| poller.polls > 2 && poller.kind.is_none() && may_be_balancer(&poller.agent));
    if balancers.is_empty() && !may_be_unknown() && now.saturating_duration_since(began) >= MIN_SILENCE {
        return vec![format!("no load balancer has polled since the start, {} ago", age(began))];
    }
    let silent = balancers.into_iter().filter_map(|(title, pollers)| {
        let last = pollers.iter().map(|poller| poller.last_polled).max()?;
        let slowest = pollers.iter().filter_map(|poller| poller.interval_nanos).max().unwrap_or_default();
        let limit = Duration::from_nanos(slowest).saturating_mul(3).max(MIN_SILENCE);
        let is_silent = now.saturating_duration_since(last) >= limit;
        is_silent.then(|| format!("{title} has not polled for {}", age(last)))
    });
    silent.collect()
}

/// A notice for each client and path by which this process is considered unhealthy, however many pollers it has.
fn unhealthy_notices(seen: &[PollerReport]) -> Vec<String> {
    let mut by_client: BTreeMap<(&str, &str), Vec<&PollerReport>> = BTreeMap::new();
    for poller in seen.iter().filter(|poller| poller.health.is_some()) {
        by_client.entry((poller.client, &poller.path)).or_default().push(poller);
    }
    let notice = |((_, path), pollers): ((&str, &str), Vec<&PollerReport>)| {
        let unhealthy = || pollers.iter().filter_map(|poller| Some((poller.health.filter(|health| !health.healthy)?.since, poller)));
        let conclusion = unhealthy().min_by_key(|(since, _)| *since)?.1.conclusion.as_deref()?;
        Some(match pollers.len() {
            1 => format!("{conclusion}, by {path}"),
            all => format!("{conclusion}, by {path}: {} of {all} sources", unhealthy().count()),
        })
    };
    by_client.into_iter().filter_map(notice).collect()
}

impl PollerTable {
    /// Adds a poller, and returns its index.
    fn add(&mut self, poll: &RecordedPoll<'_>, agent: &[u8], now: Instant) -> usize {
        if self.pollers.len() >= MAX_POLLERS {
            self.forget_one(now);
        }
        self.pollers.push(TrackedPoller {
            client: poll.kind.map_or_else(|| client_name(agent), PollerKind::name),
            kind: poll.kind,
            profile: poll.kind.map(PollerKind::profile),
            address: poll.address,
            agent: agent.into(),
            path: poll.path.into(),
            polls: 0,
            codes: Vec::new(),
            last_polled: now,
            interval_nanos: None,
            code: poll.code,
            good: true,
            consecutive: 0,
            healthy: None,
        });
        self.pollers.len() - 1
    }

    /// Forgets a poller that has stopped, or else the one that has polled least. So any number of clients that poll once displace only
    /// each other.
    fn forget_one(&mut self, now: Instant) {
        let rank = |poller: &TrackedPoller| {
            let has_stopped = poller.has_stopped(now);
            (!has_stopped, if has_stopped { 0 } else { poller.polls }, poller.last_polled)
        };
        if let Some((index, _)) = self.pollers.iter().enumerate().min_by_key(|(_, poller)| rank(poller)) {
            self.pollers.swap_remove(index).add_to(&mut self.forgotten);
        }
    }
}

impl TrackedPoller {
    fn add_to(&self, counts: &mut CodeCounts) {
        for (code, polls) in &self.codes {
            *counts.entry((self.client, *code)).or_default() += polls;
        }
    }

    fn record(&mut self, code: u16, serving: Option<bool>, now: Instant) {
        let good = serving.unwrap_or_else(|| self.profile.as_ref().map_or(code < 400, |profile| profile.success.contains(code)));
        if self.polls > 0 {
            let gap = nanoseconds(now.saturating_duration_since(self.last_polled));
            // A long absence is no interval: after it the average starts again.
            self.interval_nanos =
                if self.has_stopped(now) { None } else { Some(self.interval_nanos.map_or(gap, |interval| interval / 4 * 3 + gap / 4)) };
        }
        self.consecutive = if good == self.good { self.consecutive + 1 } else { 1 };
        (self.polls, self.last_polled, self.code, self.good) = (self.polls + 1, now, code, good);
        match self.codes.iter_mut().find(|(other, _)| *other == code) {
            Some((_, polls)) => *polls += 1,
            None => self.codes.push((code, 1)),
        }
        let Some(profile) = &self.profile else { return };
        // Without addresses, several pollers may be counted as one.
        if self.address.is_none() {
            return;
        }
        // A new target becomes healthy with its first good response; HAProxy marks it as down with the first bad one.
        let needed = match (self.healthy, good) {
            (None, true) => 1,
            (None, false) if self.kind == Some(PollerKind::Haproxy) => 1,
            (_, true) => profile.healthy,
            (_, false) => profile.unhealthy,
        };
        if self.healthy.is_none_or(|(healthy, _)| healthy != good) && self.consecutive >= u64::from(needed) {
            self.healthy = Some((good, now));
        }
    }

    /// Whether it has stopped polling, or polls only now and then.
    fn has_stopped(&self, now: Instant) -> bool {
        let interval = self.interval_nanos.unwrap_or(DEFAULT_INTERVAL_NANOS);
        let limit = interval.saturating_mul(MAX_MISSED_POLLS).max(nanoseconds(MIN_SILENCE));
        nanoseconds(now.saturating_duration_since(self.last_polled)) > limit
    }

    fn report(&self, now: Instant, at: impl Fn(Instant) -> Timestamp) -> PollerReport {
        let current = self.healthy.filter(|_| !self.has_stopped(now));
        let health = current.map(|(healthy, since)| TargetHealth { healthy, since: at(since) });
        let title = self.profile.as_ref().map(|profile| profile.title);
        let conclusion = title.zip(health).map(|(title, TargetHealth { healthy, since })| {
            let word = if healthy { "healthy" } else { "unhealthy" };
            format!("{title} with its default thresholds considers this target {word} since {since:.3}")
        });
        PollerReport {
            client: self.client,
            address: self.address,
            // Any client may send any bytes, and this text reaches terminals.
            agent: printable(&String::from_utf8_lossy(&self.agent)).into_owned(),
            path: self.path.to_string(),
            polls: self.polls,
            interval: self.interval_nanos.map(Duration::from_nanos),
            last_polled_at: at(self.last_polled),
            last_code: self.code,
            good: self.good,
            consecutive: self.consecutive,
            health,
            conclusion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELB: &[u8] = b"ELB-HealthChecker/2.0";

    fn poll(last: u8, agent: &[u8], code: u16) -> RecordedPoll<'_> {
        let kind = PollerKind::recognize(agent, "GET", false);
        RecordedPoll { address: Some([10, 0, 0, last].into()), agent, path: "/health", kind, code, serving: None }
    }

    async fn after(seconds: u64) -> Instant {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        Instant::now()
    }

    fn is_healthy(ledger: &Ledger) -> Option<bool> {
        ledger.report().seen[0].health.map(|health| health.healthy)
    }

    #[tokio::test(start_paused = true)]
    async fn thresholds_are_counted_as_the_load_balancer_counts_them() {
        let ledger = Ledger::default();
        let mut expected = Vec::new();
        // One good response makes a new target healthy, two bad ones make it unhealthy, and five good ones healthy again.
        for (code, healthy) in [
            (500, None),
            (200, Some(true)),
            (500, Some(true)),
            (200, Some(true)),
            (500, Some(true)),
            (500, Some(false)),
            (200, Some(false)),
            (200, Some(false)),
            (200, Some(false)),
            (200, Some(false)),
            (200, Some(true)),
        ] {
            ledger.record(&poll(1, ELB, code), after(10).await);
            expected.push((is_healthy(&ledger), healthy));
        }
        assert!(expected.iter().all(|(seen, expected)| seen == expected), "{expected:?}");
        let report = ledger.report();
        let poller = &report.seen[0];
        assert_eq!((poller.client, poller.polls, poller.consecutive, poller.last_code), ("alb", 11, 5, 200));
        assert_eq!(poller.interval, Some(Duration::from_secs(10)));
        let sentence = poller.conclusion.as_deref().expect("a sentence");
        assert!(sentence.starts_with("an ALB with its default thresholds considers this target healthy since "), "{sentence}");
        assert_eq!(ledger.counts(), [(("alb", 200), 7), (("alb", 500), 4)]);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_load_balancers_and_unhealthy_conclusions_are_noticed() {
        let ledger = Ledger::default();
        after(80).await;
        assert!(ledger.report().notices.is_empty());
        ledger.record(&poll(9, b"curl/8.5", 200), after(11).await);
        assert_eq!(ledger.report().notices, ["no load balancer has polled since the start, 91 s ago"]);
        for last in [1, 2] {
            for _ in 0..3 {
                ledger.record(&poll(last, ELB, 500), after(10).await);
            }
        }
        let notices = ledger.report().notices;
        let begins = "an ALB with its default thresholds considers this target unhealthy since ";
        assert!(matches!(&notices[..], [one] if one.starts_with(begins) && one.ends_with("Z, by /health: 2 of 2 sources")), "{notices:?}");
        after(80).await;
        assert_eq!(ledger.report().notices.len(), 1, "80 s are no silence yet: {:?}", ledger.report().notices);
        // A kubelet is no load balancer.
        ledger.record(&poll(1, b"kube-probe/1.35", 200), after(10).await);
        assert_eq!(ledger.report().notices[0], "an ALB has not polled for 90 s");
        // The conclusion of a poller that has stopped does not count any more.
        after(300).await;
        assert_eq!(ledger.report().notices, ["an ALB has not polled for 6 min"]);
        assert!(ledger.report().seen.iter().all(|poller| poller.client != "alb" || poller.health.is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_balancer_with_the_user_agent_of_a_library_is_not_reported_as_missing() {
        let ledger = Ledger::default();
        for missing in [true, true, false] {
            ledger.record(&poll(1, b"Go-http-client/1.1", 200), after(100).await);
            assert_eq!(!ledger.report().notices.is_empty(), missing, "{:?}", ledger.report().notices);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_absence_is_no_interval() {
        let ledger = Ledger::default();
        for seconds in [300, 300, 300, 2 * 24 * 3600] {
            ledger.record(&poll(1, ELB, 200), after(seconds).await);
        }
        assert_eq!(ledger.report().seen[0].interval, None);
        assert!(ledger.report().notices.is_empty());
        // A load balancer that polls every five minutes is not silent after three.
        ledger.record(&poll(1, ELB, 200), after(300).await);
        assert_eq!(ledger.report().seen[0].interval, Some(Duration::from_secs(300)));
        after(200).await;
        assert!(ledger.report().notices.is_empty(), "{:?}", ledger.report().notices);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_bad_response_counts_for_haproxy_and_nothing_counts_without_an_address() {
        let ledger = Ledger::default();
        let haproxy = RecordedPoll { kind: Some(PollerKind::Haproxy), ..poll(1, b"", 500) };
        ledger.record(&haproxy, after(1).await);
        assert_eq!(is_healthy(&ledger), Some(false));
        let ledger = Ledger::default();
        ledger.record(&RecordedPoll { address: None, ..haproxy }, after(1).await);
        assert_eq!(is_healthy(&ledger), None);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_poll_once_do_not_displace_a_load_balancer() {
        let ledger = Ledger::default();
        for _ in 0..3 {
            ledger.record(&poll(1, ELB, 200), after(10).await);
        }
        for number in 0..10_000_u32 {
            let agent = format!("stranger/{number} {}", "x".repeat(1000));
            ledger.record(&poll(2, agent.as_bytes(), 200), Instant::now());
        }
        let report = ledger.report();
        assert_eq!(report.seen.len(), MAX_POLLERS);
        assert!(report.seen.iter().any(|poller| poller.client == "alb" && poller.polls == 3));
        assert!(report.seen.iter().all(|poller| poller.agent.len() <= MAX_AGENT_BYTES));
        assert_eq!(ledger.counts(), [(("alb", 200), 3), (("other", 200), 10_000)], "polls of forgotten pollers still count");
        // A poller that has stopped is forgotten before a client that polled once.
        ledger.record(&poll(3, b"curl/8\x9b\n", 200), after(3601).await);
        let report = ledger.report();
        assert_eq!((report.seen.len(), report.seen[0].agent.as_str()), (MAX_POLLERS, "curl/8\u{fffd} "));
    }

    #[tokio::test(start_paused = true)]
    async fn the_health_status_of_a_grpc_response_counts() {
        let ledger = Ledger::default();
        let agent = b"kube-probe/1.35 grpc-go/1.72";
        for serving in [true, false, false, false] {
            let poll = RecordedPoll { path: "/grpc.health.v1.Health/Check", serving: Some(serving), ..poll(1, agent, 200) };
            ledger.record(&poll, after(10).await);
        }
        assert_eq!(is_healthy(&ledger), Some(false));
    }
}
