//! The status page: complete without a script, and live with one.
//!
//! What changes is one element, the fragment, rendered once per report. The page around it depends on the path at which it is read, so that
//! all links are relative and a proxy may strip a prefix. The fragment consists of a layout and of parts, which events replace one by one.

mod component;
mod hour;
mod parts;
mod probers;
#[cfg(test)]
mod tests;
mod words;

use super::Detail;
use crate::report::{Probers, Report, Status, View};
use maud::{DOCTYPE, PreEscaped, html};
use parts::{Part, layout};
use words::{Clock, headline};

pub(crate) use {parts::Parts, words::span};

/// The page's style, at `_assets/allswell.css` below `/health`.
pub(crate) const STYLE: &str = include_str!("allswell.css");
/// The page's script, beside it.
pub(crate) const SCRIPT: &str = include_str!("allswell.js");

/// Where a page is read.
pub(crate) struct Place<'a> {
    /// From there to the folder in which `health` is: empty, or some `../`.
    pub(crate) root: &'a str,
    /// What it is about.
    pub(crate) view: &'a View,
}

/// The whole page, around a fragment of the same report.
pub(super) fn page(place: &Place<'_>, fragment: &[u8], report: &Report, detail: Detail) -> Vec<u8> {
    let root = place.root;
    let of = of(place.view);
    let events = format!("{root}health/_events{}{of}", if of.is_empty() { "" } else { "?of=" });
    let told_at = (detail > Detail::Status).then_some(report.generated_at);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                noscript { meta http-equiv="refresh" content="10"; }
                title { (title(report, detail)) }
                link rel="icon" href=(favicon(report.status));
                link rel="stylesheet" href={ (root) "health/_assets/allswell.css" };
                script src={ (root) "health/_assets/allswell.js" } data-events=(events) defer {}
            }
            body {
                div id="link" {
                    p id="news" role="status" { "As it was" @if told_at.is_none() { " when loaded" } }
                    p id="clock" { @if let Some(at) = told_at { "at " (words::clock(at, at)) } }
                }
                (PreEscaped(String::from_utf8_lossy(fragment)))
                nav aria-label="Elsewhere" {
                    @if *place.view != View::Whole { a href={ (root) "health" } { "All components" } }
                    a href="?format=json" { "JSON" }
                    a href="?format=text" { "Text" }
                }
            }
        }
    };
    let mut page = tame(&page.into_string());
    page.push('\n');
    page.into_bytes()
}

/// What changes of the page: one element, on one line.
pub(super) fn fragment(report: &Report, detail: Detail) -> Vec<u8> {
    let clock = Clock { now: report.generated_at, leaves_ages: false };
    tame(&layout(report, detail, &mut |part| part.markup(report, None, clock, detail)).into_string()).into_bytes()
}

/// The fragment with the clients that poll in it.
pub(super) fn with_probers(fragment: &[u8], probers: &Probers, report: &Report, detail: Detail) -> Vec<u8> {
    let clock = Clock { now: report.generated_at, leaves_ages: false };
    let section = tame(&probers::section(probers, clock, detail).into_string());
    String::from_utf8_lossy(fragment).replacen(&Part::Probers.placeholder().into_string(), &section, 1).into_bytes()
}

/// Whatever a name in the configuration holds: an event is told in lines, and HTML knows no control characters.
fn tame(html: &str) -> String {
    html.replace(char::is_control, " ")
}

/// By which name the events of a view are asked for. What begins with an underscore is nobody's name.
fn of(view: &View) -> &str {
    match view {
        View::Whole => "",
        View::Live => "_live",
        View::Ready => "_ready",
        View::Startup => "_startup",
        View::Group(name) | View::Component(name) => name.as_str(),
    }
}

/// The view of which events are asked for by a name of [`of`]'s that begins with an underscore.
pub(crate) fn view(of: &str) -> Option<View> {
    [View::Live, View::Ready, View::Startup].into_iter().find(|view| self::of(view) == of)
}

fn title(report: &Report, detail: Detail) -> String {
    match report.service.name.as_ref().filter(|_| detail > Detail::Status) {
        Some(name) => format!("{} · {name}", headline(report).0),
        None => headline(report).0.to_owned(),
    }
}

/// The sign of a status in the browser's tab: by its shape, not by its colour alone.
fn favicon(status: Status) -> &'static str {
    match status {
        Status::Pass => concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='8' fill='%231a7f4b'/%3E",
            "%3Cpath d='M4 8.5l2.7 2.7L12 5.5' fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
        ),
        Status::Warn => concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M8 1l8 14H0z' fill='%23b26a00'/%3E",
            "%3Cpath d='M8 6v4m0 1.5v1.5' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
        ),
        Status::Fail => concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M0 0h16v16H0z' fill='%23c0281f'/%3E",
            "%3Cpath d='M4.5 4.5l7 7m0-7l-7 7' stroke='%23fff' stroke-width='2.5'/%3E%3C/svg%3E"
        ),
    }
}
