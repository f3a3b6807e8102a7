//! The pollers on the page: each client and what it concludes; the addresses only with the token.

use super::times::{Clock, clock as time_of_day, count, three_digits};
use crate::{
    dialect::Detail,
    pollers::{PollerOverview, PollerReport},
};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The section of the pollers. Those of one client and path are one entry, whatever their number of addresses.
pub(super) fn section(pollers: &PollerOverview, clock: Clock, detail: Detail) -> Markup {
    let mut clients: BTreeMap<(&str, &str), Vec<&PollerReport>> = BTreeMap::new();
    for poller in &pollers.seen {
        clients.entry((poller.client, &*poller.path)).or_default().push(poller);
    }
    html! {
        section id="probers" aria-labelledby="polled" {
            h2 id="polled" { "Polled by " span.count { (clients.len()) } }
            @for notice in &pollers.notices { p.notice { (notice) } }
            ul {
                @for ((client, path), sources) in &clients {
                    li.(if sources.iter().all(|source| source.good) { "pass" } else { "fail" }) {
                        p {
                            strong { (client) } " " span.path { (path) } " "
                            @if sources.len() > 1 { (count(sources.len(), "source")) ", " }
                            (polls(sources[0], clock))
                        }
                        @if detail == Detail::Causes {
                            @for source in sources { (source_line(source, clock)) }
                        }
                    }
                }
            }
        }
    }
}

/// How often it polls, and the last response.
fn polls(poller: &PollerReport, clock: Clock) -> Markup {
    html! {
        @if let Some(interval) = poller.interval { "every " (three_digits(interval)) ", " } @else { "once, " }
        "last response " b { (poller.last_code) } " "
        (clock.age(poller.last_polled_at)) " ago"
        @if poller.consecutive > 1 { ", " (poller.consecutive) " times in a row" }
        @if let Some(health) = poller.health {
            "; by its default thresholds " b { @if health.healthy { "healthy" } @else { "unhealthy" } }
            " since " (time_of_day(health.since, clock.now))
        }
    }
}

fn source_line(poller: &PollerReport, clock: Clock) -> Markup {
    html! {
        p.source {
            @if let Some(address) = poller.address { (address) " " }
            (poller.agent) ": " (polls(poller, clock))
        }
    }
}
