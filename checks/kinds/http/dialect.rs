//! Reads the health reports of other systems as statuses by name.

use super::upstream::{Upstream, UpstreamStatus};
use crate::contract::prelude::*;
use hyper::StatusCode;
use serde_json::Value;
use std::collections::BTreeMap;

/// The format of a health report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum UpstreamDialect {
    /// allswell itself.
    Allswell,
    /// ASP.NET Core: its plain text, or the JSON for Xabaril's user interface.
    Aspnet,
    /// django-health-check, version 3 or 4.
    Django,
    /// The Internet-Draft "Health Check Response Format for HTTP APIs".
    #[serde(rename = "health+json")]
    HealthJson,
    /// `MicroProfile` Health: Quarkus, Open Liberty, Helidon, `WildFly`.
    Microprofile,
    /// Spring Boot's actuator.
    Spring,
}

impl UpstreamDialect {
    /// The `Accept` header. Without it, some servers would return a page for people.
    pub(super) const fn accept(self) -> &'static str {
        match self {
            Self::HealthJson => "application/health+json, application/json;q=0.9, */*;q=0.5",
            _ => "application/json, */*;q=0.5",
        }
    }

    /// Whether a body may be a report although its status is not expected. Django's format has no mark of its own, so only a 500 counts.
    pub(super) fn comes_with(self, status: StatusCode) -> bool {
        self != Self::Django || status == StatusCode::INTERNAL_SERVER_ERROR
    }

    /// The name in the configuration.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allswell => "allswell",
            Self::Aspnet => "aspnet",
            Self::Django => "django",
            Self::HealthJson => "health+json",
            Self::Microprofile => "microprofile",
            Self::Spring => "spring",
        }
    }

    /// Reads a whole body; `json` is the same, where it is JSON.
    pub(super) fn read(self, body: &[u8], json: Option<&Value>) -> Option<Upstream> {
        let Some(json) = json else {
            let word = std::str::from_utf8(body).ok()?.trim();
            let known = self == Self::Aspnet && ["Healthy", "Degraded", "Unhealthy"].contains(&word);
            return known.then(|| Upstream { verdict: Some(UpstreamStatus::parse(word)), components: BTreeMap::new() });
        };
        let mut found = ComponentStatuses::default();
        if self == Self::Django {
            for (name, said) in json.as_object()? {
                found.add(name, django(said.as_str()?));
            }
            return Some(Upstream { verdict: None, components: found.0 });
        }
        let verdict = UpstreamStatus::of_member(json)?;
        match self {
            Self::Allswell => found.all(&json["components"], |one| UpstreamStatus::of_member(one).filter(|_| one["muted"] != true)),
            Self::Aspnet => found.all(&json["entries"], UpstreamStatus::of_member),
            Self::HealthJson => found.all(&json["checks"], |readings| match readings {
                Value::Array(readings) => readings.iter().filter_map(UpstreamStatus::of_member).max(),
                reading => UpstreamStatus::of_member(reading),
            }),
            Self::Microprofile => {
                for check in json["checks"].as_array().into_iter().flatten() {
                    if let (Some(name), Some(status)) = (check["name"].as_str(), UpstreamStatus::of_member(check)) {
                        found.add(name, status);
                    }
                }
            }
            // Version 2 of the actuator's format has `details`.
            _ => found.spring(if json["components"].is_object() { &json["components"] } else { &json["details"] }, ""),
        }
        Some(Upstream { verdict: Some(verdict), components: found.0 })
    }
}

/// `OK` (version 4) or `working` (version 3) passes. A text with only warnings, one on each line, is a warning.
fn django(said: &str) -> UpstreamStatus {
    let warns = |line: &str| line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("warning:"));
    match said {
        "OK" | "working" => UpstreamStatus::Pass,
        _ if !said.is_empty() && said.lines().all(warns) => UpstreamStatus::Warn,
        _ => UpstreamStatus::Fail,
    }
}

/// Statuses by name. The names are foreign text: they are redacted like all results, and shortened only afterwards.
#[derive(Default)]
struct ComponentStatuses(BTreeMap<String, UpstreamStatus>);

impl ComponentStatuses {
    fn add(&mut self, name: &str, status: UpstreamStatus) {
        // The worst of several components with the same name counts.
        let entry = self.0.entry(name.to_owned()).or_insert(status);
        *entry = status.max(*entry);
    }

    fn all(&mut self, members: &Value, status: impl Fn(&Value) -> Option<UpstreamStatus>) {
        for (name, member) in members.as_object().into_iter().flatten() {
            if let Some(status) = status(member) {
                self.add(name, status);
            }
        }
    }

    /// A component may contain others; then these count instead.
    fn spring(&mut self, members: &Value, above: &str) {
        for (name, member) in members.as_object().into_iter().flatten() {
            let name = format!("{above}{name}");
            match (member.get("components"), UpstreamStatus::of_member(member)) {
                (Some(inner), _) if inner.is_object() => self.spring(inner, &format!("{name}/")),
                (_, Some(status)) => self.add(&name, status),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    /// The failure, the warning, or "well"; and the observed values.
    fn judged(dialect: UpstreamDialect, body: &Value, expected: bool) -> (String, Value) {
        let upstream = dialect.read(body.to_string().as_bytes(), Some(body)).expect("it is a report");
        let said = match upstream.judge(expected) {
            Ok(warning) => warning.unwrap_or_else(|| "well".to_owned()),
            Err(failure) => failure.to_string(),
        };
        (said, upstream.observed().into())
    }

    #[test]
    fn django_health_check_is_read_in_both_versions() {
        let well = json!({ "Database(alias='default')": "OK", "Cache backend: default": "working" });
        assert_eq!(judged(UpstreamDialect::Django, &well, true).0, "well");
        assert_eq!(judged(UpstreamDialect::Django, &well, false).0, "well", "it has nothing to say about a 500");
        let bad = json!({ "Boom()": "Unknown Error: unknown error", "Disk": "Warning: 95 %", "Database": "OK" });
        let (said, observed) = judged(UpstreamDialect::Django, &bad, false);
        assert_eq!(said, "unhealthy: the report fails: Boom()");
        assert_eq!(observed, json!({ "Boom()": "fail", "Disk": "warn", "Database": "pass" }));
        let not_critical = json!({ "NonCrit": "unknown error: Oops", "DatabaseBackend": "working" });
        assert_eq!(judged(UpstreamDialect::Django, &not_critical, true).0, "the report warns: NonCrit");
        let warnings = json!({ "BoomW": "warning: w1
warning: w2", "Disk": "working" });
        assert_eq!(judged(UpstreamDialect::Django, &warnings, false).0, "unhealthy: the report fails: BoomW");
        assert_eq!(
            django(
                "warning: w1
unknown error: e2"
            ),
            UpstreamStatus::Fail
        );
    }

    #[test]
    fn every_other_dialect_is_read() {
        for (dialect, body, expected, sentence) in [
            (
                UpstreamDialect::Spring,
                json!({ "status": "DOWN", "components": {
                    "db": { "status": "DOWN", "details": { "error": "secret" } },
                    "broker": { "status": "DOWN", "components": { "us1": { "status": "UP" }, "us2": { "status": "OUT_OF_SERVICE" } } },
                    "mail": { "status": "UNKNOWN" },
                    "diskSpace": { "status": "UP" },
                } }),
                false,
                "unhealthy: the report fails: broker/us2, db",
            ),
            (UpstreamDialect::Spring, json!({ "status": "DOWN" }), false, "unhealthy: the report fails without naming a component"),
            (UpstreamDialect::Spring, json!({ "status": "UP", "details": { "db": { "status": "UP" } } }), true, "well"),
            (UpstreamDialect::Spring, json!({ "status": "DEGRADED" }), true, "the report warns without naming a component"),
            (
                UpstreamDialect::Microprofile,
                json!({ "status": "DOWN", "checks": [{ "name": "db", "status": "DOWN" }, { "name": "q", "status": "UP" }] }),
                false,
                "unhealthy: the report fails: db",
            ),
            (
                UpstreamDialect::Aspnet,
                json!({ "status": "Degraded", "entries": { "x": { "status": "Degraded" }, "y": { "status": "Healthy" } } }),
                true,
                "the report warns: x",
            ),
            (
                UpstreamDialect::Aspnet,
                json!({ "status": "Unhealthy", "entries": { "x": { "status": "Unhealthy" } } }),
                true,
                "unhealthy: the report fails: x",
            ),
            (
                UpstreamDialect::HealthJson,
                json!({ "status": "fail", "checks": {
                    "db:time": [{ "status": "pass" }, { "status": "Down" }],
                    "cpu:utilization": [{ "status": "warn" }],
                    "uptime": [{ "observedValue": 7 }],
                } }),
                false,
                "unhealthy: the report fails: db:time",
            ),
            (UpstreamDialect::HealthJson, json!({ "status": "up" }), true, "well"),
            (
                UpstreamDialect::Allswell,
                json!({ "status": "warn", "components": {
                    "cache": { "status": "fail", "critical": false },
                    "db": { "status": "pass" },
                    "old": { "status": "fail", "muted": true },
                } }),
                true,
                "the report warns: cache",
            ),
        ] {
            assert_eq!(judged(dialect, &body, expected).0, sentence, "{dialect:?}: {body}");
        }
        let plain = |text: &str| UpstreamDialect::Aspnet.read(text.as_bytes(), None).and_then(|upstream| upstream.verdict);
        assert_eq!(
            (
                plain(
                    "Degraded
"
                ),
                plain("Fine")
            ),
            (Some(UpstreamStatus::Warn), None)
        );
    }

    #[test]
    fn other_bodies_are_not_reports() {
        for (dialect, body) in [
            (UpstreamDialect::Django, json!({ "status": 1 })),
            (UpstreamDialect::Django, json!([])),
            (UpstreamDialect::Spring, json!({ "status": true })),
            (UpstreamDialect::HealthJson, json!({ "checks": {} })),
            (UpstreamDialect::Allswell, json!("pass")),
        ] {
            assert_eq!(dialect.read(body.to_string().as_bytes(), Some(&body)), None, "{dialect:?}: {body}");
        }
        assert_eq!(UpstreamDialect::Spring.read(b"UP", None), None);
    }

    #[test]
    fn the_worst_of_many_components_are_observed() {
        let many: Map<String, Value> = (0..1000).map(|number| (format!("a{number:03}"), "OK".into())).collect();
        let mut many = Value::Object(many);
        for number in 0..12 {
            many[format!("bad{number}")] = "broken: secret".into();
        }
        let (said, observed) = judged(UpstreamDialect::Django, &many, false);
        assert_eq!(said, "unhealthy: the report fails: bad0, bad1, bad10, bad11, bad2 and 7 more");
        let observed = observed.as_object().expect("a table").clone();
        assert_eq!(observed.len(), Upstream::MAX_OBSERVED);
        assert_eq!(observed.values().filter(|status| *status == "fail").count(), 12, "the worst are observed");
        assert!(!json!(observed).to_string().contains("secret"));
    }
}
