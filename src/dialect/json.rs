//! The default dialect: indented JSON, for people with curl and for programs alike.

use super::Detail;
use crate::{
    component::CheckName,
    report::{ComponentReport, ConfigReport, FailureReport, Probers, Report, ServiceIdentity, Status},
};
use allswell_checks::contract::{Values, milliseconds};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

pub(super) fn render(report: &Report, probers: Option<&Probers>, detail: Detail) -> Vec<u8> {
    let full = detail > Detail::Status;
    let document = Document {
        status: report.status,
        summary: full.then_some(&report.summary),
        service: full.then_some(&*report.service),
        generated_at: full.then(|| time(report.generated_at)),
        draining: full && report.draining,
        config: report.configuration.as_deref().filter(|_| full).map(|configuration| Config::of(configuration, detail)),
        probers: probers.map(Polled::of),
        components: report
            .components
            .iter()
            .map(|(name, component)| (name, if full { Entry::full(component, detail) } else { Entry::brief(component) }))
            .collect(),
    };
    super::pretty(&document, report.status)
}

#[derive(Serialize)]
struct Document<'a> {
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
    config: Option<Config<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probers: Option<Polled<'a>>,
    components: BTreeMap<&'a CheckName, Entry<'a>>,
}

#[derive(Serialize)]
struct Config<'a> {
    revision: u64,
    loaded_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload: Option<LastReload<'a>>,
}

#[derive(Serialize)]
struct LastReload<'a> {
    at: String,
    outcome: &'a str,
    /// How many; which, is in the log and told with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<usize>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    messages: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs_restart: &'a [String],
}

impl<'a> Config<'a> {
    fn of(configuration: &'a ConfigReport, detail: Detail) -> Self {
        let last_reload = configuration.last_reload.as_ref().map(|reload| LastReload {
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
struct Polled<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notices: &'a [String],
    seen: Vec<Prober<'a>>,
}

#[derive(Serialize)]
struct Prober<'a> {
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

impl<'a> Polled<'a> {
    fn of(probers: &'a Probers) -> Self {
        let seen = probers.seen.iter().map(|prober| Prober {
            client: prober.client,
            address: prober.address,
            agent: &prober.agent,
            path: &prober.path,
            polls: prober.polls,
            interval_ms: prober.interval.map(milliseconds),
            last_polled_at: time(prober.last_polled_at),
            last_code: prober.last_code,
            good: prober.good,
            consecutive: prober.consecutive,
            concludes: prober.concludes.as_deref(),
        });
        Self { notices: &probers.notices, seen: seen.collect() }
    }
}

#[derive(Default, Serialize)]
struct Entry<'a> {
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
    failure: Option<Failure<'a>>,
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
    /// Where it is not the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<Past<'a>>,
}

#[derive(Serialize)]
struct Past<'a> {
    #[serde(flatten)]
    failure: Failure<'a>,
    at: String,
}

#[derive(Serialize)]
struct Failure<'a> {
    class: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Names and statuses alone.
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
            failure: component.failure.as_ref().map(|failure| Failure::new(failure, detail)),
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
                .map(|past| Past { failure: Failure::new(&past.failure, detail), at: time(past.at) }),
        }
    }
}

impl<'a> Failure<'a> {
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

/// RFC 3339 in UTC with milliseconds.
pub(super) fn time(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}
