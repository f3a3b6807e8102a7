//! The verdict as a sentence.

use super::{ComponentReport, NamedComponent, Status, VerdictInput, View};
use crate::component::CheckName;
use std::collections::BTreeMap;

/// At most this many names are in a summary.
const MAX_NAMES: usize = 10;

type Components = BTreeMap<CheckName, ComponentReport>;

/// The summary of a view of these components, which has the status `status`.
pub(super) fn summary(view: &View, components: &Components, status: Status, only_host: bool) -> String {
    match view {
        View::Live if status == Status::Pass => "the engine is alive".to_owned(),
        View::Live => "the probe engine is stalled".to_owned(),
        View::Startup => startup(components),
        View::Component(_) => components.iter().next().map_or_else(String::new, single),
        View::Whole | View::Ready | View::Group(_) => {
            let mut summary = together(components);
            if only_host {
                summary.push_str("; ONLY THE HOST IS CHECKED: no database, cache, queue or service is configured");
            }
            summary
        }
    }
}

fn startup(components: &Components) -> String {
    let waits_for = |component: &ComponentReport| VerdictInput::from(component).counts_as().is_some() && !component.passed_once;
    let missing: Vec<_> = components.iter().filter(|(_, component)| waits_for(component)).map(|(name, _)| name).collect();
    let new = without_result(components);
    let mut summary = match missing.len() {
        0 if !new.is_empty() && new.len() == components.len() => String::new(),
        0 => "every critical component has passed once".to_owned(),
        1 => format!("1 of {} has not passed yet: {}", count(components.len(), "critical component"), list(&missing)),
        many => format!("{many} of {} have not passed yet: {}", count(components.len(), "critical component"), list(&missing)),
    };
    add_new(&mut summary, &new);
    summary
}

/// One component by itself, critical or not.
fn single((name, component): NamedComponent<'_>) -> String {
    match component {
        ComponentReport { muted: true, .. } => format!("{name} is muted: it is never probed"),
        ComponentReport { grace: Some(grace), .. } if grace.previous.is_some() => {
            let before = grace.previous.map_or("", |status| verb(status, 1));
            format!("{name} {before}, as before the reload: there is no new result yet")
        }
        ComponentReport { failure: Some(failure), status: Status::Fail, .. } => format!("{name} fails: {}", failure.message),
        ComponentReport { status, .. } => format!("{name} {}", verb(*status, 1)),
    }
}

fn together(components: &Components) -> String {
    let counted: Vec<_> = components.iter().filter(|(_, component)| !component.muted && component.grace.is_none()).collect();
    let new = without_result(components);
    let mut summary = if counted.is_empty() && !new.is_empty() { String::new() } else { worst(&counted, counted.len() + new.len()) };
    add_new(&mut summary, &new);
    let muted = components.values().filter(|component| component.muted).count();
    if muted > 0 {
        summary.push_str(&format!("; {muted} muted"));
    }
    summary
}

/// The components without a result since the reload.
fn without_result(components: &Components) -> Vec<NamedComponent<'_>> {
    components.iter().filter(|(_, component)| component.grace.is_some()).collect()
}

fn add_new(summary: &mut String, new: &[NamedComponent<'_>]) {
    if new.is_empty() {
        return;
    }
    let names = |new: &[NamedComponent<'_>]| list(&new.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let separator = if summary.is_empty() { "" } else { "; " };
    summary.push_str(&format!("{separator}{} without a result since the reload: {}", new.len(), names(new)));
    let has_failed = |(_, component): &&NamedComponent<'_>| component.grace.is_some_and(|grace| grace.previous == Some(Status::Fail));
    let failed: Vec<NamedComponent<'_>> = new.iter().filter(has_failed).copied().collect();
    if !failed.is_empty() {
        summary.push_str(&format!(" (failed before: {})", names(&failed)));
    }
}

/// The worst status of the components that count, and which have it. `all` is the number of components.
fn worst(counted: &[NamedComponent<'_>], all: usize) -> String {
    let names_with =
        |status: Status| counted.iter().filter(|(_, component)| component.status == status).map(|(name, _)| *name).collect::<Vec<_>>();
    for status in [Status::Fail, Status::Warn] {
        let names = names_with(status);
        if !names.is_empty() {
            return format!("{} of {} {}: {}", names.len(), count(all, "component"), verb(status, names.len()), list(&names));
        }
    }
    match counted.len() {
        0 => "nothing is checked".to_owned(),
        1 => format!("1 component {}", verb(Status::Pass, 1)),
        many if many < all => format!("{many} components {}", verb(Status::Pass, many)),
        many => format!("all {many} components {}", verb(Status::Pass, many)),
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn verb(status: Status, number: usize) -> &'static str {
    match (status, number) {
        (Status::Pass, 1) => "passes",
        (Status::Pass, _) => "pass",
        (Status::Warn, 1) => "warns",
        (Status::Warn, _) => "warn",
        (Status::Fail, 1) => "fails",
        (Status::Fail, _) => "fail",
    }
}

/// The first names, and the number of the others.
fn list(names: &[&CheckName]) -> String {
    let mut text = names.iter().take(MAX_NAMES).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMES {
        text.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
    }
    text
}
