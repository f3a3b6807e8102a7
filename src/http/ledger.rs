//! The prober ledger: who polls, from where, how often, and what they conclude of our answers.

use crate::{
    dialect::html::span,
    prober::{Manner, Prober},
    report::{ProberReport, Probers},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many sources are remembered. A balancer has one for each of its nodes and paths.
const SOURCES: usize = 64;
/// How much of a user agent is remembered.
const AGENT: usize = 120;
/// Who has not polled for so long is forgotten before others.
const GONE: Duration = Duration::from_secs(60 * 60);
/// After this time without a poll of a load balancer's somebody should know: three intervals of an ALB's default.
const SILENCE: Duration = Duration::from_secs(90);

/// Other clients, by how their user agents begin.
const OTHERS: [(&[u8], &str); 12] = [
    (b"GoogleHC/", "google"),
    (b"Prometheus/", "prometheus"),
    (b"Blackbox Exporter/", "blackbox"),
    (b"UptimeRobot/", "uptimerobot"),
    (b"Pingdom", "pingdom"),
    (b"Go-http-client/", "go"),
    (b"grpc-", "grpc"),
    (b"python-requests/", "python"),
    (b"Wget/", "wget"),
    (b"curl/", "curl"),
    (b"allswell/", "allswell"),
    (b"Mozilla/", "browser"),
];

/// One poll and its answer.
pub(super) struct Visit<'a> {
    pub(super) address: Option<IpAddr>,
    pub(super) agent: &'a [u8],
    pub(super) path: &'static str,
    /// Who polls so, where that is known.
    pub(super) prober: Option<Prober>,
    pub(super) code: u16,
    /// What is said beside the code, by gRPC.
    pub(super) serving: Option<bool>,
}

/// The memory. It is written by each poll and read by whoever asks for it, never by the engine.
#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    book: Mutex<Book>,
}

/// How often a client was answered with a code.
type Counts = BTreeMap<(&'static str, u16), u64>;

#[derive(Debug, Default)]
struct Book {
    sources: Vec<Source>,
    /// The polls of those who were forgotten.
    forgotten: Counts,
    /// When a load balancer polled last.
    balanced: Option<Instant>,
}

#[derive(Debug)]
struct Source {
    client: &'static str,
    /// How it polls, where that is known.
    manner: Option<Manner>,
    address: Option<IpAddr>,
    agent: Box<[u8]>,
    path: &'static str,
    polls: u64,
    /// By code: there are few, and the first is nearly always the one.
    codes: Vec<(u16, u64)>,
    last: Instant,
    interval: Option<Duration>,
    code: u16,
    good: bool,
    consecutive: u64,
    /// Whether it holds us healthy, and since when.
    holds: Option<(bool, Instant)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { began: Instant::now(), book: Mutex::default() }
    }
}

impl Ledger {
    /// Remembers a poll. Takes a few comparisons and no allocation, but for who comes for the first time.
    pub(super) fn record(&self, visit: &Visit<'_>, now: Instant) {
        let agent = &visit.agent[..visit.agent.len().min(AGENT)];
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |source: &Source| source.address == visit.address && source.path == visit.path && *source.agent == *agent;
        let at = book.sources.iter().position(same).unwrap_or_else(|| book.welcome(visit, agent, now));
        book.sources[at].polled(visit.code, visit.serving, now);
        if visit.prober.is_some() {
            book.balanced = Some(now);
        }
    }

    /// Who polls, and what they conclude.
    pub(super) fn report(&self) -> Probers {
        let (now, clock) = (Instant::now(), Timestamp::now());
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        // An age is monotonic; the time of day is for display.
        let at = |instant: Instant| {
            let age = SignedDuration::try_from(now.saturating_duration_since(instant)).unwrap_or_default();
            clock.checked_sub(age).unwrap_or(clock)
        };
        let mut seen: Vec<ProberReport> = book.sources.iter().map(|source| source.report(at)).collect();
        let notices = silence(&book, self.began, now).into_iter().chain(unhealthy(&seen)).collect();
        drop(book);
        seen.sort_by(|one, other| other.last_polled_at.cmp(&one.last_polled_at).then(one.path.cmp(other.path)));
        Probers { notices, seen }
    }

    /// Polls by client and code.
    pub(super) fn counts(&self) -> Vec<((&'static str, u16), u64)> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = book.forgotten.clone();
        book.sources.iter().for_each(|source| source.count_into(&mut counts));
        drop(book);
        counts.into_iter().collect()
    }
}

/// What to say when no load balancer polls: none that was there once, or none at all.
fn silence(book: &Book, began: Instant, now: Instant) -> Option<String> {
    let slowest = book.sources.iter().filter(|source| source.manner.is_some()).filter_map(|source| source.interval).max();
    let patience = slowest.unwrap_or_default().saturating_mul(3).max(SILENCE);
    let silent = now.saturating_duration_since(book.balanced.unwrap_or(began));
    let told = span(SignedDuration::try_from(silent).unwrap_or(SignedDuration::MAX));
    (silent >= patience).then(|| match book.balanced {
        Some(_) => format!("no load balancer has polled for {told}"),
        None => format!("no load balancer has polled since the start, {told} ago"),
    })
}

fn unhealthy(seen: &[ProberReport]) -> Vec<String> {
    let mut told: Vec<String> = seen
        .iter()
        .filter(|prober| prober.holds.is_some_and(|(healthy, _)| !healthy))
        .filter_map(|prober| prober.concludes.clone())
        .collect();
    told.sort();
    told.dedup();
    told
}

impl Book {
    /// The place of somebody who comes for the first time.
    fn welcome(&mut self, visit: &Visit<'_>, agent: &[u8], now: Instant) -> usize {
        if self.sources.len() >= SOURCES {
            self.forget_one(now);
        }
        let other = OTHERS.iter().find(|(beginning, _)| agent.starts_with(beginning)).map_or("other", |(_, name)| name);
        self.sources.push(Source {
            client: visit.prober.map_or(other, Prober::name),
            manner: visit.prober.map(Prober::manner),
            address: visit.address,
            agent: agent.into(),
            path: visit.path,
            polls: 0,
            codes: Vec::new(),
            last: now,
            interval: None,
            code: visit.code,
            good: true,
            consecutive: 0,
            holds: None,
        });
        self.sources.len() - 1
    }

    /// Who is gone goes first, then who has polled least: so that a crowd of strangers, each of whom comes once, displaces nobody but
    /// strangers.
    fn forget_one(&mut self, now: Instant) {
        let rank = |source: &Source| {
            let gone = now.saturating_duration_since(source.last) > GONE;
            (!gone, if gone { 0 } else { source.polls }, source.last)
        };
        if let Some((at, _)) = self.sources.iter().enumerate().min_by_key(|(_, source)| rank(source)) {
            self.sources.swap_remove(at).count_into(&mut self.forgotten);
        }
    }
}

impl Source {
    fn count_into(&self, counts: &mut Counts) {
        for (code, polls) in &self.codes {
            *counts.entry((self.client, *code)).or_default() += polls;
        }
    }

    fn polled(&mut self, code: u16, serving: Option<bool>, now: Instant) {
        let good = serving.unwrap_or_else(|| self.manner.as_ref().map_or(code < 400, |manner| manner.success.contain(code)));
        if self.polls > 0 {
            let gap = now.saturating_duration_since(self.last);
            self.interval = Some(match self.interval {
                // After a long absence it begins anew.
                Some(interval) if gap <= interval * 10 + SILENCE => (interval * 3 + gap) / 4,
                _ => gap,
            });
        }
        self.consecutive = if good == self.good { self.consecutive + 1 } else { 1 };
        (self.polls, self.last, self.code, self.good) = (self.polls + 1, now, code, good);
        match self.codes.iter_mut().find(|(other, _)| *other == code) {
            Some((_, polls)) => *polls += 1,
            None => self.codes.push((code, 1)),
        }
        let Some(manner) = &self.manner else { return };
        // A target that nobody has seen yet is healthy with its first good answer.
        let needed = match (self.holds, good) {
            (None, true) => 1,
            (_, true) => manner.healthy,
            (_, false) => manner.unhealthy,
        };
        if self.holds.is_none_or(|(healthy, _)| healthy != good) && self.consecutive >= u64::from(needed) {
            self.holds = Some((good, now));
        }
    }

    fn report(&self, at: impl Fn(Instant) -> Timestamp) -> ProberReport {
        let holds = self.holds.map(|(healthy, since)| (healthy, at(since)));
        let title = self.manner.as_ref().map(|manner| manner.title);
        let concludes = title.zip(holds).map(|(title, (healthy, since))| {
            let word = if healthy { "healthy" } else { "unhealthy" };
            format!("{title} with its default thresholds holds us {word} since {since:.3}")
        });
        ProberReport {
            client: self.client,
            address: self.address,
            agent: String::from_utf8_lossy(&self.agent).into_owned(),
            path: self.path,
            polls: self.polls,
            interval: self.interval,
            last_polled_at: at(self.last),
            last_code: self.code,
            good: self.good,
            consecutive: self.consecutive,
            holds,
            concludes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELB: &[u8] = b"ELB-HealthChecker/2.0";

    fn visit(last: u8, agent: &[u8], code: u16) -> Visit<'_> {
        let prober = Prober::of(agent, "GET", false);
        Visit { address: Some([10, 0, 0, last].into()), agent, path: "/health", prober, code, serving: None }
    }

    async fn after(seconds: u64) -> Instant {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        Instant::now()
    }

    fn holds(ledger: &Ledger) -> Option<bool> {
        ledger.report().seen[0].holds.map(|(healthy, _)| healthy)
    }

    #[tokio::test(start_paused = true)]
    async fn thresholds_are_counted_as_the_balancer_counts_them() {
        let ledger = Ledger::default();
        let mut expected = Vec::new();
        // One good answer makes a new target healthy, two bad ones make it unhealthy, and five good ones healthy again.
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
            ledger.record(&visit(1, ELB, code), after(10).await);
            expected.push((holds(&ledger), healthy));
        }
        assert!(expected.iter().all(|(seen, wanted)| seen == wanted), "{expected:?}");
        let report = ledger.report();
        let prober = &report.seen[0];
        assert_eq!((prober.client, prober.polls, prober.consecutive, prober.last_code), ("alb", 11, 5, 200));
        assert_eq!(prober.interval, Some(Duration::from_secs(10)));
        let sentence = prober.concludes.as_deref().expect("a sentence");
        assert!(sentence.starts_with("an ALB with its default thresholds holds us healthy since "), "{sentence}");
        assert_eq!(ledger.counts(), [(("alb", 200), 7), (("alb", 500), 4)]);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_disapproval_are_told() {
        let ledger = Ledger::default();
        after(80).await;
        assert!(ledger.report().notices.is_empty());
        ledger.record(&visit(9, b"curl/8.5", 200), after(11).await);
        assert_eq!(ledger.report().notices, ["no load balancer has polled since the start, 91 s ago"]);
        ledger.record(&visit(1, ELB, 500), after(1).await);
        ledger.record(&visit(1, ELB, 500), after(10).await);
        let notices = ledger.report().notices;
        assert!(
            matches!(&notices[..], [one] if one.starts_with("an ALB with its default thresholds holds us unhealthy since ")),
            "{notices:?}"
        );
        after(90).await;
        assert_eq!(ledger.report().notices[0], "no load balancer has polled for 90 s");
        // Who polls every five minutes is not silent after one and a half.
        ledger.record(&visit(1, ELB, 200), after(300).await);
        ledger.record(&visit(1, ELB, 200), after(300).await);
        after(200).await;
        assert!(!ledger.report().notices[0].contains("polled"), "{:?}", ledger.report().notices);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_displaces_nobody_who_polls_again_and_again() {
        let ledger = Ledger::default();
        for _ in 0..3 {
            ledger.record(&visit(1, ELB, 200), after(10).await);
        }
        for number in 0..10_000_u32 {
            let agent = format!("stranger/{number} {}", "x".repeat(1000));
            ledger.record(&visit(2, agent.as_bytes(), 200), Instant::now());
        }
        let report = ledger.report();
        assert_eq!(report.seen.len(), SOURCES);
        assert!(report.seen.iter().any(|prober| prober.client == "alb" && prober.polls == 3));
        assert!(report.seen.iter().all(|prober| prober.agent.len() <= AGENT));
        assert_eq!(ledger.counts(), [(("alb", 200), 3), (("other", 200), 10_000)], "what was forgotten still counts");
        // Who is gone for long goes before a stranger.
        ledger.record(&visit(3, b"curl/8", 200), after(3601).await);
        assert_eq!(ledger.report().seen.len(), SOURCES);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_beside_the_code_counts() {
        let ledger = Ledger::default();
        let agent = b"kube-probe/1.35 grpc-go/1.72";
        for serving in [true, false, false, false] {
            let visit = Visit { path: "/grpc.health.v1.Health/Check", serving: Some(serving), ..visit(1, agent, 200) };
            ledger.record(&visit, after(10).await);
        }
        assert_eq!(holds(&ledger), Some(false));
    }
}
