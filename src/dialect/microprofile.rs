//! `MicroProfile` Health: <https://download.eclipse.org/microprofile/microprofile-health-4.0.1/microprofile-health-spec-4.0.1.html>.
//!
//! It knows `UP` and `DOWN`, and nothing else: what is muted is neither, and left out.

use super::{Detail, up_or_down};
use crate::report::{ComponentReport, Report};
use allswell_checks::contract::milliseconds;
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) fn render(report: &Report, detail: Detail) -> Vec<u8> {
    let known = report.components.iter().filter(|(_, component)| !component.muted);
    let checks = known.map(|(name, component)| Check {
        name: name.as_str(),
        status: up_or_down(component.status),
        data: Some(data(component, detail)).filter(|_| detail > Detail::Status),
    });
    super::pretty(&Document { status: up_or_down(report.status), checks: checks.collect() }, report.status)
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'a str,
    checks: Vec<Check<'a>>,
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
}

/// Its values are texts, numbers and truths.
fn data(component: &ComponentReport, detail: Detail) -> Map<String, Value> {
    let ours = [
        ("kind", Some(component.kind.into())),
        ("critical", Some(component.critical.into())),
        ("error", component.failure.as_ref().map(|failure| super::failed(failure, detail).into())),
        ("warning", component.warning.as_deref().map(Value::from)),
        ("duration_ms", component.duration.map(milliseconds).map(Value::from)),
    ];
    let observed = component.values.iter().map(|(name, value)| {
        let plain = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        (name.to_string(), if plain { value.clone() } else { value.to_string().into() })
    });
    // Ours last: whatever a check observes, these words mean what they say.
    observed.chain(ours.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))).collect()
}
