//! Who polls us, and what they conclude.

use jiff::Timestamp;
use std::{net::IpAddr, time::Duration};

/// Who polls, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probers {
    /// What somebody should know: who holds us unhealthy, and who fell silent.
    pub notices: Vec<String>,
    /// Each source, the latest to poll first.
    pub seen: Vec<ProberReport>,
}

/// Whoever polls one path from one address under one user agent.
#[derive(Clone, Debug, PartialEq)]
pub struct ProberReport {
    /// Which client it is, by its user agent: `alb`, `kubelet`, `curl`, … or `other`.
    pub client: &'static str,
    /// From where; unknown where an embedding application does not tell.
    pub address: Option<IpAddr>,
    /// What it calls itself, shortened.
    pub agent: String,
    /// What it polls; what nobody knows is one path.
    pub path: String,
    /// How often it has polled.
    pub polls: u64,
    /// The time between two polls, on the average of late.
    pub interval: Option<Duration>,
    /// When it polled last.
    pub last_polled_at: Timestamp,
    /// What it was answered then.
    pub last_code: u16,
    /// Whether that is good for it.
    pub good: bool,
    /// How many answers in a row were as good or as bad.
    pub consecutive: u64,
    /// Whether it holds us healthy, by its default thresholds, and since when; where it is known what it does.
    pub holds: Option<(bool, Timestamp)>,
    /// The same in a sentence.
    pub concludes: Option<String>,
}
