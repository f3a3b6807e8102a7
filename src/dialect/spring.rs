//! Spring Boot's actuator: <https://docs.spring.io/spring-boot/api/rest/actuator/health.html>.

use super::{
    Detail, RenderOptions,
    words::{failure_text, pretty, time, up_or_down},
};
use crate::{
    component::CheckName,
    report::{ComponentReport, Report},
};
use allswell_checks::contract::{Values, milliseconds};
use serde::Serialize;
use std::collections::BTreeMap;

/// The media type of the actuator since Spring Boot 2.2.
pub(super) const MEDIA_TYPE: &str = "application/vnd.spring-boot.actuator.v3+json";

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    // The actuator's status for a service that works and must not get traffic.
    let status = if report.draining { "OUT_OF_SERVICE" } else { up_or_down(report.status) };
    let components = report.components.iter().map(|(name, component)| (name, SpringComponent::new(component, options.detail))).collect();
    pretty(&SpringHealth { status, components }, report.status)
}

#[derive(Serialize)]
struct SpringHealth<'a> {
    status: &'a str,
    components: BTreeMap<&'a CheckName, SpringComponent<'a>>,
}

#[derive(Serialize)]
struct SpringComponent<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<SpringDetails<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpringDetails<'a> {
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

impl<'a> SpringComponent<'a> {
    fn new(component: &'a ComponentReport, detail: Detail) -> Self {
        let details = SpringDetails {
            kind: component.kind,
            critical: component.critical,
            error: component.failure.as_ref().map(|failure| failure_text(failure, detail)),
            warning: component.warning.as_deref(),
            duration_ms: component.duration.map(milliseconds),
            checked_at: component.checked_at.map(time),
            observed: Some(&*component.values).filter(|values| !values.is_empty()),
        };
        let status = if component.muted { "UNKNOWN" } else { up_or_down(component.status) };
        Self { status, details: Some(details).filter(|_| detail > Detail::Status) }
    }
}
