//! The table of attacks.

use super::{
    crowd::{Arrival, Client, Crowd},
    settings::{GENERAL, Setting},
};
use std::net::SocketAddr;

#[derive(Clone)]
pub(super) struct Attack {
    /// A short name, for `ALLSWELL_ATTACK`.
    pub(super) name: &'static str,
    /// For the table.
    pub(super) title: &'static str,
    pub(super) arrival: Arrival,
    pub(super) client: Client,
    pub(super) settings: &'static [Setting],
    /// The settings in which the suite runs it.
    pub(super) in_suite: &'static [Setting],
    /// Whether the server has to end every connection of the crowd at least once.
    pub(super) has_to_be_ended: bool,
    /// What else has to work during the attack.
    pub(super) newcomer: Option<Newcomer>,
}

/// Another client. It returns what is wrong.
pub(super) type Newcomer = fn(SocketAddr) -> Result<(), String>;

impl Attack {
    pub(super) fn new(name: &'static str, title: &'static str, crowd: Crowd, client: Client) -> Self {
        Self {
            name,
            title,
            arrival: Arrival { crowd, per_second: 2000, addresses: 1 },
            client,
            settings: GENERAL,
            in_suite: &[],
            has_to_be_ended: false,
            newcomer: None,
        }
    }

    pub(super) fn at_rate(mut self, per_second: u32) -> Self {
        self.arrival.per_second = per_second;
        self
    }

    pub(super) fn with_addresses(mut self, addresses: usize) -> Self {
        self.arrival.addresses = addresses;
        self
    }

    pub(super) fn only_in(mut self, settings: &'static [Setting]) -> Self {
        self.settings = settings;
        self
    }

    pub(super) fn in_suite(mut self, settings: &'static [Setting]) -> Self {
        self.in_suite = settings;
        self
    }

    pub(super) fn has_to_be_ended(mut self) -> Self {
        self.has_to_be_ended = true;
        self
    }

    pub(super) fn with_newcomer(mut self, newcomer: Newcomer) -> Self {
        self.newcomer = Some(newcomer);
        self
    }
}
