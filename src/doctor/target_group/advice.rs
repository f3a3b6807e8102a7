//! What the settings of a target group amount to: worst-case times, alone and together with allswell's settings.

use super::settings::TargetGroup;
use crate::{
    component::Policy,
    doctor::{allswell_settings::AllswellSettings, finding::Finding, text::excerpt},
};
use allswell_checks::contract::TimeSpan;
use serde::Serialize;
use std::time::Duration;

/// What the settings of a target group amount to. Times are in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// The name of the target group.
    pub target_group: String,
    /// Its settings, in a line.
    pub settings: String,
    /// Worst-case time until a target that hangs or is gone becomes unhealthy.
    pub detection_ms: u64,
    /// Worst-case time until a target becomes unhealthy because of a component that counts at the path: allswell's share and the load
    /// balancer's. Only if allswell's settings are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_detection_ms: Option<u64>,
    /// Worst-case time until a recovered target receives traffic again.
    pub recovery_ms: u64,
    /// How long a target must keep serving after it started to fail its health check, until it receives no new requests.
    pub drain_ms: u64,
    /// How long the load balancer lets open requests end after a target is deregistered, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_delay_ms: Option<u64>,
    /// Settings that contradict each other, and warnings.
    pub findings: Vec<Finding>,
}

impl TargetGroup {
    /// What the settings amount to, together with those of the allswell that the group polls, if they are known.
    #[must_use]
    pub fn advise(&self, allswell: Option<&AllswellSettings>) -> Advice {
        let response_by = allswell.map_or_else(|| self.timeout(), |allswell| allswell.deadline.min(self.timeout()));
        let unhealthy_after = self.interval() * self.unhealthy();
        let components = allswell.map(|allswell| allswell.components_of(self.path())).unwrap_or_default();
        let component_fails = components.iter().map(|(_, policy)| policy.worst_detection()).max();
        let component_recovers = components.iter().map(|(_, policy)| worst_recovery(policy)).max().unwrap_or_default();
        let drain = unhealthy_after + response_by;
        Advice {
            target_group: self.name.clone(),
            settings: self.summary(),
            detection_ms: milliseconds(unhealthy_after + self.timeout()),
            component_detection_ms: component_fails.map(|fails| milliseconds(fails.saturating_add(drain))),
            recovery_ms: milliseconds(component_recovers.saturating_add(self.interval() * self.healthy() + response_by)),
            drain_ms: milliseconds(drain),
            deregistration_delay_ms: self.deregistration_delay().map(milliseconds),
            findings: self.contradictions(allswell, drain),
        }
    }

    fn summary(&self) -> String {
        let protocol = excerpt(self.health_protocol());
        let poll = if self.is_http() { format!("{protocol} {}", excerpt(self.path())) } else { protocol };
        let success = if self.is_http() {
            format!(", success codes {}", self.success_codes().map_or_else(|error| error, |codes| codes.to_string()))
        } else {
            String::new()
        };
        format!(
            "{}: {poll} every {}, timeout {}, healthy after {}, unhealthy after {}{success}",
            self.poller(),
            TimeSpan(self.interval()),
            TimeSpan(self.timeout()),
            self.healthy(),
            self.unhealthy(),
        )
    }
}

/// Worst-case time until a component that works again passes again.
fn worst_recovery(policy: &Policy) -> Duration {
    policy.longest_interval().saturating_mul(policy.rise).saturating_add(policy.timeout)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
