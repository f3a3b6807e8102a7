//! Who polls, on the page: each client and what it concludes; from where, only for who shows the token.

use super::{Detail, words};
use crate::report::{ProberReport, Probers};
use jiff::Timestamp;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Where it goes in a fragment.
pub(super) const PLACE: &str = "<section id=\"probers\"></section>";

/// All that polls a path as one client, from however many addresses.
type Sources<'a> = BTreeMap<(&'static str, &'a str), Vec<&'a ProberReport>>;

pub(super) fn section(probers: &Probers, detail: Detail, now: Timestamp) -> Markup {
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
                            (manner(sources[0], now))
                        }
                        @if detail == Detail::Causes {
                            @for source in sources { (from(source, now)) }
                        }
                    }
                }
            }
        }
    }
}

/// How often it polls, and what it was answered last.
fn manner(prober: &ProberReport, now: Timestamp) -> Markup {
    html! {
        @if let Some(interval) = prober.interval { "every " (words::took(interval)) ", " } @else { "once, " }
        "answered " b { (prober.last_code) } " "
        span data-at=(prober.last_polled_at.as_millisecond()) { (words::span(now.duration_since(prober.last_polled_at))) } " ago"
        @if prober.consecutive > 1 { ", " (prober.consecutive) " times in a row" }
        @if let Some((healthy, since)) = prober.holds {
            "; by its default thresholds " b { @if healthy { "healthy" } @else { "unhealthy" } } " since " (words::clock(since, now))
        }
    }
}

fn from(prober: &ProberReport, now: Timestamp) -> Markup {
    html! {
        p.source {
            @if let Some(address) = prober.address { (address) " " }
            (prober.agent) ": " (manner(prober, now))
        }
    }
}
