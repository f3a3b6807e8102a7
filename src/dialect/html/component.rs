//! One component on the page.

use super::{
    hour,
    icons::icon,
    times::{Clock, count, three_digits},
};
use crate::{
    dialect::Detail,
    report::{ComponentReport, FailureReport, NamedComponent, PastFailure, Status},
};
use allswell_checks::contract::{ByteSize, Value, Values};
use maud::{Markup, html};

/// The most observed values that are shown unfolded.
const MAX_UNFOLDED: usize = 4;
/// The most observed values that are shown.
const MAX_VALUES: usize = 16;
/// The most characters of an observed value that are shown.
const MAX_VALUE_CHARS: usize = 120;

/// A component in the section of the page that has this class.
pub(super) fn component((name, component): NamedComponent<'_>, section: &str, clock: Clock, detail: Detail) -> Markup {
    let full = detail > Detail::Status;
    html! {
        li.component.(section) id={ "c-" (name) } {
            div.name {
                (icon(component.status))
                h3 { (name) } " " span.status { (component.status) }
                @if full {
                    " "
                    span.kind {
                        (component.kind)
                        @if !component.critical { ", not critical" }
                    }
                }
            }
            @if full {
                (reason(component, detail))
                @if !component.muted { (results(component, clock)) }
                (hour::chart(&component.last_hour))
                (last_failure(component, clock))
                (observed(&component.values))
            }
        }
    }
}

/// Why it has its status.
fn reason(component: &ComponentReport, detail: Detail) -> Markup {
    html! {
        @if let Some(failure) = &component.failure {
            p.reason { (sentence(failure)) }
            @if let Some(cause) = failure.cause.as_ref().filter(|_| detail == Detail::Causes) { p.cause { (cause) } }
        }
        @if let Some(warning) = &component.warning { p.reason { (warning) } }
        @if let Some(left) = component.held_left {
            p.reason { "Held: its previous status still counts, for " (left.as_secs()) " s" }
        }
    }
}

fn sentence(failure: &FailureReport) -> Markup {
    html! { b { (failure.class) } ": " (failure.message) }
}

/// When it was probed, how fast and how often.
fn results(component: &ComponentReport, clock: Clock) -> Markup {
    html! {
        p.results {
            @if let Some(took) = component.duration { span.took { "took " b { (three_digits(took)) } } }
            @if let Some(at) = component.since { span.since { (clock.since(at)) } }
            @if let Some(at) = component.checked_at {
                span.checked { "probed " (clock.age(at)) " ago" }
            }
            @if component.status != Status::Pass && component.consecutive > 1 { span { (component.consecutive) " times in a row" } }
        }
    }
}

/// The last failure, unless it is the current one.
fn last_failure(component: &ComponentReport, clock: Clock) -> Markup {
    let current = component.failure.as_ref();
    html! {
        @if let Some(PastFailure { failure, at }) = component.last_failure.as_deref().filter(|past| Some(&past.failure) != current) {
            p.past { "Last failed " (clock.ago(*at)) ": " (sentence(failure)) }
        }
    }
}

fn observed(values: &Values) -> Markup {
    html! {
        @if values.len() > MAX_UNFOLDED {
            details {
                summary { "Observed " (count(values.len(), "value")) }
                (list(values))
            }
        } @else if !values.is_empty() {
            (list(values))
        }
    }
}

fn list(values: &Values) -> Markup {
    html! {
        dl {
            @for (name, value) in values.iter().take(MAX_VALUES) {
                @let (name, value) = with_unit(name, value);
                div { dt { (name.replace('_', " ")) } " " dd { (value) } }
            }
        }
    }
}

/// A value for people: the unit is moved from its name to the number.
fn with_unit<'a>(name: &'a str, value: &Value) -> (&'a str, String) {
    if let (Some(name), Some(bytes)) = (name.strip_suffix("_bytes"), value.as_u64()) {
        return (name, ByteSize(bytes).to_string());
    }
    if let (Some(name), Some(share)) = (name.strip_suffix("_share"), value.as_f64()) {
        return (name, format!("{:.1} %", share * 100.0));
    }
    if let (Some(name), Some(_)) = (name.strip_suffix("_ms"), value.as_f64()) {
        return (name, format!("{value} ms"));
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut shown: String = text.chars().take(MAX_VALUE_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    (name, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_their_units() {
        for (name, value, expected) in [
            ("role", Value::from("primary"), ("role", "primary")),
            ("free_bytes", (32_u64 << 30).into(), ("free", "32 GiB")),
            ("free_bytes", "many".into(), ("free_bytes", "many")),
            ("free_share", 0.1296.into(), ("free", "13.0 %")),
            ("read_ms", 0.016.into(), ("read", "0.016 ms")),
            ("workers", 4.into(), ("workers", "4")),
        ] {
            let (name, value) = with_unit(name, &value);
            assert_eq!((name, value.as_str()), expected);
        }
        assert_eq!(with_unit("words", &"ä".repeat(500).into()).1, "ä".repeat(MAX_VALUE_CHARS) + "…");
    }
}
