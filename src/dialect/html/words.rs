//! Words of the page: headlines, numbers, and times that are told both relative and absolute.

use crate::report::{ComponentReport, Report, Status};
use allswell_checks::contract::FailureClass;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use maud::{Markup, html};
use std::time::Duration;

/// Whether it fails only because nobody knows yet how it is.
pub(super) fn is_pending(component: &ComponentReport) -> bool {
    component.failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Pending)
}

/// The verdict in two words, and the class of its looks: what is as somebody wants it to be is no reason to shout.
pub(super) fn headline(report: &Report) -> (&'static str, &'static str) {
    let mut failing = report.components.values().filter(|component| component.status == Status::Fail).peekable();
    let starting = failing.peek().is_some() && failing.all(is_pending);
    match report.status {
        _ if report.draining => ("Draining", "calm"),
        Status::Fail if starting => ("Starting", "calm"),
        Status::Pass => ("All is well", "pass"),
        Status::Warn => ("Mostly well", "warn"),
        Status::Fail => ("Not well", "fail"),
    }
}

pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The time at which a page is made: ages and times of day depend on it.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Timestamp,
    /// Whether ages are left to the script. Without them, what has only become older is rendered as before, and is no event.
    pub(super) leaves_ages: bool,
}

impl Clock {
    /// "12 min".
    pub(super) fn age(self, at: Timestamp) -> Markup {
        html! { span data-at=(at.as_millisecond()) { @if !self.leaves_ages { (span(self.now.duration_since(at))) } } }
    }

    /// "for 12 min, since 09:58:11 UTC".
    pub(super) fn since(self, at: Timestamp) -> Markup {
        html! { "for " (self.age(at)) ", since " (clock(at, self.now)) }
    }

    /// "12 min ago, at 09:58:11 UTC".
    pub(super) fn ago(self, at: Timestamp) -> Markup {
        html! { (self.age(at)) " ago, at " (clock(at, self.now)) }
    }
}

/// The time of day in UTC, with the date where that is another one.
pub(super) fn clock(at: Timestamp, now: Timestamp) -> Markup {
    let (day, today) = (at.to_zoned(TimeZone::UTC).date(), now.to_zoned(TimeZone::UTC).date());
    html! {
        time datetime=(at.strftime("%FT%TZ")) {
            @if day != today { (day.strftime("%-d %b ")) }
            (at.strftime("%H:%M:%S UTC"))
        }
    }
}

/// An age in one unit, as the script has it, too.
pub(crate) fn span(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long something took, with three digits.
pub(super) fn took(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        ..100.0 => format!("{millis:.1} ms"),
        ..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        for (seconds, expected) in
            [(-5, "0 s"), (99, "99 s"), (100, "1 min"), (5_999, "99 min"), (6_000, "1 h"), (172_799, "47 h"), (172_800, "2 days")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn times_are_told_with_three_digits() {
        for (micros, expected) in [(841, "0.84 ms"), (12_340, "12.3 ms"), (999_600, "1000 ms"), (12_340_000, "12.3 s")] {
            assert_eq!(took(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn another_day_is_named() {
        let now: Timestamp = "2026-11-20T00:00:05Z".parse().expect("a time");
        let text = |seconds| clock(now - SignedDuration::from_secs(seconds), now).into_string();
        assert_eq!(text(1), "<time datetime=\"2026-11-20T00:00:04Z\">00:00:04 UTC</time>");
        assert_eq!(text(10), "<time datetime=\"2026-11-19T23:59:55Z\">19 Nov 23:59:55 UTC</time>");
    }
}
