//! `application/health+json`: <https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>.

use super::{
    Detail, RenderOptions,
    words::{description, pretty, time},
};
use crate::report::{ComponentReport, Report, Status};
use allswell_checks::contract::{Values, milliseconds};
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let full = detail > Detail::Status;
    let document = HealthJsonReport {
        status: report.status,
        version: report.service.version.as_deref().filter(|_| full),
        service_id: report.service.name.as_deref().filter(|_| full),
        // The draft recommends no output for a pass.
        output: Some(&*report.summary).filter(|_| full && report.status != Status::Pass),
        checks: report
            .components
            .iter()
            .map(|(name, component)| (format!("{name}:responseTime"), [HealthJsonCheck::new(component, detail)]))
            .collect(),
    };
    pretty(&document, report.status)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthJsonReport<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    checks: BTreeMap<String, [HealthJsonCheck<'a>; 1]>,
}

/// A component. `kind`, `critical`, `muted` and `observed` are our extensions, which readers ignore.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthJsonCheck<'a> {
    /// A muted component has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    critical: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<&'a Values>,
}

impl<'a> HealthJsonCheck<'a> {
    fn new(component: &'a ComponentReport, detail: Detail) -> Self {
        let status = (!component.muted).then_some(component.status);
        let muted = component.muted.then_some(true);
        if detail == Detail::Status {
            return Self { status, muted, ..Self::default() };
        }
        Self {
            status,
            muted,
            kind: Some(component.kind),
            critical: Some(component.critical),
            observed_value: component.duration.map(milliseconds),
            observed_unit: component.duration.map(|_| "ms"),
            time: component.checked_at.map(time),
            output: description(component, detail).filter(|_| component.status != Status::Pass && !component.muted),
            observed: Some(&*component.values).filter(|values| !values.is_empty()),
        }
    }
}
