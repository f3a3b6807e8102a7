//! The parts of the page, each an element with an id that live events can replace, and the layout that has a place for each.

use super::{
    component::component,
    headline::{headline, is_pending, title},
    icons::{favicon, icon},
    pollers,
    times::{Clock, count},
};
use crate::{
    dialect::Detail,
    pollers::PollerOverview,
    report::{ComponentReport, ConfigReport, NamedComponent, Reload, Report, Status},
};
use maud::{Markup, PreEscaped, html};
use std::collections::BTreeMap;

/// The page as events send it: the layout, in which every part is an empty element, and each part by its id, on one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageParts {
    pub(crate) layout: String,
    pub(crate) parts: BTreeMap<String, String>,
}

impl PageParts {
    /// The id of the part that changes with every poll.
    pub(crate) const POLLERS: &str = "probers";

    pub(crate) fn render(report: &Report, pollers: &PollerOverview, detail: Detail) -> Self {
        let clock = Clock { now: report.generated_at, leaves_ages: true };
        let mut parts = BTreeMap::new();
        let layout = layout(report, detail, &mut |part| {
            parts.insert(part.id(), one_line(&part.markup(report, Some(pollers), clock, detail).into_string()));
            part.placeholder()
        });
        Self { layout: layout.into_string(), parts }
    }
}

/// An element that events replace when it has changed.
#[derive(Clone, Copy)]
pub(super) enum PagePart<'a> {
    Service,
    Verdict,
    Notices,
    /// With the CSS class of its section.
    Component(NamedComponent<'a>, &'static str),
    Groups,
    Pollers,
    Footer,
}

impl PagePart<'_> {
    fn id(self) -> String {
        match self {
            Self::Service => "service".to_owned(),
            // Parts are sent in the order of their ids, and this one comes before the components.
            Self::Verdict => "assessment".to_owned(),
            Self::Notices => "notices".to_owned(),
            Self::Component((name, _), _) => format!("c-{name}"),
            Self::Groups => "groups".to_owned(),
            Self::Pollers => PageParts::POLLERS.to_owned(),
            Self::Footer => "about".to_owned(),
        }
    }

    /// An empty element with the part's id.
    fn placeholder(self) -> Markup {
        let tag = match self {
            Self::Service => "header",
            Self::Verdict | Self::Groups | Self::Pollers => "section",
            Self::Notices => "div",
            Self::Component(..) => "li",
            Self::Footer => "footer",
        };
        // Ids are our own words or names of components, which need no escaping.
        PreEscaped(format!("<{tag} id=\"{}\"></{tag}>", self.id()))
    }

    /// The element. Without `pollers`, their section is empty.
    pub(super) fn markup(self, report: &Report, pollers: Option<&PollerOverview>, clock: Clock, detail: Detail) -> Markup {
        match self {
            Self::Service => service(report),
            Self::Verdict => verdict(report, clock, detail),
            Self::Notices => notices(report, clock, detail),
            Self::Component(named, section) => component(named, section, clock, detail),
            Self::Groups => groups(report),
            Self::Pollers => pollers.map_or_else(|| self.placeholder(), |pollers| pollers::section(pollers, clock, detail)),
            Self::Footer => footer(report, clock),
        }
    }
}

/// The page's structure, with what `place` returns for each part.
pub(super) fn layout<'a>(report: &'a Report, detail: Detail, place: &mut dyn FnMut(PagePart<'a>) -> Markup) -> Markup {
    let full = detail > Detail::Status;
    html! {
        div id="page" {
            @if full { (place(PagePart::Service)) }
            main {
                (place(PagePart::Verdict))
                @if full && has_notices(report) { (place(PagePart::Notices)) }
                @for (class, heading, named) in sections(report, full) {
                    section.(class) id={ "all-" (class) } aria-labelledby={ "heading-" (class) } {
                        h2 id={ "heading-" (class) } { (heading) " " span.count { (named.len()) } }
                        ul.components { @for named in named { (place(PagePart::Component(named, class))) } }
                    }
                }
                @if full && report.groups().next().is_some() { (place(PagePart::Groups)) }
                @if full { (place(PagePart::Pollers)) }
            }
            @if full { (place(PagePart::Footer)) }
        }
    }
}

/// The sections that have components, each with its class and heading; in each, critical components come first.
fn sections(report: &Report, full: bool) -> impl Iterator<Item = (&'static str, &'static str, Vec<NamedComponent<'_>>)> {
    let class = move |component: &ComponentReport| match component.status {
        _ if full && component.muted => "muted",
        _ if full && is_pending(component) => "pending",
        Status::Fail => "fail",
        Status::Warn => "warn",
        Status::Pass => "pass",
    };
    let headings = [("fail", "Failing"), ("pending", "Waiting"), ("warn", "Warning"), ("pass", "Passing"), ("muted", "Muted")];
    headings.into_iter().filter_map(move |(section, heading)| {
        let mut named: Vec<NamedComponent<'_>> = report.components.iter().filter(|(_, component)| class(component) == section).collect();
        named.sort_by_key(|(_, component)| !component.critical);
        (!named.is_empty()).then_some((section, heading, named))
    })
}

fn service(report: &Report) -> Markup {
    let service = &report.service;
    html! {
        header id="service" {
            p {
                strong { (service.name.as_deref().unwrap_or("allswell")) }
                @if let Some(version) = &service.version { " " span.version { (version) } }
                @if let Some(instance) = &service.instance { " " span.instance { "on " (instance) } }
            }
        }
    }
}

/// The verdict. It contains the title and the icon of the browser's tab for the script.
fn verdict(report: &Report, clock: Clock, detail: Detail) -> Markup {
    let (headline, looks) = headline(report);
    let full = detail > Detail::Status;
    html! {
        section.verdict.(looks) id="assessment" aria-labelledby="heading" data-title=(title(report, detail)) data-icon=(favicon(report.status)) {
            (icon(report.status))
            div role="status" {
                h1 id="heading" { (headline) " " span.status { (report.status) } }
                @if full { p.summary { (report.components_summary()) } }
            }
            @if full {
                @if let Some(at) = report.since { p.since { (clock.since(at)) } }
            }
        }
    }
}

fn last_reload(report: &Report) -> Option<&Reload> {
    report.configuration.as_ref().and_then(|configuration| configuration.last_reload.as_ref())
}

fn has_notices(report: &Report) -> bool {
    report.draining || last_reload(report).is_some_and(|reload| !reload.problems.is_empty() || !reload.needs_restart.is_empty())
}

/// The notices about a drain, and about changed files that are not in force.
fn notices(report: &Report, clock: Clock, detail: Detail) -> Markup {
    html! {
        div id="notices" {
            @if report.draining {
                p.notice { strong { "Draining." } " Load balancers are asked to send no more traffic. The components keep their statuses." }
            }
            @if let Some(reload) = last_reload(report) {
                @if !reload.problems.is_empty() {
                    div.notice {
                        p {
                            strong { "The last reload was refused" } " " (clock.ago(reload.at))
                            ": " (count(reload.problems.len(), "problem")) ". The previous configuration is in force."
                        }
                        @if detail == Detail::Causes { ul { @for problem in &reload.problems { li { (problem) } } } }
                    }
                }
                @if !reload.needs_restart.is_empty() {
                    p.notice { strong { "A restart is needed" } " to apply changes of: " (reload.needs_restart.join(", ")) "." }
                }
            }
        }
    }
}

fn groups(report: &Report) -> Markup {
    html! {
        section.groups id="groups" aria-labelledby="heading-groups" {
            h2 id="heading-groups" { "Groups" }
            ul {
                @for (name, status, members) in report.groups() {
                    li.(status) {
                        (icon(status)) " " strong { (name) } " " span.status { (status) }
                        " " span.members { (count(members, "component")) }
                    }
                }
            }
        }
    }
}

fn footer(report: &Report, clock: Clock) -> Markup {
    html! {
        footer id="about" {
            @if let Some(ConfigReport { revision, loaded_at, last_reload }) = report.configuration.as_deref() {
                p {
                    "Configuration " (revision) ", loaded " (clock.ago(*loaded_at))
                    @if let Some(reload) = last_reload { ", last reload " (reload.outcome()) }
                }
            }
            p { "allswell " (env!("CARGO_PKG_VERSION")) }
        }
    }
}

/// HTML without control characters, whatever texts it contains: HTML does not allow them, and an event has to be on one line.
pub(super) fn one_line(html: &str) -> String {
    html.replace(char::is_control, " ")
}
