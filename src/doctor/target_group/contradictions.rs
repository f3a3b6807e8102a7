//! Settings of a target group that contradict each other, or those of allswell.

use super::settings::TargetGroup;
use crate::{
    component::{CheckName, Policy},
    doctor::{
        allswell_settings::{AllswellSettings, PathReport},
        finding::Finding,
        text::excerpt,
    },
};
use allswell_checks::contract::TimeSpan;
use std::time::Duration;

/// A target flaps if it may become unhealthy and healthy again within this time.
const MAX_FLAPPING: Duration = Duration::from_secs(10);

impl TargetGroup {
    /// All contradictions and warnings. `drain` is how long the load balancer takes to notice a drain.
    pub(super) fn contradictions(&self, allswell: Option<&AllswellSettings>, drain: Duration) -> Vec<Finding> {
        let mut found = self.contradictions_within();
        found.extend(self.attribute_findings(allswell));
        if let Some(allswell) = allswell.filter(|_| self.is_http()) {
            found.extend(self.contradictions_with(allswell, drain));
        }
        found
    }

    /// Contradictions between the group's own settings.
    fn contradictions_within(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let (interval, timeout) = (TimeSpan(self.interval()), TimeSpan(self.timeout()));
        let overlaps = if self.is_network() { self.timeout() > self.interval() } else { self.timeout() >= self.interval() };
        if overlaps {
            found.push(self.contradiction(
                "timeout_above_interval",
                "The health check's timeout is not below its interval".to_owned(),
                format!("timeout {timeout}, interval {interval}: a poll starts before the previous one has ended"),
                format!("Set HealthCheckTimeoutSeconds below {}.", self.interval().as_secs()),
            ));
        }
        let codes = self.success_codes().ok().filter(|_| self.is_http() && !self.is_grpc());
        if codes.as_ref().is_some_and(|codes| !(200..=599).any(|code| codes.contains(code))) {
            found.push(self.contradiction(
                "matcher_never_matches",
                "No response is ever healthy: the matcher contains no HTTP status code".to_owned(),
                codes.map_or_else(String::new, |codes| format!("success codes {codes}")),
                "Set the matcher's HttpCode to 200.".to_owned(),
            ));
        }
        if self.is_grpc() && self.path() == "/grpc.health.v1.Health/Check" {
            let grpc_codes = self.success_codes().map_or_else(|error| error, |codes| codes.to_string());
            found.push(self.contradiction(
                "path_never_fails",
                "The gRPC call succeeds even if its response is NOT_SERVING, and the load balancer only evaluates the call's \
                 status".to_owned(),
                format!("HealthCheckPath {}, GrpcCode {grpc_codes}", self.path()),
                "Leave HealthCheckPath and GrpcCode at their defaults, /AWS.ALB/healthcheck and 12: there, allswell returns 12 if it is \
                 healthy, and 14 if not.".to_owned(),
            ));
        }
        let round = self.interval() * self.unhealthy().max(self.healthy());
        if round <= MAX_FLAPPING {
            found.push(self.contradiction(
                "thresholds_flap",
                "The thresholds are so low that a target flaps with every short failure".to_owned(),
                format!(
                    "unhealthy after {}, healthy again after {}",
                    TimeSpan(self.interval() * self.unhealthy()),
                    TimeSpan(self.interval() * self.healthy())
                ),
                "Raise HealthyThresholdCount: becoming unhealthy fast and healthy slowly is stable.".to_owned(),
            ));
        }
        if self.health_check_enabled == Some(false) {
            found.push(self.warning(
                "checks_disabled",
                "The target group's health checks are disabled",
                "HealthCheckEnabled is false",
                "Set HealthCheckEnabled to true.",
            ));
        } else if !self.is_http() {
            found.push(self.warning(
                "port_only",
                "The health checks only test whether the port accepts connections",
                "HealthCheckProtocol is not HTTP",
                "Set HealthCheckProtocol to HTTP and HealthCheckPath to /health: Network Load Balancers support this, too.",
            ));
        }
        found
    }

    /// Contradictions between the group's settings and allswell's.
    fn contradictions_with(&self, allswell: &AllswellSettings, drain: Duration) -> Vec<Finding> {
        let mut found = Vec::new();
        if let (Some(polled), Some(port)) = (self.health_port(), allswell.port)
            && polled != port
        {
            let (evidence, fix) = if self.uses_traffic_port() {
                (
                    format!("the targets' default port is {polled}, allswell listens on {port}"),
                    "Set HealthCheckPort to allswell's port, unless the targets are registered with that port, or a port mapping or \
                     proxy leads to it.",
                )
            } else {
                (
                    format!("HealthCheckPort is {polled}, allswell listens on {port}"),
                    "Set HealthCheckPort to allswell's port, unless a port mapping or proxy leads to it.",
                )
            };
            found.push(self.warning("other_port", "The health checks may not reach the port that allswell listens on", &evidence, fix));
            if !self.uses_traffic_port() {
                // The server on that port may have other settings.
                return found;
            }
        }
        let (fail_status, components) = match allswell.path_report(self.path()) {
            PathReport::Verdict { fail_status, components } => (Some(fail_status), components),
            PathReport::NeverFails(why) => {
                found.push(self.contradiction(
                    "path_never_fails",
                    format!("The path `{}` does not report whether the app's dependencies work", excerpt(self.path())),
                    why.to_owned(),
                    "Set HealthCheckPath to /health or /readyz.".to_owned(),
                ));
                (None, Vec::new())
            }
            PathReport::Unknown => {
                found.push(self.contradiction(
                    "path_unknown",
                    format!("allswell has no path `{}`", excerpt(self.path())),
                    "no path, group or component has this name, so allswell returns 404".to_owned(),
                    "Set HealthCheckPath to /health or /readyz.".to_owned(),
                ));
                (None, Vec::new())
            }
        };
        if self.timeout() <= allswell.deadline {
            found.push(self.contradiction(
                "deadline_above_timeout",
                "allswell may respond after the load balancer's timeout".to_owned(),
                format!("server.deadline is {}, the health check's timeout {}", TimeSpan(allswell.deadline), TimeSpan(self.timeout())),
                "Raise HealthCheckTimeoutSeconds, or lower `server.deadline`.".to_owned(),
            ));
        }
        if let (Ok(codes), false) = (self.success_codes(), self.is_grpc()) {
            let has_http_code = (200..=599).any(|code| codes.contains(code));
            if has_http_code && !codes.contains(200) {
                found.push(self.contradiction(
                    "matcher_never_matches",
                    "No response of allswell's is ever healthy: it returns 200 when all checks pass".to_owned(),
                    format!("success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            } else if has_http_code && !codes.contains(allswell.warn_status) {
                found.push(self.contradiction(
                    "matcher_misses_warnings",
                    "A warning makes the target unhealthy".to_owned(),
                    format!("server.warn_status is {}, success codes {codes}", allswell.warn_status),
                    format!("Add {} to the matcher, or leave `server.warn_status` at 200.", allswell.warn_status),
                ));
            }
            if let Some(status) = fail_status.filter(|status| codes.contains(*status)) {
                found.push(self.contradiction(
                    "matcher_always_matches",
                    "A failure counts as healthy: no target ever becomes unhealthy".to_owned(),
                    format!("allswell returns {status} on failure, success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            }
        }
        found.extend(self.time_contradictions(allswell, drain, components));
        found
    }

    /// Contradictions between times.
    fn time_contradictions(&self, allswell: &AllswellSettings, drain: Duration, components: Vec<(&CheckName, &Policy)>) -> Vec<Finding> {
        let mut found = Vec::new();
        if allswell.drain < drain {
            found.push(self.warning(
                "drain_too_short",
                "Unless the target is deregistered first, allswell exits before the load balancer notices the drain",
                &format!("server.drain is {}; the load balancer notices within {}", TimeSpan(allswell.drain), TimeSpan(drain)),
                &format!("Set `server.drain = \"{}s\"`, or deregister the target before you stop it.", drain.as_secs_f64().ceil()),
            ));
        }
        if let Some(delay) = self.cut_off_after().filter(|delay| *delay < allswell.drain) {
            found.push(self.contradiction(
                "deregistration_below_drain",
                "The load balancer cuts off requests while the target is still draining".to_owned(),
                format!("deregistration delay {}, server.drain {}", TimeSpan(delay), TimeSpan(allswell.drain)),
                format!("Set deregistration_delay.timeout_seconds to at least {}.", allswell.drain.as_secs_f64().ceil()),
            ));
        }
        // A probe's result is reported for an interval, which may be longer than the unhealthy threshold takes.
        let too_fast = components.into_iter().find(|(_, policy)| {
            policy.fall == 1 && policy.hold.is_zero() && policy.longest_interval() > self.interval() * self.unhealthy().saturating_sub(1)
        });
        if let Some((name, policy)) = too_fast.filter(|_| self.unhealthy() > 1) {
            found.push(self.contradiction(
                "one_probe_takes_it_out",
                format!("One failed probe of `{name}` makes the target unhealthy, despite an unhealthy threshold of {}", self.unhealthy()),
                format!(
                    "a probe's result is reported for {}; the load balancer needs {} failed polls, one every {}",
                    TimeSpan(policy.interval),
                    self.unhealthy(),
                    TimeSpan(self.interval())
                ),
                format!("Set `fall = 2` for `{name}` or in [defaults]."),
            ));
        }
        found
    }

    pub(super) fn contradiction(&self, code: &'static str, title: String, evidence: String, fix: String) -> Finding {
        Finding { code, failing: true, clients: vec![self.name.clone()], title, evidence, fix: vec![fix] }
    }

    pub(super) fn warning(&self, code: &'static str, title: &str, evidence: &str, fix: &str) -> Finding {
        Finding { failing: false, ..self.contradiction(code, title.to_owned(), evidence.to_owned(), fix.to_owned()) }
    }
}
