//! The status page: complete without a script, and live with one.
//!
//! What changes is one element, the fragment, rendered once per report. The page around it depends on the path at which it is read, so that
//! all links are relative and a proxy may strip a prefix.

mod component;
mod hour;
mod probers;
#[cfg(test)]
mod tests;
mod words;

use super::Detail;
use crate::report::{ComponentReport, ConfigReport, Probers, Report, Status, View};
use component::{Named, component, icon};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use words::{headline, is_pending, since};

pub(crate) use words::span;

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
    let full = detail > Detail::Status;
    let fragment = html! {
        div id="page" data-status=(report.status) data-title=(title(report, detail)) data-icon=(favicon(report.status)) {
            @if full { (who(report)) }
            main {
                (verdict(report, full))
                @if full { (notices(report, detail)) }
                (components(report, detail, "fail", "Failing", |one| one.status == Status::Fail && !(full && is_pending(one))))
                (components(report, detail, "pending", "Waiting", |one| full && is_pending(one)))
                (components(report, detail, "warn", "Warning", |one| one.status == Status::Warn && !(full && one.muted)))
                (components(report, detail, "pass", "Passing", |one| one.status == Status::Pass))
                (components(report, detail, "muted", "Muted", |one| full && one.muted))
                @if full { (groups(report)) }
                @if full { (PreEscaped(probers::PLACE)) }
            }
            @if full { (footer(report)) }
        }
    };
    tame(&fragment.into_string()).into_bytes()
}

/// The fragment with who polls in it.
pub(super) fn with_probers(fragment: &[u8], probers: &Probers, report: &Report, detail: Detail) -> Vec<u8> {
    let section = tame(&probers::section(probers, detail, report.generated_at).into_string());
    String::from_utf8_lossy(fragment).replacen(probers::PLACE, &section, 1).into_bytes()
}

/// Whatever a driver put into its words: an event is told in lines, and HTML knows no control characters.
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

/// Who we are.
fn who(report: &Report) -> Markup {
    let service = &report.service;
    html! {
        header {
            p {
                strong { (service.name.as_deref().unwrap_or("allswell")) }
                @if let Some(version) = &service.version { " " span.version { (version) } }
                @if let Some(instance) = &service.instance { " " span.instance { "on " (instance) } }
            }
        }
    }
}

fn verdict(report: &Report, full: bool) -> Markup {
    let (headline, looks) = headline(report);
    html! {
        section.verdict.(looks) aria-labelledby="verdict" {
            (icon(report.status))
            div role="status" {
                h1 id="verdict" { (headline) " " span.status { (report.status) } }
                @if full { p.summary { (report.summary.strip_prefix("draining; ").unwrap_or(&report.summary)) } }
            }
            @if full {
                @if let Some(at) = report.since { p.since { (since(at, report.generated_at)) } }
            }
        }
    }
}

/// What else somebody should know: a drain, and a configuration that is not the one in the files.
fn notices(report: &Report, detail: Detail) -> Markup {
    let reload = report.configuration.as_ref().and_then(|configuration| configuration.last_reload.as_ref());
    html! {
        @if report.draining {
            p.notice { strong { "Draining." } " Load balancers are told to send no more traffic; the components stay as they are." }
        }
        @if let Some(reload) = reload {
            @if !reload.problems.is_empty() {
                div.notice {
                    p {
                        strong { "The last reload was refused" } " " (words::ago(reload.at, report.generated_at))
                        ": " (words::count(reload.problems.len(), "problem")) ". The configuration from before is in force."
                    }
                    @if detail == Detail::Causes { ul { @for problem in &reload.problems { li { (problem) } } } }
                }
            }
            @if !reload.needs_restart.is_empty() {
                p.notice { strong { "A restart is needed" } " for what changed in: " (reload.needs_restart.join(", ")) "." }
            }
        }
    }
}

/// All components of a sort, those that are critical first.
fn components(report: &Report, detail: Detail, sort: &str, heading: &str, is_one: impl Fn(&ComponentReport) -> bool) -> Markup {
    let mut named: Vec<Named<'_>> = report.components.iter().filter(|(_, component)| is_one(component)).collect();
    named.sort_by_key(|(_, component)| !component.critical);
    html! {
        @if !named.is_empty() {
            section.(sort) aria-labelledby={ "all-" (sort) } {
                h2 id={ "all-" (sort) } { (heading) " " span.count { (named.len()) } }
                ul.components {
                    @for named in named { (component(named, sort, report.generated_at, detail)) }
                }
            }
        }
    }
}

fn groups(report: &Report) -> Markup {
    html! {
        @if report.groups().next().is_some() {
            section.groups aria-labelledby="groups" {
                h2 id="groups" { "Groups" }
                ul {
                    @for (name, status, members) in report.groups() {
                        li.(status) {
                            (icon(status)) " " strong { (name) } " " span.status { (status) }
                            " " span.members { (words::count(members, "component")) }
                        }
                    }
                }
            }
        }
    }
}

fn footer(report: &Report) -> Markup {
    html! {
        footer {
            @if let Some(ConfigReport { revision, loaded_at, last_reload }) = report.configuration.as_deref() {
                p {
                    "Configuration " (revision) ", loaded " (words::ago(*loaded_at, report.generated_at))
                    @if let Some(reload) = last_reload { ", last reload " (reload.outcome()) }
                }
            }
            p { "allswell " (env!("CARGO_PKG_VERSION")) }
        }
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
