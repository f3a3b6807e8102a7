//! Settings of a target group that contradict each other, or allswell's own.

use super::{
    conclude::shown,
    finding::Finding,
    own::{Meant, Own},
    target_group::TargetGroup,
};
use crate::component::{CheckName, Policy};
use allswell_checks::contract::TimeSpan;
use std::time::Duration;

/// Out and back within this time is no state, but a flicker.
const FLAPPING: Duration = Duration::from_secs(10);

impl TargetGroup {
    /// All of it.
    pub(super) fn contradictions(&self, own: Option<&Own>, drain: Duration) -> Vec<Finding> {
        let mut found = self.own_contradictions();
        if let Some(own) = own.filter(|_| self.is_http()) {
            found.extend(self.against(own, drain));
        }
        found
    }

    /// What is odd whatever answers.
    fn own_contradictions(&self) -> Vec<Finding> {
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
        let codes = self.success().ok().filter(|_| self.is_http() && !self.is_grpc());
        if codes.as_ref().is_some_and(|codes| !(200..=599).any(|code| codes.contain(code))) {
            found.push(self.contradiction(
                "matcher_never_matches",
                "No response is ever healthy: the matcher contains no HTTP status code".to_owned(),
                codes.map_or_else(String::new, |codes| format!("success codes {codes}")),
                "Set the matcher's HttpCode to 200.".to_owned(),
            ));
        }
        if self.is_grpc() && self.path() == "/grpc.health.v1.Health/Check" {
            found.push(self.contradiction(
                "path_never_fails",
                "The gRPC call succeeds even if its response is NOT_SERVING, and the load balancer only evaluates the call's status".to_owned(),
                format!("HealthCheckPath {}, GrpcCode {}", self.path(), self.success().map_or_else(|error| error, |codes| codes.to_string())),
                "Leave HealthCheckPath and GrpcCode at their defaults, /AWS.ALB/healthcheck and 12: there, allswell returns 12 if it is healthy, and 14 if not.".to_owned(),
            ));
        }
        let round = self.interval() * self.unhealthy().max(self.healthy());
        if round <= FLAPPING {
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
            found.push(self.caution(
                "checks_disabled",
                "The target group's health checks are disabled",
                "HealthCheckEnabled is false",
                "Set HealthCheckEnabled to true.",
            ));
        } else if !self.is_http() {
            found.push(self.caution(
                "port_only",
                "The health checks only test whether the port accepts connections",
                "HealthCheckProtocol is not HTTP",
                "Set HealthCheckProtocol to HTTP and HealthCheckPath to /health: Network Load Balancers support this, too.",
            ));
        }
        found
    }

    /// What does not go together with allswell's configuration.
    fn against(&self, own: &Own, drain: Duration) -> Vec<Finding> {
        let mut found = Vec::new();
        if let (Some(asked), Some(port)) = (self.health_port(), own.port)
            && asked != port
        {
            let (evidence, mend) = if self.asks_at_traffic_port() {
                (
                    format!("the targets' default port is {asked}, allswell listens on {port}"),
                    "Set HealthCheckPort to allswell's port, unless the targets are registered with that port, or a port mapping or proxy leads to it.",
                )
            } else {
                (
                    format!("HealthCheckPort is {asked}, allswell listens on {port}"),
                    "Set HealthCheckPort to allswell's port, unless a port mapping or proxy leads to it.",
                )
            };
            found.push(self.caution("other_port", "The health checks may not reach the port that allswell listens on", &evidence, mend));
            if !self.asks_at_traffic_port() {
                // Whoever answers there has other settings.
                return found;
            }
        }
        let (fail_status, judged) = match self.meant_by(own) {
            Meant::Verdict(status, judged) => (Some(status), judged),
            Meant::Never(why) => {
                found.push(self.contradiction(
                    "path_never_fails",
                    format!("The path `{}` does not report whether the app's dependencies work", shown(self.path())),
                    why.to_owned(),
                    "Set HealthCheckPath to /health or /readyz.".to_owned(),
                ));
                (None, Vec::new())
            }
            Meant::Unknown => {
                found.push(self.contradiction(
                    "path_unknown",
                    format!("allswell has no path `{}`", shown(self.path())),
                    "no path, group or component has this name, so allswell returns 404".to_owned(),
                    "Set HealthCheckPath to /health or /readyz.".to_owned(),
                ));
                (None, Vec::new())
            }
        };
        if self.timeout() <= own.deadline {
            found.push(self.contradiction(
                "deadline_above_timeout",
                "allswell may respond after the load balancer's timeout".to_owned(),
                format!("server.deadline is {}, the health check's timeout {}", TimeSpan(own.deadline), TimeSpan(self.timeout())),
                "Raise HealthCheckTimeoutSeconds, or lower `server.deadline`.".to_owned(),
            ));
        }
        if let (Ok(codes), false) = (self.success(), self.is_grpc()) {
            let some = (200..=599).any(|code| codes.contain(code));
            if some && !codes.contain(200) {
                found.push(self.contradiction(
                    "matcher_never_matches",
                    "No response of allswell's is ever healthy: it returns 200 when all checks pass".to_owned(),
                    format!("success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            } else if some && !codes.contain(own.warn_status) {
                found.push(self.contradiction(
                    "matcher_misses_warnings",
                    "A warning makes the target unhealthy".to_owned(),
                    format!("server.warn_status is {}, success codes {codes}", own.warn_status),
                    format!("Add {} to the matcher, or leave `server.warn_status` at 200.", own.warn_status),
                ));
            }
            if let Some(status) = fail_status.filter(|status| codes.contain(*status)) {
                found.push(self.contradiction(
                    "matcher_always_matches",
                    "A failure counts as healthy: no target ever becomes unhealthy".to_owned(),
                    format!("allswell returns {status} on failure, success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            }
        }
        found.extend(self.against_times(own, drain, judged));
        found
    }

    /// What does not go together in time.
    fn against_times(&self, own: &Own, drain: Duration, judged: Vec<(&CheckName, &Policy)>) -> Vec<Finding> {
        let mut found = Vec::new();
        if own.drain < drain {
            found.push(self.caution(
                "drain_too_short",
                "Unless the target is deregistered first, allswell exits before the load balancer notices the drain",
                &format!("server.drain is {}; the load balancer notices within {}", TimeSpan(own.drain), TimeSpan(drain)),
                &format!("Set `server.drain = \"{}s\"`, or deregister the target before you stop it.", drain.as_secs_f64().ceil()),
            ));
        }
        if let Some(delay) = self.deregistration_delay().filter(|delay| *delay < own.drain) {
            found.push(self.contradiction(
                "deregistration_below_drain",
                "The load balancer cuts off requests while the target is still draining".to_owned(),
                format!("deregistration delay {}, server.drain {}", TimeSpan(delay), TimeSpan(own.drain)),
                format!("Set deregistration_delay.timeout_seconds to at least {}.", own.drain.as_secs_f64().ceil()),
            ));
        }
        // A result stands for an interval: does one failed probe last for as many polls as it takes?
        let hasty = judged.into_iter().find(|(_, policy)| {
            policy.fall == 1 && policy.hold.is_zero() && policy.longest_interval() > self.interval() * self.unhealthy().saturating_sub(1)
        });
        if let Some((name, policy)) = hasty.filter(|_| self.unhealthy() > 1) {
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

    fn meant_by<'a>(&self, own: &'a Own) -> Meant<'a> {
        own.meant(self.path())
    }

    fn contradiction(&self, code: &'static str, title: String, evidence: String, mend: String) -> Finding {
        Finding { code, failing: true, clients: vec![self.name.clone()], title, evidence, mend: vec![mend] }
    }

    fn caution(&self, code: &'static str, title: &str, evidence: &str, mend: &str) -> Finding {
        Finding { failing: false, ..self.contradiction(code, title.to_owned(), evidence.to_owned(), mend.to_owned()) }
    }
}
