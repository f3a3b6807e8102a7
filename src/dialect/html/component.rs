//! One component on the page.

use super::{
    hour,
    words::{self, Clock},
};
use crate::{
    component::CheckName,
    dialect::Detail,
    report::{ComponentReport, FailureReport, PastFailure, Status},
};
use allswell_checks::contract::{ByteSize, Value, Values};
use maud::{Markup, html};

/// A component and its name.
pub(super) type Named<'a> = (&'a CheckName, &'a ComponentReport);

/// As many observed values are shown at once; more are folded.
const FEW: usize = 4;
/// The most observed values that are shown, and the most characters of one.
const VALUES: usize = 16;
const VALUE: usize = 120;

/// A component in the section of the page that has this class.
pub(super) fn component((name, component): Named<'_>, section: &str, clock: Clock, detail: Detail) -> Markup {
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
                (hour::picture(&component.last_hour))
                (last_failure(component, clock))
                (observed(&component.values))
            }
        }
    }
}

/// Why it is what it is, in a sentence.
fn reason(component: &ComponentReport, detail: Detail) -> Markup {
    html! {
        @if let Some(failure) = &component.failure {
            p.reason { (sentence(failure)) }
            @if let Some(cause) = failure.cause.as_ref().filter(|_| detail == Detail::Causes) { p.cause { (cause) } }
        }
        @if let Some(warning) = &component.warning { p.reason { (warning) } }
        @if let Some(left) = component.held_left {
            p.reason { "Held: what it was before still counts, for " (left.as_secs()) " s" }
        }
    }
}

fn sentence(failure: &FailureReport) -> Markup {
    html! { b { (failure.class) } ": " (failure.message) }
}

/// When, how fast and how often.
fn results(component: &ComponentReport, clock: Clock) -> Markup {
    html! {
        p.results {
            @if let Some(took) = component.duration { span.took { "took " b { (words::took(took)) } } }
            @if let Some(at) = component.since { span.since { (clock.since(at)) } }
            @if let Some(at) = component.checked_at {
                span.checked { "probed " (clock.age(at)) " ago" }
            }
            @if component.status != Status::Pass && component.consecutive > 1 { span { (component.consecutive) " times in a row" } }
        }
    }
}

/// The last failure, where it is not told already.
fn last_failure(component: &ComponentReport, clock: Clock) -> Markup {
    let told = component.failure.as_ref();
    html! {
        @if let Some(PastFailure { failure, at }) = component.last_failure.as_deref().filter(|past| Some(&past.failure) != told) {
            p.past { "Last failed " (clock.ago(*at)) ": " (sentence(failure)) }
        }
    }
}

fn observed(values: &Values) -> Markup {
    html! {
        @if values.len() > FEW {
            details {
                summary { "Observed " (words::count(values.len(), "value")) }
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
            @for (name, value) in values.iter().take(VALUES) {
                @let (name, value) = shown(name, value);
                div { dt { (name.replace('_', " ")) } " " dd { (value) } }
            }
        }
    }
}

/// A value as people read it: what its name says of its unit is told with the number.
fn shown<'a>(name: &'a str, value: &Value) -> (&'a str, String) {
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
    let mut shown: String = text.chars().take(VALUE).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    (name, shown)
}

/// The sign of a status: by its shape, not by its colour alone. Its word stands beside it.
pub(super) fn icon(status: Status) -> Markup {
    html! {
        svg.icon.(status) viewBox="0 0 16 16" aria-hidden="true" {
            @match status {
                Status::Pass => { circle cx="8" cy="8" r="8" {} path d="M4.2 8.4 7 11.1l5-5.4" {} },
                Status::Warn => { path.shape d="M8 .8 16 15H0z" {} path d="M8 6v4.2m0 1.3v2" {} },
                Status::Fail => { path.shape d="M0 0h16v16H0z" {} path d="m4.5 4.5 7 7m0-7-7 7" {} },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_with_their_units() {
        for (name, value, expected) in [
            ("role", Value::from("primary"), ("role", "primary")),
            ("free_bytes", (32_u64 << 30).into(), ("free", "32 GiB")),
            ("free_bytes", "many".into(), ("free_bytes", "many")),
            ("free_share", 0.1296.into(), ("free", "13.0 %")),
            ("read_ms", 0.016.into(), ("read", "0.016 ms")),
            ("workers", 4.into(), ("workers", "4")),
        ] {
            let (told, shown) = shown(name, &value);
            assert_eq!((told, shown.as_str()), expected);
        }
        assert_eq!(shown("words", &"ä".repeat(500).into()).1, "ä".repeat(VALUE) + "…");
    }
}
