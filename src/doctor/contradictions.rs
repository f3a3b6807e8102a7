//! Settings of a target group that contradict each other, or allswell's own.

use super::{finding::Finding, target_group::TargetGroup};
use crate::component::{CheckName, Policy};
use allswell_checks::contract::TimeSpan;
use std::{collections::BTreeMap, time::Duration};

/// What allswell itself is set to.
#[derive(Clone, Debug)]
pub struct Own {
    /// `server.listen`'s port.
    pub port: Option<u16>,
    /// `server.deadline`.
    pub deadline: Duration,
    /// `server.drain`.
    pub drain: Duration,
    /// `server.fail_status`.
    pub fail_status: u16,
    /// `server.warn_status`.
    pub warn_status: u16,
    /// Every component that is probed, and how.
    pub components: BTreeMap<CheckName, Policy>,
    /// The groups, each with its own status for `fail`, where it has one.
    pub groups: BTreeMap<CheckName, Option<u16>>,
}

impl Own {
    /// The components that count.
    pub(super) fn critical(&self) -> impl Iterator<Item = (&CheckName, &Policy)> {
        self.components.iter().filter(|(_, policy)| policy.critical && policy.enabled)
    }

    /// What a failure is answered with at a path, where it is one of ours.
    fn fail_status_at(&self, path: &str) -> Option<u16> {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let name = match path {
            "" | "/health" | "/healthz" => return Some(self.fail_status),
            "/readyz" => "ready",
            _ => path.strip_prefix("/health/")?,
        };
        let group = self.groups.iter().find(|(group, _)| group.as_str() == name);
        match group {
            Some((_, status)) => Some(status.unwrap_or(self.fail_status)),
            None => (name == "ready" || self.components.keys().any(|component| component.as_str() == name)).then_some(self.fail_status),
        }
    }

    /// Why a path of ours never fails, or always does.
    fn never_fails_at(&self, path: &str) -> Option<&'static str> {
        match path.split('?').next().unwrap_or_default().trim_end_matches('/') {
            "/livez" => Some("it fails only when allswell itself does, and is never drained"),
            "/metrics" => Some("it is always answered with 200"),
            "/startupz" => Some("it is well for ever once all was well, and is never drained"),
            _ if self.fail_status_at(path).is_none() => Some("there is no such path, group or component, so it is answered with 404"),
            _ => None,
        }
    }
}

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
        if self.timeout() >= self.interval() {
            found.push(self.contradiction(
                "timeout_above_interval",
                "The health check's timeout is not below its interval".to_owned(),
                format!("timeout {timeout}, interval {interval}: a poll begins before the last one is known"),
                format!("Set HealthCheckTimeoutSeconds below {}.", self.interval().as_secs()),
            ));
        }
        let codes = self.success().ok().filter(|_| self.is_http() && !self.is_grpc());
        if codes.as_ref().is_some_and(|codes| !(200..=599).any(|code| codes.contain(code))) {
            found.push(self.contradiction(
                "matcher_never_matches",
                "No answer is ever good: the matcher has no status of HTTP".to_owned(),
                codes.map_or_else(String::new, |codes| format!("success codes {codes}")),
                "Set the matcher's HttpCode to 200.".to_owned(),
            ));
        }
        if self.is_grpc() && self.path() == "/grpc.health.v1.Health/Check" {
            found.push(self.contradiction(
                "path_never_fails",
                "The call succeeds also when its answer is NOT_SERVING, and a balancer looks at nothing but the call's status".to_owned(),
                format!("HealthCheckPath {}, GrpcCode {}", self.path(), self.success().map_or_else(|error| error, |codes| codes.to_string())),
                "Leave HealthCheckPath and GrpcCode at their defaults, /AWS.ALB/healthcheck and 12: allswell answers 12 there when all is well, and 14 when not.".to_owned(),
            ));
        }
        let round = self.interval() * self.unhealthy().max(self.healthy());
        if round <= FLAPPING {
            found.push(self.contradiction(
                "thresholds_flap",
                "The thresholds let a target go out and come back with every hiccup".to_owned(),
                format!(
                    "out after {}, back after {}",
                    TimeSpan(self.interval() * self.unhealthy()),
                    TimeSpan(self.interval() * self.healthy())
                ),
                "Raise HealthyThresholdCount: to go out fast and come back slowly is stable.".to_owned(),
            ));
        }
        if self.health_check_enabled == Some(false) {
            found.push(self.caution(
                "checks_disabled",
                "Its health checks are switched off",
                "HealthCheckEnabled is false",
                "Switch them on.",
            ));
        } else if !self.is_http() {
            found.push(self.caution(
                "port_only",
                "Its health checks see no more than that somebody listens",
                "HealthCheckProtocol is not HTTP",
                "Set HealthCheckProtocol to HTTP and HealthCheckPath to /health: network load balancers take that, too.",
            ));
        }
        found
    }

    /// What does not go together with allswell's configuration.
    fn against(&self, own: &Own, drain: Duration) -> Vec<Finding> {
        let mut found = Vec::new();
        let fail_status = own.fail_status_at(self.path());
        if self.health_port().is_some() && own.port.is_some() && self.health_port() != own.port {
            found.push(self.caution(
                "other_port",
                "Its health checks do not go to the port on which allswell listens",
                &format!("they go to {}, allswell listens on {}", self.health_port().unwrap_or_default(), own.port.unwrap_or_default()),
                "Set HealthCheckPort to allswell's port, unless a container's port mapping lies between them.",
            ));
        }
        if let Some(why) = own.never_fails_at(self.path()) {
            found.push(self.contradiction(
                "path_never_fails",
                format!("`{}` is no verdict of what the app needs", self.path()),
                why.to_owned(),
                "Set HealthCheckPath to /health or /readyz.".to_owned(),
            ));
        }
        if self.timeout() <= own.deadline {
            found.push(self.contradiction(
                "deadline_above_timeout",
                "allswell may answer later than the balancer waits".to_owned(),
                format!("server.deadline is {}, the health check's timeout {}", TimeSpan(own.deadline), TimeSpan(self.timeout())),
                "Raise HealthCheckTimeoutSeconds, or lower `server.deadline`.".to_owned(),
            ));
        }
        if let (Ok(codes), false) = (self.success(), self.is_grpc()) {
            if !codes.contain(200) {
                found.push(self.contradiction(
                    "matcher_never_matches",
                    "No answer of allswell's is ever good: it answers 200 when all is well".to_owned(),
                    format!("success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            } else if !codes.contain(own.warn_status) {
                found.push(self.contradiction(
                    "matcher_misses_warnings",
                    "A warning takes the machine out".to_owned(),
                    format!("server.warn_status is {}, success codes {codes}", own.warn_status),
                    format!("Add {} to the matcher, or leave `server.warn_status` at 200.", own.warn_status),
                ));
            }
            if let Some(status) = fail_status.filter(|status| codes.contain(*status)) {
                found.push(self.contradiction(
                    "matcher_always_matches",
                    "A failure is taken for good: no target is ever unhealthy".to_owned(),
                    format!("allswell answers {status} then, success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            }
        }
        if own.drain < drain {
            found.push(self.caution(
                "drain_too_short",
                "Unless the target is deregistered first, allswell ends before the balancer has noticed that it drains",
                &format!("server.drain is {}; it is noticed within {}", TimeSpan(own.drain), TimeSpan(drain)),
                &format!("Set `server.drain = \"{}s\"`, or deregister the target before it is told to end.", drain.as_secs_f64().ceil()),
            ));
        }
        if self.deregistration_delay() < own.drain {
            found.push(self.contradiction(
                "deregistration_below_drain",
                "The balancer cuts off requests while the target still drains".to_owned(),
                format!("deregistration delay {}, server.drain {}", TimeSpan(self.deregistration_delay()), TimeSpan(own.drain)),
                format!("Set deregistration_delay.timeout_seconds to at least {}.", own.drain.as_secs_f64().ceil()),
            ));
        }
        // A result stands for an interval: does one failed probe last for as many polls as it takes?
        let hasty = own.critical().find(|(_, policy)| {
            let stands = policy.interval.mul_f64(1.0 + policy.jitter);
            policy.fall == 1 && policy.hold.is_zero() && stands > self.interval() * self.unhealthy().saturating_sub(1)
        });
        if let Some((name, policy)) = hasty.filter(|_| self.unhealthy() > 1) {
            found.push(self.contradiction(
                "one_probe_takes_it_out",
                format!("One failed probe of `{name}` takes the machine out, in spite of an unhealthy threshold of {}", self.unhealthy()),
                format!(
                    "a result stands for {}, and it takes {} polls every {}",
                    TimeSpan(policy.interval),
                    self.unhealthy(),
                    TimeSpan(self.interval())
                ),
                format!("Set `fall = 2` for `{name}` or in [defaults], or its `interval` below {}.", TimeSpan(self.interval())),
            ));
        }
        found
    }

    fn contradiction(&self, code: &'static str, title: String, evidence: String, mend: String) -> Finding {
        Finding { code, failing: true, clients: vec![self.name.clone()], title, evidence, mend: vec![mend] }
    }

    fn caution(&self, code: &'static str, title: &str, evidence: &str, mend: &str) -> Finding {
        Finding { failing: false, ..self.contradiction(code, title.to_owned(), evidence.to_owned(), mend.to_owned()) }
    }
}
