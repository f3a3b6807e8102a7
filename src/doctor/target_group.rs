//! Target groups of AWS load balancers, as `aws elbv2 describe-target-groups` prints them: what their settings come to, alone and together
//! with allswell's own.

use super::{Client, conclude::shown, finding::Finding, own::Own};
use crate::{
    component::Policy,
    pollers::{PollerKind, SuccessCodes},
};
use allswell_checks::contract::TimeSpan;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, time::Duration};

/// The names are the vendor's:
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroup.html>.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetGroup {
    /// Its name.
    #[serde(rename = "TargetGroupName", default)]
    pub name: String,
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    protocol_version: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    health_check_protocol: Option<String>,
    #[serde(default)]
    health_check_port: Option<String>,
    #[serde(default)]
    pub(super) health_check_enabled: Option<bool>,
    #[serde(default, rename = "HealthCheckIntervalSeconds")]
    interval: Option<u64>,
    #[serde(default, rename = "HealthCheckTimeoutSeconds")]
    timeout: Option<u64>,
    #[serde(default, rename = "HealthyThresholdCount")]
    healthy: Option<u32>,
    #[serde(default, rename = "UnhealthyThresholdCount")]
    unhealthy: Option<u32>,
    #[serde(default)]
    health_check_path: Option<String>,
    #[serde(default)]
    matcher: Option<Matcher>,
    #[serde(default)]
    load_balancer_arns: Option<Vec<String>>,
    #[serde(default)]
    target_type: Option<String>,
    /// Of another command, `describe-target-group-attributes`.
    #[serde(default)]
    attributes: Option<Vec<Attribute>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Matcher {
    http_code: Option<String>,
    grpc_code: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    target_groups: Option<Vec<TargetGroup>>,
    attributes: Option<Vec<Attribute>>,
}

/// Reads the output of `describe-target-groups`, and beside it, in any order, that of `describe-target-group-attributes` for a single group.
///
/// # Errors
///
/// The file and what is wrong with it, in a sentence.
pub fn read(files: &[impl AsRef<Path>]) -> Result<Vec<TargetGroup>, String> {
    let (mut groups, mut attributes) = (Vec::new(), Vec::new());
    for path in files {
        let path = path.as_ref();
        let wrong = |what: String| format!("{}: {what}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let file: File = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("is not the JSON that `aws elbv2 describe-target-groups --output json` prints: {error}")))?;
        if file.target_groups.is_none() && file.attributes.is_none() {
            return Err(wrong("has no `TargetGroups`: write `aws elbv2 describe-target-groups --output json > FILE`".to_owned()));
        }
        for mut group in file.target_groups.into_iter().flatten() {
            group.name = shown(&group.name);
            group.examine().map_err(|error| wrong(format!("target group {}: {error}", group.name)))?;
            groups.push(group);
        }
        attributes.extend(file.attributes.into_iter().flatten());
    }
    match (groups.as_mut_slice(), attributes.is_empty()) {
        ([], _) => return Err("there is no target group in what was given".to_owned()),
        ([group], false) => group.attributes.get_or_insert_default().extend(attributes),
        (_, false) => {
            return Err("attributes do not say of which target group they are: give them beside a file with that group alone \
                        (`describe-target-groups --names NAME`)"
                .to_owned());
        }
        _ => {}
    }
    Ok(groups)
}

/// What a target group's settings come to. Times are in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// The target group.
    pub target_group: String,
    /// Its settings, in a line.
    pub settings: String,
    /// How long it takes at worst until a target is unhealthy that hangs or is gone.
    pub detection_ms: u64,
    /// The same for a component that fails and counts at the path, by allswell and the balancer together; where allswell's configuration is
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_detection_ms: Option<u64>,
    /// How long it takes at worst until a target gets traffic again that is well.
    pub recovery_ms: u64,
    /// How long a target that is to end must go on serving until no new requests come.
    pub drain_ms: u64,
    /// How long the balancer lets requests in progress end, once a target is deregistered; where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_delay_ms: Option<u64>,
    /// Settings that contradict each other, and what else is odd.
    pub findings: Vec<Finding>,
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// No setting is longer: what is, is a mistake.
const DAY: u64 = 24 * 60 * 60;
/// Nor needs anybody more polls in a row.
const POLLS: u32 = 1000;

impl TargetGroup {
    /// Looks for what cannot be meant.
    fn examine(&self) -> Result<(), String> {
        self.success().map_err(|error| format!("Matcher: {error}"))?;
        for (key, seconds) in [("HealthCheckIntervalSeconds", self.interval), ("HealthCheckTimeoutSeconds", self.timeout)] {
            if seconds.is_some_and(|seconds| seconds == 0 || seconds > DAY) {
                return Err(format!("{key}: {} is no number of seconds from 1 to {DAY}", seconds.unwrap_or_default()));
            }
        }
        for (key, polls) in [("HealthyThresholdCount", self.healthy), ("UnhealthyThresholdCount", self.unhealthy)] {
            if polls.is_some_and(|polls| polls == 0 || polls > POLLS) {
                return Err(format!("{key}: {} is no number of polls from 1 to {POLLS}", polls.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Whose manner its health checks have.
    fn kind(&self) -> PollerKind {
        let http = matches!(self.protocol.as_deref(), Some("HTTP" | "HTTPS"));
        let application = self.load_balancer_arns.iter().flatten().any(|arn| arn.contains(":loadbalancer/app/"));
        if http || application || self.is_lambda() { PollerKind::Alb } else { PollerKind::Nlb }
    }

    fn is_lambda(&self) -> bool {
        self.target_type.as_deref() == Some("lambda")
    }

    fn health_protocol(&self) -> &str {
        self.health_check_protocol.as_deref().or(self.protocol.as_deref()).unwrap_or("HTTP")
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.health_protocol(), "HTTP" | "HTTPS")
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.protocol_version.as_deref() == Some("GRPC")
    }

    pub(super) fn success(&self) -> Result<SuccessCodes, String> {
        match &self.matcher {
            Some(Matcher { http_code: Some(codes), .. } | Matcher { grpc_code: Some(codes), .. }) => codes.parse(),
            _ if self.is_grpc() => "12".parse(),
            _ => Ok(self.kind().profile().success),
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval.map_or(self.kind().profile().interval, Duration::from_secs)
    }

    pub(super) fn timeout(&self) -> Duration {
        let profile = self.kind().profile();
        let default = if self.is_http() && self.health_protocol() == "HTTP" { profile.timeout } else { profile.timeout_tls };
        self.timeout.map_or(default, Duration::from_secs)
    }

    pub(super) fn healthy(&self) -> u32 {
        self.healthy.unwrap_or(self.kind().profile().healthy)
    }

    pub(super) fn unhealthy(&self) -> u32 {
        self.unhealthy.unwrap_or(self.kind().profile().unhealthy)
    }

    pub(super) fn path(&self) -> &str {
        self.health_check_path.as_deref().unwrap_or(if self.is_grpc() { "/AWS.ALB/healthcheck" } else { "/" })
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().flatten().find(|attribute| attribute.key == key).map(|attribute| attribute.value.as_str())
    }

    /// Where the attributes are known: the group itself does not tell.
    pub(super) fn deregistration_delay(&self) -> Option<Duration> {
        self.attribute("deregistration_delay.timeout_seconds")?.parse().ok().map(Duration::from_secs)
    }

    /// Whether it is an NLB's, whose timeout may be its interval.
    pub(super) fn is_network(&self) -> bool {
        self.kind() == PollerKind::Nlb
    }

    /// Whether each target is asked at the port at which it is registered, of which the group's own is only the default.
    pub(super) fn asks_at_traffic_port(&self) -> bool {
        matches!(self.health_check_port.as_deref(), None | Some("traffic-port"))
    }

    /// The port at which it asks; `None`: that of each target.
    pub(super) fn health_port(&self) -> Option<u16> {
        match self.health_check_port.as_deref() {
            Some("traffic-port") | None => self.port,
            Some(port) => port.parse().ok(),
        }
    }

    /// Who polls as this group does; or why that cannot be tried.
    ///
    /// # Errors
    ///
    /// When its health checks are switched off, do no more than connect, or have no list of codes.
    pub fn client(&self) -> Result<Client, String> {
        if self.health_check_enabled == Some(false) {
            return Err("its health checks are switched off".to_owned());
        }
        if self.is_lambda() {
            return Err("its targets are functions, which listen on no port".to_owned());
        }
        if !self.is_http() {
            let protocol = shown(self.health_protocol());
            return Err(format!("its health checks are by {protocol}, which says no more than that somebody listens"));
        }
        let kind = self.kind();
        let mut profile = kind.profile();
        (profile.interval, profile.healthy, profile.unhealthy) = (self.interval(), self.healthy(), self.unhealthy());
        (profile.timeout, profile.timeout_tls) = (self.timeout(), self.timeout());
        (profile.success, profile.grpc) = (self.success()?, self.is_grpc());
        profile.http_2 = matches!(self.protocol_version.as_deref(), Some("HTTP2" | "GRPC"));
        let scheme = if self.health_protocol() == "HTTPS" { "https" } else { "http" };
        Ok(Client { label: self.name.clone(), kind, profile, path: Some(self.path().to_owned()), scheme: Some(scheme) })
    }

    /// What its settings come to.
    #[must_use]
    pub fn advise(&self, own: Option<&Own>) -> Advice {
        let answers_by = own.map_or_else(|| self.timeout(), |own| own.deadline.min(self.timeout()));
        let noticed = self.interval() * self.unhealthy();
        let judged = own.map(|own| own.judged_at(self.path())).unwrap_or_default();
        let probed = judged.iter().map(|(_, policy)| policy.worst_detection()).max();
        let back = judged.iter().map(|(_, policy)| recovery(policy)).max().unwrap_or_default();
        let drain = noticed + answers_by;
        Advice {
            target_group: self.name.clone(),
            settings: self.settings(),
            detection_ms: milliseconds(noticed + self.timeout()),
            component_detection_ms: probed.map(|probed| milliseconds(probed.saturating_add(noticed + answers_by))),
            recovery_ms: milliseconds(back.saturating_add(self.interval() * self.healthy() + answers_by)),
            drain_ms: milliseconds(drain),
            deregistration_delay_ms: self.deregistration_delay().map(milliseconds),
            findings: self.contradictions(own, drain),
        }
    }

    fn settings(&self) -> String {
        let protocol = shown(self.health_protocol());
        let asks = if self.is_http() { format!("{protocol} {}", shown(self.path())) } else { protocol };
        let success = if self.is_http() {
            format!(", success {}", self.success().map_or_else(|error| error, |codes| codes.to_string()))
        } else {
            String::new()
        };
        format!(
            "{}: {asks} every {}, within {}, healthy after {}, unhealthy after {}{success}",
            self.kind(),
            TimeSpan(self.interval()),
            TimeSpan(self.timeout()),
            self.healthy(),
            self.unhealthy(),
        )
    }
}

/// How long it takes at worst until a component passes again that works again.
fn recovery(policy: &Policy) -> Duration {
    policy.longest_interval().saturating_mul(policy.rise).saturating_add(policy.timeout)
}
