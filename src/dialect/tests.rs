//! Every dialect of one report, as snapshots and by the rules of its readers.

use super::{Detail, Dialect};
use crate::report::{Change, Circumstances, ComponentReport, FailureReport, Report, ServiceIdentity, Status, Tally, View};
use allswell_checks::contract::FailureClass;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const CAUSE: &str = "ERR of the driver <&\"'";

fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}Z").parse().expect("a time")
}

fn failure(class: FailureClass, message: &'static str) -> FailureReport {
    FailureReport { class, message: message.into(), cause: Some(CAUSE.to_owned()) }
}

fn component(status: Status, kind: &'static str, millis: u64) -> ComponentReport {
    let duration = Duration::from_millis(millis) + Duration::from_micros(412);
    let mut tally = Tally::default();
    tally.count(status, duration);
    ComponentReport {
        status,
        kind,
        critical: true,
        duration: Some(duration),
        checked_at: Some(at("09:59:58.123")),
        since: Some(at("09:58:11.020")),
        consecutive: 12,
        passed_once: true,
        tally: Arc::new(tally),
        transitions: 3,
        ..ComponentReport::default()
    }
}

/// Components in every state.
fn components() -> Vec<(&'static str, ComponentReport)> {
    let observed = [("role", json!("primary")), ("nested", json!({ "n": 1 })), ("lag_ms", json!(0.5))];
    vec![
        (
            "cache",
            ComponentReport {
                failure: Some(failure(FailureClass::Timeout, "no answer within 1s")),
                ..component(Status::Fail, "redis", 1000)
            },
        ),
        (
            "held",
            ComponentReport {
                failure: Some(failure(FailureClass::Unreachable, "connection refused")),
                held_left: Some(Duration::from_secs(42)),
                ..component(Status::Warn, "tcp", 1)
            },
        ),
        (
            "late",
            ComponentReport {
                failure: Some(FailureReport { class: FailureClass::Pending, message: "there is no result yet".into(), cause: None }),
                status: Status::Fail,
                kind: "custom",
                critical: true,
                ..ComponentReport::default()
            },
        ),
        (
            "muted",
            ComponentReport {
                status: Status::Warn,
                kind: "s3",
                critical: true,
                muted: true,
                warning: Some("muted: it is never probed".to_owned()),
                ..ComponentReport::default()
            },
        ),
        ("orders_db", ComponentReport { values: Arc::new(observed.into_iter().collect()), ..component(Status::Pass, "postgres", 0) }),
        (
            "root_disk",
            ComponentReport {
                critical: false,
                warning: Some("91 % | of <the> \"disk\" is used".to_owned()),
                ..component(Status::Warn, "disk", 0)
            },
        ),
    ]
}

fn changes() -> Arc<[Arc<Change>]> {
    let change = |number, name: &str, from, to, time, failure| {
        Arc::new(Change {
            number,
            component: name.parse().expect("a name"),
            from,
            to,
            at: at(time),
            lasted: from.map(|_| Duration::from_secs(91)),
            failure,
            warning: None,
        })
    };
    [
        change(1, "cache", None, Status::Pass, "09:56:40.020", None),
        change(2, "gone", None, Status::Pass, "09:56:40.020", None),
        change(
            3,
            "cache",
            Some(Status::Pass),
            Status::Fail,
            "09:58:11.020",
            Some(failure(FailureClass::Timeout, "no answer within <1s> & more")),
        ),
    ]
    .into()
}

fn report_on(components: Vec<(&'static str, ComponentReport)>, draining: bool) -> Report {
    let service =
        ServiceIdentity { name: Some("orders".to_owned()), version: Some("1.4.2".to_owned()), instance: Some("I_0abc".to_owned()) };
    let circumstances = Circumstances {
        service: Arc::new(service),
        generated_at: at("10:00:00.512"),
        draining,
        changes: changes(),
        ..Circumstances::alive()
    };
    let components = components.into_iter().map(|(name, component)| (name.parse().expect("a name"), component)).collect();
    Report::new(&View::Whole, components, circumstances)
}

fn rendered(dialect: Dialect, report: &Report, detail: Detail) -> String {
    String::from_utf8(dialect.render(report, detail)).expect("text")
}

/// Without the version, which changes with every release.
fn without_version(text: &str) -> String {
    text.replace(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), "version=\"…\"")
}

fn parsed(dialect: Dialect, report: &Report) -> Value {
    serde_json::from_str(&rendered(dialect, report, Detail::Full)).expect("JSON")
}

#[test]
fn every_dialect_is_as_it_was() {
    let report = report_on(components(), false);
    for dialect in Dialect::ALL {
        for (detail, word) in [(Detail::Status, "status"), (Detail::Full, "full"), (Detail::Causes, "causes")] {
            let name = format!("{}_{word}", dialect.name().replace('+', "_"));
            insta::assert_snapshot!(name, without_version(&rendered(dialect, &report, detail)));
        }
    }
}

#[test]
fn every_dialect_while_draining_is_as_it_was() {
    let well = components().into_iter().filter(|(_, component)| component.status == Status::Pass).collect();
    let report = report_on(well, true);
    for dialect in Dialect::ALL {
        let name = format!("{}_draining", dialect.name().replace('+', "_"));
        insta::assert_snapshot!(name, without_version(&rendered(dialect, &report, Detail::Full)));
    }
}

#[test]
fn no_dialect_shows_more_than_the_level_of_detail() {
    let report = report_on(components(), true);
    for dialect in Dialect::ALL {
        let full = rendered(dialect, &report, Detail::Full);
        assert!(!full.contains("ERR of"), "{}: {full}", dialect.name());
        let status = rendered(dialect, &report, Detail::Status);
        for secret in ["no answer", "refused", "primary", "redis", "orders ", "i-0abc", "I_0abc", "1.4.2", "1000", "is used", "critical"] {
            assert!(!status.contains(secret), "{} shows {secret}: {status}", dialect.name());
        }
        // Feeds show only components that have changed.
        if !matches!(dialect, Dialect::Atom | Dialect::Rss) {
            assert!(status.contains("cache") && status.contains("orders_db"), "{}: {status}", dialect.name());
        }
    }
}

#[test]
fn every_name_of_the_interface_is_known() {
    let names = Dialect::ALL.map(Dialect::name);
    for name in
        ["json", "text", "health+json", "openmetrics", "atom", "rss", "django", "django3", "spring", "microprofile", "aspnet", "nagios"]
    {
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn draining_is_shown_where_the_format_can_express_it() {
    let well = || components().into_iter().filter(|(_, component)| component.status == Status::Pass).collect();
    let draining = report_on(well(), true);
    assert_eq!(parsed(Dialect::Spring, &draining)["status"], "OUT_OF_SERVICE");
    assert_eq!(parsed(Dialect::Spring, &draining)["components"]["orders_db"]["status"], "UP");
    assert_eq!(parsed(Dialect::Microprofile, &draining)["status"], "DOWN");
    assert_eq!(parsed(Dialect::Aspnet, &draining)["status"], "Unhealthy");
    assert_eq!(parsed(Dialect::HealthJson, &draining)["output"], "draining; 1 component passes");
    assert!(rendered(Dialect::Nagios, &draining, Detail::Full).starts_with("ALLSWELL CRITICAL - draining; "));
    assert_eq!(parsed(Dialect::Django, &draining), json!({ "orders_db": "OK" }), "only the status code shows it");
}

/// The schema is written by hand from the page of the actuator's API.
#[test]
fn spring_matches_the_actuators_schema() {
    let schema = json!({
        "$defs": { "component": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": { "enum": ["UP", "DOWN", "OUT_OF_SERVICE", "UNKNOWN"] },
                "details": { "type": "object" },
                "components": { "type": "object", "additionalProperties": { "$ref": "#/$defs/component" } },
            },
            "additionalProperties": false,
        } },
        "$ref": "#/$defs/component",
        "required": ["components"],
    });
    conforms(Dialect::Spring, &schema);
}

/// The schema is that of the specification's appendix, and stricter: values are plain.
#[test]
fn microprofile_matches_the_specifications_schema() {
    let status = json!({ "enum": ["UP", "DOWN"] });
    let schema = json!({
        "type": "object",
        "required": ["status", "checks"],
        "properties": {
            "status": status,
            "checks": { "type": "array", "items": {
                "type": "object",
                "required": ["name", "status"],
                "properties": {
                    "name": { "type": "string" },
                    "status": status,
                    "data": { "type": "object", "additionalProperties": { "type": ["string", "boolean", "number"] } },
                },
                "additionalProperties": false,
            } },
        },
        "additionalProperties": false,
    });
    conforms(Dialect::Microprofile, &schema);
}

/// The schema follows the draft's sections 3 and 4.
#[test]
fn health_json_matches_the_drafts_schema() {
    let status = json!({ "enum": ["pass", "warn", "fail"] });
    let text = json!({ "type": "string" });
    let schema = json!({
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": status, "version": text, "serviceId": text, "output": text,
            "checks": { "type": "object", "propertyNames": { "pattern": "^[^:]*(:[^:]+)?$" }, "additionalProperties": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": { "status": status, "time": { "type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT.*Z$" }, "output": text },
                    "dependentRequired": { "observedValue": ["observedUnit"], "observedUnit": ["observedValue"] },
                },
            } },
        },
        "additionalProperties": false,
    });
    conforms(Dialect::HealthJson, &schema);
}

/// The schema follows Xabaril's `UIHealthReport`.
#[test]
fn aspnet_matches_xabarils_schema() {
    let status = json!({ "enum": ["Healthy", "Degraded", "Unhealthy"] });
    let span = json!({ "type": "string", "pattern": "^(\\d+\\.)?\\d\\d:\\d\\d:\\d\\d\\.\\d{7}$" });
    let text = json!({ "type": "string" });
    let schema = json!({
        "type": "object",
        "required": ["status", "totalDuration", "entries"],
        "properties": { "status": status, "totalDuration": span, "entries": { "type": "object", "additionalProperties": {
            "type": "object",
            "required": ["data", "duration", "status"],
            "properties": {
                "status": status, "duration": span, "description": text, "exception": text,
                "data": { "type": "object" }, "tags": { "type": "array", "items": text },
            },
            "additionalProperties": false,
        } } },
        "additionalProperties": false,
    });
    conforms(Dialect::Aspnet, &schema);
}

/// Validates a dialect in every state and at every level of detail.
fn conforms(dialect: Dialect, schema: &Value) {
    let schema = jsonschema::validator_for(schema).expect("a schema");
    let one = |index: usize| vec![components().swap_remove(index)];
    let some = (0..components().len()).map(|index| report_on(one(index), false));
    for report in some.chain([report_on(components(), false), report_on(components(), true), report_on(Vec::new(), false)]) {
        for detail in [Detail::Status, Detail::Full, Detail::Causes] {
            let text = rendered(dialect, &report, detail);
            let document = serde_json::from_str(&text).expect("JSON");
            if let Err(error) = schema.validate(&document) {
                panic!("{error}: {text}");
            }
        }
    }
}

/// The guidelines' format: one line with the state, a bar, and `label=value[unit];[warn];[crit];[min];[max]`.
#[test]
fn nagios_matches_the_plugin_guidelines() {
    let report = report_on(components(), false);
    let line = rendered(Dialect::Nagios, &report, Detail::Full);
    let (text, numbers) = line.trim_end_matches('\n').split_once('|').expect("numbers");
    assert!(!numbers.contains(['|', '\n']) && line.ends_with('\n'));
    assert_eq!(text.trim(), "ALLSWELL CRITICAL - 2 of 5 components fail: cache, late; 1 muted");
    let labels: Vec<_> = numbers
        .split_whitespace()
        .map(|one| {
            let (label, values) = one.split_once('=').expect("a label");
            let fields: Vec<_> = values.split(';').collect();
            let seconds: f64 = fields[0].strip_suffix('s').expect("a unit").parse().expect("a number");
            assert!(
                seconds >= 0.0 && fields.len() <= 5 && fields[1..].iter().all(|field| field.is_empty() || field.parse::<f64>().is_ok())
            );
            assert!(!label.contains(['\'', '=', ' ']));
            label
        })
        .collect();
    assert_eq!(labels, ["cache", "held", "orders_db", "root_disk"]);
    let warned = report_on(components().split_off(5), false);
    assert!(rendered(Dialect::Nagios, &warned, Detail::Full).starts_with("ALLSWELL WARNING - "));
    let nothing = report_on(Vec::new(), false);
    assert_eq!(rendered(Dialect::Nagios, &nothing, Detail::Full), "ALLSWELL OK - nothing is checked\n");
}

#[test]
fn ids_of_changes_are_the_same_whenever_they_are_read() {
    let ids = |report: &Report| -> Vec<String> {
        let text = rendered(Dialect::Atom, report, Detail::Full);
        text.lines().filter(|line| line.contains("    <id>")).map(str::to_owned).collect()
    };
    let (one, other) = (ids(&report_on(components(), false)), ids(&report_on(components().drain(..2).collect(), true)));
    assert_eq!((one.len(), &one), (2, &other), "a removed component has no entry");
    assert_eq!(one[0].trim(), "<id>tag:i-0abc,2026-11-20:orders/cache/1795168691020000/3</id>");
}
