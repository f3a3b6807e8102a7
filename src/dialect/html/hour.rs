//! The last hour of a component as a small chart, and the same as text.

use crate::report::{Minute, Status};
use allswell_checks::contract::FailureClass;
use maud::{Markup, html};
use std::{collections::BTreeSet, fmt::Write as _};

/// The height of the chart. Each minute is 4 wide, with a gap of 1.
const CHART_HEIGHT: u32 = 24;

/// A bar for every minute, if there is a result in any. A pass is low, and higher the longer its slowest probe took; a warning is higher, and a
/// failure has the full height. So the statuses differ without colour.
pub(super) fn chart(hour: &[Minute]) -> Markup {
    let slowest = hour.iter().filter(|minute| minute.worst == Some(Status::Pass)).filter_map(|minute| minute.slowest()).max();
    let height = |minute: &Minute| match minute.worst {
        Some(Status::Fail) => CHART_HEIGHT,
        Some(Status::Warn) => 17,
        Some(Status::Pass) => {
            let share = minute.slowest().zip(slowest).filter(|(_, most)| !most.is_zero()).map(|(took, most)| took.div_duration_f64(most));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small number")]
            let more = (share.unwrap_or(0.0) * 8.0).round() as u32;
            4 + more
        }
        None => 1,
    };
    let bars = |worst: Option<Status>| {
        hour.iter().enumerate().filter(|(_, minute)| minute.worst == worst).fold(String::new(), |mut path, (place, minute)| {
            let height = height(minute);
            // Writing to a String cannot fail.
            let _ = write!(path, "M{} {}h3v{height}h-3z", place * 4, CHART_HEIGHT - height);
            path
        })
    };
    html! {
        @if hour.iter().any(|minute| minute.worst.is_some()) {
            svg.hour viewBox={ "0 0 " (hour.len() * 4 - 1) " " (CHART_HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(text(hour)) {
                title { (text(hour)) }
                @for (class, worst) in [("none", None), ("pass", Some(Status::Pass)), ("warn", Some(Status::Warn)), ("fail", Some(Status::Fail))] {
                    @let path = bars(worst);
                    @if !path.is_empty() { path.(class) d=(path) {} }
                }
            }
        }
    }
}

/// The same as text, such as "last hour: 58 min pass, 2 min fail (timeout, stale)".
fn text(hour: &[Minute]) -> String {
    let classes: BTreeSet<&str> = hour.iter().filter_map(|minute| minute.class).map(FailureClass::as_str).collect();
    let why = if classes.is_empty() { String::new() } else { format!(" ({})", classes.into_iter().collect::<Vec<_>>().join(", ")) };
    let counted =
        [(Some(Status::Pass), "pass", ""), (Some(Status::Warn), "warn", ""), (Some(Status::Fail), "fail", &why), (None, "unknown", "")]
            .map(|(worst, word, why)| (hour.iter().filter(|minute| minute.worst == worst).count(), word, why));
    let parts = counted.iter().filter(|(count, ..)| *count > 0).map(|(count, word, why)| format!("{count} min {word}{why}"));
    format!("last hour: {}", parts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_minute_is_a_bar_and_counted_in_the_text() {
        let minute = |worst, millis| Minute::new(worst, None, Some(Duration::from_millis(millis)));
        let hour = [
            Minute::default(),
            minute(Some(Status::Pass), 10),
            minute(Some(Status::Pass), 5),
            minute(Some(Status::Warn), 900),
            Minute::new(Some(Status::Fail), Some(FailureClass::Stale), None),
        ];
        assert_eq!(text(&hour), "last hour: 2 min pass, 1 min warn, 1 min fail (stale), 1 min unknown");
        let chart = chart(&hour).into_string();
        for bar in [
            "class=\"none\" d=\"M0 23h3v1h-3z\"",
            "class=\"pass\" d=\"M4 12h3v12h-3zM8 16h3v8h-3z\"",
            "class=\"warn\" d=\"M12 7h3v17h-3z\"",
            "class=\"fail\" d=\"M16 0h3v24h-3z\"",
        ] {
            assert!(chart.contains(bar), "{bar}: {chart}");
        }
    }

    #[test]
    fn a_component_that_is_never_probed_has_no_chart() {
        assert_eq!(chart(&[]).into_string(), "");
        assert_eq!(chart(&[Minute::default(); 60]).into_string(), "");
    }
}
