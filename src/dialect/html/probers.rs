//! Who polls, on the page: each client and what it concludes; from where, only for who shows the token.

use super::{
    Detail,
    words::{self, Clock},
};
use crate::report::{ProberReport, Probers};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// All that polls a path as one client, from however many addresses.
type Sources<'a> = BTreeMap<(&'static str, &'a str), Vec<&'a ProberReport>>;

pub(super) fn section(probers: &Probers, clock: Clock, detail: Detail) -> Markup {
    let mut clients = Sources::new();
    for prober in &probers.seen {
        clients.entry((prober.client, &*prober.path)).or_default().push(prober);
    }
    html! {
        section id="probers" aria-labelledby="polled" {
            h2 id="polled" { "Polled by " span.count { (clients.len()) } }
            @for notice in &probers.notices { p.notice { (notice) } }
            ul {
                @for ((client, path), sources) in &clients {
                    li.(if sources.iter().all(|source| source.good) { "pass" } else { "fail" }) {
                        p {
                            strong { (client) } " " span.path { (path) } " "
                            @if sources.len() > 1 { (words::count(sources.len(), "source")) ", " }
                            (manner(sources[0], clock))
                        }
                        @if detail == Detail::Causes {
                            @for source in sources { (from(source, clock)) }
                        }
                    }
                }
            }
        }
    }
}

/// How often it polls, and what it was answered last.
fn manner(prober: &ProberReport, clock: Clock) -> Markup {
    html! {
        @if let Some(interval) = prober.interval { "every " (words::took(interval)) ", " } @else { "once, " }
        "answered " b { (prober.last_code) } " "
        (clock.age(prober.last_polled_at)) " ago"
        @if prober.consecutive > 1 { ", " (prober.consecutive) " times in a row" }
        @if let Some((healthy, since)) = prober.holds {
            "; by its default thresholds " b { @if healthy { "healthy" } @else { "unhealthy" } } " since " (words::clock(since, clock.now))
        }
    }
}

fn from(prober: &ProberReport, clock: Clock) -> Markup {
    html! {
        p.source {
            @if let Some(address) = prober.address { (address) " " }
            (prober.agent) ": " (manner(prober, clock))
        }
    }
}
