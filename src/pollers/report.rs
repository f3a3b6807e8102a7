//! The ledger's contents at one moment.

use jiff::Timestamp;
use std::{net::IpAddr, time::Duration};

/// The pollers at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PollerOverview {
    /// What an operator should know: which load balancers consider this process unhealthy, and which have stopped polling.
    pub notices: Vec<String>,
    /// Each poller, the latest to poll first.
    pub seen: Vec<PollerReport>,
}

/// A client that polls one path from one address with one user agent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PollerReport {
    /// Which client it is, by its user agent: `alb`, `kubelet`, `curl`, … or `other`.
    pub client: &'static str,
    /// Its address; `None` where an embedding application does not provide it.
    pub address: Option<IpAddr>,
    /// Its user agent: at most 120 bytes of it, without control characters.
    pub agent: String,
    /// The path that it polls; all unknown paths are one.
    pub path: String,
    /// How often it has polled.
    pub polls: u64,
    /// The average time between two polls, the latest ones weighted most; `None` before the second poll and after a long absence.
    pub interval: Option<Duration>,
    /// When it polled last.
    pub last_polled_at: Timestamp,
    /// The HTTP status code of the last response.
    pub last_code: u16,
    /// Whether the last response was good for it.
    pub good: bool,
    /// How many responses in a row were as good or as bad as the last one.
    pub consecutive: u64,
    /// What it concluded, if its kind is known and it still polls.
    pub health: Option<TargetHealth>,
    /// The same in a sentence.
    pub conclusion: Option<String>,
}

/// What a load balancer concludes from its polls, if it has its default thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetHealth {
    /// Whether it considers this process healthy.
    pub healthy: bool,
    /// Since when.
    pub since: Timestamp,
}
