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
                format!("timeout {timeout}, interval {interval}: a poll begins before the last one is known"),
                format!("Set HealthCheckTimeoutSeconds below {}.", self.interval().as_secs()),
            ));
        }
        let codes = self.success().ok().filter(|_| self.is_http() && !self.is_grpc());
        if codes.as_ref().is_some_and(|codes| !(200..=599).any(|code| codes.contains(code))) {
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
        if let (Some(asked), Some(port)) = (self.health_port(), own.port)
            && asked != port
        {
            let (evidence, mend) = if self.asks_at_traffic_port() {
                (
                    format!("targets are registered at {asked} by default, allswell listens on {port}"),
                    "Set HealthCheckPort to allswell's port, unless targets are registered at it or a port mapping lies between them.",
                )
            } else {
                (
                    format!("they go to {asked}, allswell listens on {port}"),
                    "Set HealthCheckPort to allswell's port, unless a port mapping lies between them.",
                )
            };
            found.push(self.caution("other_port", "Its health checks may not go to the port on which allswell listens", &evidence, mend));
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
                    format!("`{}` is no verdict of what the app needs", shown(self.path())),
                    why.to_owned(),
                    "Set HealthCheckPath to /health or /readyz.".to_owned(),
                ));
                (None, Vec::new())
            }
            Meant::Unknown => {
                found.push(self.contradiction(
                    "path_unknown",
                    format!("allswell has no path `{}`", shown(self.path())),
                    "there is no such path, group or component, so it is answered with 404".to_owned(),
                    "Set HealthCheckPath to /health or /readyz.".to_owned(),
                ));
                (None, Vec::new())
            }
        };
        if self.timeout() <= own.deadline {
            found.push(self.contradiction(
                "deadline_above_timeout",
                "allswell may answer later than the balancer waits".to_owned(),
                format!("server.deadline is {}, the health check's timeout {}", TimeSpan(own.deadline), TimeSpan(self.timeout())),
                "Raise HealthCheckTimeoutSeconds, or lower `server.deadline`.".to_owned(),
            ));
        }
        if let (Ok(codes), false) = (self.success(), self.is_grpc()) {
            let some = (200..=599).any(|code| codes.contains(code));
            if some && !codes.contains(200) {
                found.push(self.contradiction(
                    "matcher_never_matches",
                    "No answer of allswell's is ever good: it answers 200 when all is well".to_owned(),
                    format!("success codes {codes}"),
                    "Set the matcher's HttpCode to 200.".to_owned(),
                ));
            } else if some && !codes.contains(own.warn_status) {
                found.push(self.contradiction(
                    "matcher_misses_warnings",
                    "A warning takes the machine out".to_owned(),
                    format!("server.warn_status is {}, success codes {codes}", own.warn_status),
                    format!("Add {} to the matcher, or leave `server.warn_status` at 200.", own.warn_status),
                ));
            }
            if let Some(status) = fail_status.filter(|status| codes.contains(*status)) {
                found.push(self.contradiction(
                    "matcher_always_matches",
                    "A failure is taken for good: no target is ever unhealthy".to_owned(),
                    format!("allswell answers {status} then, success codes {codes}"),
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
                "Unless the target is deregistered first, allswell ends before the balancer has noticed that it drains",
                &format!("server.drain is {}; it is noticed within {}", TimeSpan(own.drain), TimeSpan(drain)),
                &format!("Set `server.drain = \"{}s\"`, or deregister the target before it is told to end.", drain.as_secs_f64().ceil()),
            ));
        }
        if let Some(delay) = self.deregistration_delay().filter(|delay| *delay < own.drain) {
            found.push(self.contradiction(
                "deregistration_below_drain",
                "The balancer cuts off requests while the target still drains".to_owned(),
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
                format!("One failed probe of `{name}` takes the machine out, in spite of an unhealthy threshold of {}", self.unhealthy()),
                format!(
                    "a result stands for {}, and it takes {} polls every {}",
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
