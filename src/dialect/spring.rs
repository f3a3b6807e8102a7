//! Spring Boot's actuator: <https://docs.spring.io/spring-boot/api/rest/actuator/health.html>.

use super::{Detail, json::time, up_or_down};
use crate::{
    component::CheckName,
    report::{ComponentReport, Report},
};
use allswell_checks::contract::{Values, milliseconds};
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) fn render(report: &Report, detail: Detail) -> Vec<u8> {
    // It has a word for who works and wants no traffic.
    let status = if report.draining { "OUT_OF_SERVICE" } else { up_or_down(report.status) };
    let components = report.components.iter().map(|(name, component)| (name, Component::of(component, detail))).collect();
    super::pretty(&Document { status, components }, report.status)
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'a str,
    components: BTreeMap<&'a CheckName, Component<'a>>,
}

#[derive(Serialize)]
struct Component<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    kind: &'a str,
    critical: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<&'a Values>,
}

impl<'a> Component<'a> {
    fn of(component: &'a ComponentReport, detail: Detail) -> Self {
        let details = Details {
            kind: component.kind,
            critical: component.critical,
            error: component.failure.as_ref().map(|failure| super::failed(failure, detail)),
            warning: component.warning.as_deref(),
            duration_ms: component.duration.map(milliseconds),
            checked_at: component.checked_at.map(time),
            observed: Some(&*component.values).filter(|values| !values.is_empty()),
        };
        let status = if component.muted { "UNKNOWN" } else { up_or_down(component.status) };
        Self { status, details: Some(details).filter(|_| detail > Detail::Status) }
    }
}
