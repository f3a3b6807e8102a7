//! `MicroProfile` Health: <https://download.eclipse.org/microprofile/microprofile-health-4.0.1/microprofile-health-spec-4.0.1.html>.
//!
//! The format has only `UP` and `DOWN`. A muted component is neither, so it is left out.

use super::{
    Detail, RenderOptions,
    words::{failure_text, pretty, up_or_down},
};
use crate::report::{ComponentReport, Report};
use allswell_checks::contract::milliseconds;
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> Vec<u8> {
    let detail = options.detail;
    let known = report.components.iter().filter(|(_, component)| !component.muted);
    let checks = known.map(|(name, component)| MicroprofileCheck {
        name: name.as_str(),
        status: up_or_down(component.status),
        data: Some(data(component, detail)).filter(|_| detail > Detail::Status),
    });
    pretty(&MicroprofileHealth { status: up_or_down(report.status), checks: checks.collect() }, report.status)
}

#[derive(Serialize)]
struct MicroprofileHealth<'a> {
    status: &'a str,
    checks: Vec<MicroprofileCheck<'a>>,
}

#[derive(Serialize)]
struct MicroprofileCheck<'a> {
    name: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
}

/// The data of a check. The specification allows texts, numbers and booleans.
fn data(component: &ComponentReport, detail: Detail) -> Map<String, Value> {
    let ours = [
        ("kind", Some(component.kind.into())),
        ("critical", Some(component.critical.into())),
        ("error", component.failure.as_ref().map(|failure| failure_text(failure, detail).into())),
        ("warning", component.warning.as_deref().map(Value::from)),
        ("duration_ms", component.duration.map(milliseconds).map(Value::from)),
    ];
    let observed = component.values.iter().map(|(name, value)| {
        let plain = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        (name.to_string(), if plain { value.clone() } else { value.to_string().into() })
    });
    // Ours come last, so that an observed value of the same name cannot replace them.
    observed.chain(ours.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))).collect()
}
