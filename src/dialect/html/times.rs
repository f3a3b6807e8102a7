//! Numbers, durations, and times, which are shown relative and absolute.

use crate::age::rounded;
use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};
use std::time::Duration;

/// A number and its noun, in the plural where necessary.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The time at which a page is rendered: ages depend on it, and so does whether a time needs a date.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Timestamp,
    /// Whether ages are left to the script. Then a part that has only become older is rendered as before, and is not sent as an event.
    pub(super) leaves_ages: bool,
}

impl Clock {
    /// "12 min".
    pub(super) fn age(self, at: Timestamp) -> Markup {
        html! { span data-at=(at.as_millisecond()) { @if !self.leaves_ages { (rounded(self.now.duration_since(at))) } } }
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

/// The time of day in UTC, with the date unless it is today.
pub(super) fn clock(at: Timestamp, now: Timestamp) -> Markup {
    let (day, today) = (at.to_zoned(TimeZone::UTC).date(), now.to_zoned(TimeZone::UTC).date());
    html! {
        time datetime=(at.strftime("%FT%TZ")) {
            @if day != today { (day.strftime("%-d %b ")) }
            (at.strftime("%H:%M:%S UTC"))
        }
    }
}

/// A duration with three digits.
pub(super) fn three_digits(duration: Duration) -> String {
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
    use jiff::SignedDuration;

    #[test]
    fn durations_have_three_digits() {
        for (micros, expected) in [(841, "0.84 ms"), (12_340, "12.3 ms"), (999_600, "1000 ms"), (12_340_000, "12.3 s")] {
            assert_eq!(three_digits(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now: Timestamp = "2026-11-20T00:00:05Z".parse().expect("a time");
        let text = |seconds| clock(now - SignedDuration::from_secs(seconds), now).into_string();
        assert_eq!(text(1), "<time datetime=\"2026-11-20T00:00:04Z\">00:00:04 UTC</time>");
        assert_eq!(text(10), "<time datetime=\"2026-11-19T23:59:55Z\">19 Nov 23:59:55 UTC</time>");
    }
}
