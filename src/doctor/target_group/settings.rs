//! The settings of a target group, as `aws elbv2 describe-target-groups` prints them.

use crate::{
    doctor::{client::Client, text::excerpt},
    pollers::{PollerKind, SuccessCodes},
};
use serde::Deserialize;
use std::time::Duration;

/// A target group. The names are those of the API:
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroup.html>.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetGroup {
    /// The name, of at most 120 printable characters once it is read.
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
    /// From another command, `describe-target-group-attributes`.
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
pub(super) struct Attribute {
    key: String,
    value: String,
}

/// Bounds the interval and the timeout: a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;
/// Bounds the thresholds.
const MAX_POLLS: u32 = 1000;

impl TargetGroup {
    /// Rejects values out of range, so that times can be computed without overflow.
    pub(super) fn validate(&self) -> Result<(), String> {
        self.success_codes().map_err(|error| format!("Matcher: {error}"))?;
        for (key, seconds) in [("HealthCheckIntervalSeconds", self.interval), ("HealthCheckTimeoutSeconds", self.timeout)] {
            if seconds.is_some_and(|seconds| seconds == 0 || seconds > MAX_SECONDS) {
                return Err(format!("{key}: {} is not between 1 and {MAX_SECONDS} seconds", seconds.unwrap_or_default()));
            }
        }
        for (key, polls) in [("HealthyThresholdCount", self.healthy), ("UnhealthyThresholdCount", self.unhealthy)] {
            if polls.is_some_and(|polls| polls == 0 || polls > MAX_POLLS) {
                return Err(format!("{key}: {} is not between 1 and {MAX_POLLS} polls", polls.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// The kind of client that its health checks are.
    pub(super) fn poller(&self) -> PollerKind {
        let http = matches!(self.protocol.as_deref(), Some("HTTP" | "HTTPS"));
        let application = self.load_balancer_arns.iter().flatten().any(|arn| arn.contains(":loadbalancer/app/"));
        if http || application || self.is_lambda() { PollerKind::Alb } else { PollerKind::Nlb }
    }

    fn is_lambda(&self) -> bool {
        self.target_type.as_deref() == Some("lambda")
    }

    pub(super) fn health_protocol(&self) -> &str {
        self.health_check_protocol.as_deref().or(self.protocol.as_deref()).unwrap_or("HTTP")
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.health_protocol(), "HTTP" | "HTTPS")
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.protocol_version.as_deref() == Some("GRPC")
    }

    pub(super) fn success_codes(&self) -> Result<SuccessCodes, String> {
        match &self.matcher {
            Some(Matcher { http_code: Some(codes), .. } | Matcher { grpc_code: Some(codes), .. }) => codes.parse(),
            _ if self.is_grpc() => "12".parse(),
            _ => Ok(self.poller().profile().success),
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval.map_or(self.poller().profile().interval, Duration::from_secs)
    }

    pub(super) fn timeout(&self) -> Duration {
        let profile = self.poller().profile();
        let default = if self.is_http() && self.health_protocol() == "HTTP" { profile.timeout } else { profile.timeout_tls };
        self.timeout.map_or(default, Duration::from_secs)
    }

    pub(super) fn healthy(&self) -> u32 {
        self.healthy.unwrap_or(self.poller().profile().healthy)
    }

    pub(super) fn unhealthy(&self) -> u32 {
        self.unhealthy.unwrap_or(self.poller().profile().unhealthy)
    }

    pub(super) fn path(&self) -> &str {
        self.health_check_path.as_deref().unwrap_or(if self.is_grpc() { "/AWS.ALB/healthcheck" } else { "/" })
    }

    pub(super) fn add_attributes(&mut self, attributes: Vec<Attribute>) {
        self.attributes.get_or_insert_default().extend(attributes);
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().flatten().find(|attribute| attribute.key == key).map(|attribute| attribute.value.as_str())
    }

    /// Whether an attribute is on. `None`: it is not among the attributes.
    pub(super) fn is_on(&self, key: &str) -> Option<bool> {
        self.attribute(key).map(|value| value == "true")
    }

    /// The number in an attribute.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.attribute(key)?.parse().ok()
    }

    /// Whether the load balancer sends the header of the PROXY protocol, before health checks as well.
    pub(super) fn sends_proxy_header(&self) -> bool {
        self.is_on("proxy_protocol_v2.enabled") == Some(true)
    }

    /// Whether its targets are Application Load Balancers.
    pub(super) fn forwards_to_balancer(&self) -> bool {
        self.target_type.as_deref() == Some("alb")
    }

    /// Known only from the attributes.
    pub(super) fn deregistration_delay(&self) -> Option<Duration> {
        self.number("deregistration_delay.timeout_seconds").map(Duration::from_secs)
    }

    /// Whether it belongs to a Network Load Balancer.
    pub(super) fn is_network(&self) -> bool {
        self.poller() == PollerKind::Nlb
    }

    /// Whether each target is polled at the port that it is registered with. The group's port is only the default for it.
    pub(super) fn uses_traffic_port(&self) -> bool {
        matches!(self.health_check_port.as_deref(), None | Some("traffic-port"))
    }

    /// The port of the health checks, or the default port of the targets.
    pub(super) fn health_port(&self) -> Option<u16> {
        match self.health_check_port.as_deref() {
            Some("traffic-port") | None => self.port,
            Some(port) => port.parse().ok(),
        }
    }

    /// A client that polls as this group does.
    ///
    /// # Errors
    ///
    /// Why the doctor cannot poll as this group does: its health checks are disabled, use no HTTP, or go to a Lambda function.
    pub fn client(&self) -> Result<Client, String> {
        if self.health_check_enabled == Some(false) {
            return Err("its health checks are disabled".to_owned());
        }
        if self.is_lambda() {
            return Err("its targets are Lambda functions, which listen on no port".to_owned());
        }
        if !self.is_http() {
            let protocol = excerpt(self.health_protocol());
            return Err(format!("its health checks use {protocol}, which only tests whether the port accepts connections"));
        }
        let poller = self.poller();
        let mut profile = poller.profile();
        (profile.interval, profile.healthy, profile.unhealthy) = (self.interval(), self.healthy(), self.unhealthy());
        (profile.timeout, profile.timeout_tls) = (self.timeout(), self.timeout());
        (profile.success, profile.grpc) = (self.success_codes()?, self.is_grpc());
        profile.http_2 = matches!(self.protocol_version.as_deref(), Some("HTTP2" | "GRPC"));
        let scheme = if self.health_protocol() == "HTTPS" { "https" } else { "http" };
        Ok(Client {
            label: self.name.clone(),
            poller,
            profile,
            path: Some(self.path().to_owned()),
            scheme: Some(scheme),
            sends_proxy_header: self.sends_proxy_header(),
        })
    }
}
