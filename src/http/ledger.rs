//! The prober ledger: who polls, from where, how often, and what they conclude of our answers.

use crate::{
    dialect::html::span,
    prober::{Manner, Prober},
    report::{ProberReport, Probers},
};
use allswell_checks::contract::printable;
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
/// Who has not polled for so many of its intervals is gone: what it concluded last is nobody's conclusion any more.
const MISSED: u64 = 10;
/// Who was seen but once has this interval as far as anybody knows: an ALB's default.
const USUAL: u64 = 30_000_000_000;
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
    pub(super) path: &'a str,
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
}

#[derive(Clone, Debug)]
struct Source {
    client: &'static str,
    prober: Option<Prober>,
    /// How it polls, where that is known.
    manner: Option<Manner>,
    address: Option<IpAddr>,
    agent: Box<[u8]>,
    path: Box<str>,
    polls: u64,
    /// By code: there are few, and the first is nearly always the one.
    codes: Vec<(u16, u64)>,
    last: Instant,
    /// In nanoseconds, which are averaged in a few instructions.
    interval: Option<u64>,
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
        let same = |source: &Source| source.address == visit.address && *source.path == *visit.path && *source.agent == *agent;
        let at = book.sources.iter().position(same).unwrap_or_else(|| book.welcome(visit, agent, now));
        book.sources[at].polled(visit.code, visit.serving, now);
    }

    /// Who polls, and what they conclude.
    pub(super) fn report(&self) -> Probers {
        let (now, clock) = (Instant::now(), Timestamp::now());
        // Told from a copy: who polls does not wait for sentences.
        let sources = self.book.lock().unwrap_or_else(PoisonError::into_inner).sources.clone();
        // An age is monotonic; the time of day is for display.
        let at = |instant: Instant| {
            let age = SignedDuration::try_from(now.saturating_duration_since(instant)).unwrap_or_default();
            clock.checked_sub(age).unwrap_or(clock)
        };
        let mut seen: Vec<ProberReport> = sources.iter().map(|source| source.report(now, at)).collect();
        let notices = silences(&sources, self.began, now).into_iter().chain(unhealthy(&seen)).collect();
        seen.sort_by(|one, other| other.last_polled_at.cmp(&one.last_polled_at).then_with(|| one.path.cmp(&other.path)));
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

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What to say of load balancers that polled again and again, and do so no more; or of none that ever did.
fn silences(sources: &[Source], began: Instant, now: Instant) -> Vec<String> {
    let told = |since: Instant| span(SignedDuration::try_from(now.saturating_duration_since(since)).unwrap_or(SignedDuration::MAX));
    let mut clients: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    // Who came once or twice may have been a person.
    for source in sources.iter().filter(|source| source.polls > 2 && source.prober.is_some_and(Prober::is_balancer)) {
        clients.entry(source.manner.as_ref().map_or(source.client, |manner| manner.title)).or_default().push(source);
    }
    if clients.is_empty() && now.saturating_duration_since(began) >= SILENCE {
        return vec![format!("no load balancer has polled since the start, {} ago", told(began))];
    }
    let silent = clients.into_iter().filter_map(|(title, sources)| {
        let last = sources.iter().map(|source| source.last).max()?;
        let slowest = sources.iter().filter_map(|source| source.interval).max().unwrap_or_default();
        let patience = Duration::from_nanos(slowest).saturating_mul(3).max(SILENCE);
        let silent = now.saturating_duration_since(last) >= patience;
        silent.then(|| format!("{title} polled, and has not for {}", told(last)))
    });
    silent.collect()
}

/// Who holds us unhealthy: a sentence for each client and path, however many sources it has.
fn unhealthy(seen: &[ProberReport]) -> Vec<String> {
    let mut told: BTreeMap<(&str, &str), (usize, usize, Timestamp, &str)> = BTreeMap::new();
    for prober in seen {
        let (Some((healthy, since)), Some(concludes)) = (prober.holds, prober.concludes.as_deref()) else { continue };
        let entry = told.entry((prober.client, &prober.path)).or_insert((0, 0, Timestamp::MAX, ""));
        entry.1 += 1;
        if !healthy {
            entry.0 += 1;
            if since < entry.2 {
                (entry.2, entry.3) = (since, concludes);
            }
        }
    }
    let worst = told.into_iter().filter(|(_, (unhealthy, ..))| *unhealthy > 0);
    worst
        .map(|((_, path), (unhealthy, all, _, concludes))| match all {
            1 => format!("{concludes}, by {path}"),
            _ => format!("{concludes}, by {path}: {unhealthy} of {all} sources"),
        })
        .collect()
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
            prober: visit.prober,
            manner: visit.prober.map(Prober::manner),
            address: visit.address,
            agent: agent.into(),
            path: visit.path.into(),
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
            let gone = source.is_gone(now);
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
            // Nobody's interval is a long absence: after one it begins anew.
            let gap = nanoseconds(gap);
            self.interval = if self.is_gone(now) { None } else { Some(self.interval.map_or(gap, |interval| interval / 4 * 3 + gap / 4)) };
        }
        self.consecutive = if good == self.good { self.consecutive + 1 } else { 1 };
        (self.polls, self.last, self.code, self.good) = (self.polls + 1, now, code, good);
        match self.codes.iter_mut().find(|(other, _)| *other == code) {
            Some((_, polls)) => *polls += 1,
            None => self.codes.push((code, 1)),
        }
        let Some(manner) = &self.manner else { return };
        // Where nobody tells from where, several may be one.
        if self.address.is_none() {
            return;
        }
        // A target that nobody has seen yet is healthy with its first good answer; HAProxy takes it down with its first bad one.
        let needed = match (self.holds, good) {
            (None, true) => 1,
            (None, false) if self.prober == Some(Prober::Haproxy) => 1,
            (_, true) => manner.healthy,
            (_, false) => manner.unhealthy,
        };
        if self.holds.is_none_or(|(healthy, _)| healthy != good) && self.consecutive >= u64::from(needed) {
            self.holds = Some((good, now));
        }
    }

    /// Whether it has stopped polling, or polls no more than now and then.
    fn is_gone(&self, now: Instant) -> bool {
        let patience = self.interval.unwrap_or(USUAL).saturating_mul(MISSED).max(nanoseconds(SILENCE));
        nanoseconds(now.saturating_duration_since(self.last)) > patience
    }

    fn report(&self, now: Instant, at: impl Fn(Instant) -> Timestamp) -> ProberReport {
        let holds = self.holds.filter(|_| !self.is_gone(now)).map(|(healthy, since)| (healthy, at(since)));
        let title = self.manner.as_ref().map(|manner| manner.title);
        let concludes = title.zip(holds).map(|(title, (healthy, since))| {
            let word = if healthy { "healthy" } else { "unhealthy" };
            format!("{title} with its default thresholds holds us {word} since {since:.3}")
        });
        ProberReport {
            client: self.client,
            address: self.address,
            // It reaches terminals, and anybody may send anything.
            agent: printable(&String::from_utf8_lossy(&self.agent)).into_owned(),
            path: self.path.to_string(),
            polls: self.polls,
            interval: self.interval.map(Duration::from_nanos),
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
        for last in [1, 2] {
            for _ in 0..3 {
                ledger.record(&visit(last, ELB, 500), after(10).await);
            }
        }
        let notices = ledger.report().notices;
        let begins = "an ALB with its default thresholds holds us unhealthy since ";
        assert!(matches!(&notices[..], [one] if one.starts_with(begins) && one.ends_with("Z, by /health: 2 of 2 sources")), "{notices:?}");
        after(80).await;
        assert_eq!(ledger.report().notices.len(), 1, "nobody is missed yet: {:?}", ledger.report().notices);
        // A kubelet is no load balancer.
        ledger.record(&visit(1, b"kube-probe/1.35", 200), after(10).await);
        assert_eq!(ledger.report().notices[0], "an ALB polled, and has not for 90 s");
        // Who is gone for long holds nothing any more.
        after(300).await;
        assert_eq!(ledger.report().notices, ["an ALB polled, and has not for 6 min"]);
        assert!(ledger.report().seen.iter().all(|prober| prober.client != "alb" || prober.holds.is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_absence_is_no_interval() {
        let ledger = Ledger::default();
        for seconds in [300, 300, 300, 2 * 24 * 3600] {
            ledger.record(&visit(1, ELB, 200), after(seconds).await);
        }
        assert_eq!(ledger.report().seen[0].interval, None);
        assert!(ledger.report().notices.is_empty());
        // Who polls every five minutes is not silent after three.
        ledger.record(&visit(1, ELB, 200), after(300).await);
        assert_eq!(ledger.report().seen[0].interval, Some(Duration::from_secs(300)));
        after(200).await;
        assert!(ledger.report().notices.is_empty(), "{:?}", ledger.report().notices);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_bad_answer_counts_for_haproxy_and_nobody_counts_without_an_address() {
        let ledger = Ledger::default();
        let haproxy = Visit { prober: Some(Prober::Haproxy), ..visit(1, b"", 500) };
        ledger.record(&haproxy, after(1).await);
        assert_eq!(holds(&ledger), Some(false));
        let ledger = Ledger::default();
        ledger.record(&Visit { address: None, ..haproxy }, after(1).await);
        assert_eq!(holds(&ledger), None);
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
        ledger.record(&visit(3, b"curl/8\x9b\n", 200), after(3601).await);
        let report = ledger.report();
        assert_eq!((report.seen.len(), report.seen[0].agent.as_str()), (SOURCES, "curl/8\u{fffd} "));
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
