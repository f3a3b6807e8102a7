//! The attributes of a target group that change what the targets receive, or when they are taken out.
//!
//! The pages of AWS list them for
//! [network](https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html) and
//! [application](https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html) load balancers. What only
//! distributes clients' traffic among healthy targets has no effect on health checks: stickiness, slow start, cross-zone balancing, the algorithm,
//! and the preservation of client addresses, because health checks come from the load balancer's own addresses.

use super::settings::TargetGroup;
use crate::doctor::{allswell_settings::AllswellSettings, finding::Finding};
use std::time::Duration;

impl TargetGroup {
    /// When the load balancer closes the connections of a target that is deregistered. A Network Load Balancer does not, unless that is configured.
    pub(super) fn cut_off_after(&self) -> Option<Duration> {
        let keeps_connections = self.is_network() && self.is_on("deregistration_delay.connection_termination.enabled") != Some(true);
        self.deregistration_delay().filter(|_| !keeps_connections)
    }

    /// What the attributes mean for the targets and for allswell, if its settings are known.
    pub(super) fn attribute_findings(&self, allswell: Option<&AllswellSettings>) -> Vec<Finding> {
        let mut found = Vec::new();
        found.extend(self.proxy_header_finding(allswell));
        if self.is_on("target_health_state.unhealthy.connection_termination.enabled") == Some(true) {
            found.push(self.warning(
                "unhealthy_cuts_off",
                "The load balancer closes all connections of a target that becomes unhealthy, also while it drains",
                "target_health_state.unhealthy.connection_termination.enabled is true",
                "Deregister a target before it drains, or set the attribute to false and \
                 target_health_state.unhealthy.draining_interval_seconds to the time that requests need.",
            ));
        }
        let minimum = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
        let (count, percentage) = (self.number(&format!("{minimum}.count")), self.number(&format!("{minimum}.percentage")));
        if count.is_some_and(|count| count > 1) || percentage.is_some() {
            let (count, percentage) =
                (count.unwrap_or(1), percentage.map_or_else(|| "off".to_owned(), |percentage| format!("{percentage}%")));
            found.push(self.warning(
                "fails_open",
                "With too few healthy targets, the unhealthy ones receive traffic as well",
                &format!("{minimum}: count {count}, percentage {percentage}"),
                "Let only components count that this target needs for itself: a dependency that all targets share makes them all unhealthy.",
            ));
        }
        if self.forwards_to_balancer() {
            found.push(self.warning(
                "target_is_balancer",
                "The targets are Application Load Balancers: these health checks do not reach the app unless the load balancer forwards them",
                "TargetType is alb",
                "Forward the health check path of the Application Load Balancer to the app, and check its own target groups as well.",
            ));
        }
        found
    }

    fn proxy_header_finding(&self, allswell: Option<&AllswellSettings>) -> Option<Finding> {
        const EVIDENCE: &str = "proxy_protocol_v2.enabled is true";
        if !self.sends_proxy_header() || !self.is_http() {
            return None;
        }
        match allswell {
            // The server on another port may be another one.
            Some(allswell) if !self.uses_traffic_port() && allswell.port.is_some() && self.health_port() != allswell.port => None,
            Some(allswell) if allswell.accepts_proxy_header => None,
            Some(_) => Some(self.contradiction(
                "proxy_header",
                "The load balancer sends the PROXY protocol's header, and allswell responds to it with 400".to_owned(),
                format!("{EVIDENCE}, server.proxy_protocol is \"off\""),
                "Set `server.proxy_protocol = \"accept\"`.".to_owned(),
            )),
            None => Some(self.warning(
                "proxy_header",
                "The health checks begin with the PROXY protocol's header, which the targets must accept",
                EVIDENCE,
                "allswell: set `server.proxy_protocol = \"accept\"`. Pass the URL of a target to find out whether it accepts the header.",
            )),
        }
    }
}
