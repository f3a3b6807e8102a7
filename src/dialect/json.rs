//! The default dialect: indented JSON, for people with curl and for programs.

use super::{
    Detail, RenderOptions,
    words::{pretty, time},
};
use crate::{
    component::CheckName,
    pollers::PollerOverview,
    report::{ComponentReport, ConfigReport, FailureReport, Report, ServiceIdentity, Status},
};
use allswell_checks::contract::{Values, milliseconds};
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let full = detail > Detail::Status;
    let document = JsonReport {
        status: report.status,
        summary: full.then_some(&report.summary),
        service: full.then_some(&*report.service),
        generated_at: full.then(|| time(report.generated_at)),
        draining: full && report.draining,
        config: report.configuration.as_deref().filter(|_| full).map(|configuration| JsonConfig::new(configuration, detail)),
        probers: options.pollers.map(JsonPollers::new),
        components: report
            .components
            .iter()
            .map(|(name, component)| (name, if full { JsonComponent::full(component, detail) } else { JsonComponent::brief(component) }))
            .collect(),
    };
    pretty(&document, report.status)
}

#[derive(Serialize)]
struct JsonReport<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a ServiceIdentity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_at: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    draining: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<JsonConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probers: Option<JsonPollers<'a>>,
    components: BTreeMap<&'a CheckName, JsonComponent<'a>>,
}

#[derive(Serialize)]
struct JsonConfig<'a> {
    revision: u64,
    loaded_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload: Option<JsonReload<'a>>,
}

#[derive(Serialize)]
struct JsonReload<'a> {
    at: String,
    outcome: &'a str,
    /// The number of problems. The problems themselves are in the log, and in `messages` for clients with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<usize>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    messages: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs_restart: &'a [String],
}

impl<'a> JsonConfig<'a> {
    fn new(configuration: &'a ConfigReport, detail: Detail) -> Self {
        let last_reload = configuration.last_reload.as_ref().map(|reload| JsonReload {
            at: time(reload.at),
            outcome: reload.outcome(),
            problems: Some(reload.problems.len()).filter(|problems| *problems > 0),
            messages: if detail == Detail::Causes { &reload.problems } else { &[] },
            needs_restart: &reload.needs_restart,
        });
        Self { revision: configuration.revision, loaded_at: time(configuration.loaded_at), last_reload }
    }
}

#[derive(Serialize)]
struct JsonPollers<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notices: &'a [String],
    seen: Vec<JsonPoller<'a>>,
}

#[derive(Serialize)]
struct JsonPoller<'a> {
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    agent: &'a str,
    path: &'a str,
    polls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_ms: Option<f64>,
    last_polled_at: String,
    last_code: u16,
    good: bool,
    consecutive: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    concludes: Option<&'a str>,
}

impl<'a> JsonPollers<'a> {
    fn new(pollers: &'a PollerOverview) -> Self {
        let seen = pollers.seen.iter().map(|poller| JsonPoller {
            client: poller.client,
            address: poller.address,
            agent: &poller.agent,
            path: &poller.path,
            polls: poller.polls,
            interval_ms: poller.interval.map(milliseconds),
            last_polled_at: time(poller.last_polled_at),
            last_code: poller.last_code,
            good: poller.good,
            consecutive: poller.consecutive,
            concludes: poller.conclusion.as_deref(),
        });
        Self { notices: &pollers.notices, seen: seen.collect() }
    }
}

#[derive(Default, Serialize)]
struct JsonComponent<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    critical: Option<bool>,
    #[serde(skip_serializing_if = "is_false")]
    muted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<JsonFailure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_ms_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consecutive: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<&'a Values>,
    /// Left out while it is the current failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<JsonPastFailure<'a>>,
}

#[derive(Serialize)]
struct JsonPastFailure<'a> {
    #[serde(flatten)]
    failure: JsonFailure<'a>,
    at: String,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    class: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

impl<'a> JsonComponent<'a> {
    /// Only the status.
    fn brief(component: &ComponentReport) -> Self {
        Self { status: component.status, ..Self::default() }
    }

    fn full(component: &'a ComponentReport, detail: Detail) -> Self {
        Self {
            status: component.status,
            kind: Some(component.kind),
            critical: Some(component.critical),
            muted: component.muted,
            warning: component.warning.as_deref(),
            failure: component.failure.as_ref().map(|failure| JsonFailure::new(failure, detail)),
            held_ms_left: component.held_left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            duration_ms: component.duration.map(milliseconds),
            checked_at: component.checked_at.map(time),
            since: component.since.map(time),
            consecutive: Some(component.consecutive),
            observed: Some(&*component.values).filter(|values| !values.is_empty()),
            last_failure: component
                .last_failure
                .as_ref()
                .filter(|past| component.failure.as_ref() != Some(&past.failure))
                .map(|past| JsonPastFailure { failure: JsonFailure::new(&past.failure, detail), at: time(past.at) }),
        }
    }
}

impl<'a> JsonFailure<'a> {
    fn new(failure: &'a FailureReport, detail: Detail) -> Self {
        Self {
            class: failure.class.as_str(),
            message: &failure.message,
            cause: failure.cause.as_deref().filter(|_| detail == Detail::Causes),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(value: &bool) -> bool {
    !*value
}
