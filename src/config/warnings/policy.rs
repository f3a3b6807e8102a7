//! Warns about policies that are valid but probably not intended: probes that are a load on the backend, and outages that are noticed late.

use crate::{component::Policy, kinds::issue::ConfigIssue};
use allswell_checks::contract::TimeSpan;
use std::time::Duration;

/// Below it, every instance opens connections and asks questions more often than any poller asks.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// From it on, an outage stays unnoticed for longer than most people expect of a health check.
const LONG_INTERVAL: Duration = Duration::from_secs(3600);

/// The longest time that `fall` or `rise` usually delays a verdict.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// The warnings about a policy that concern a key for which `is_own` holds.
pub(in crate::config) fn warnings(policy: &Policy, is_own: &dyn Fn(&str) -> bool) -> Vec<ConfigIssue> {
    let Policy { interval, timeout, .. } = *policy;
    if interval.is_zero() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if interval < MIN_INTERVAL && is_own("interval") {
        let probes = 1000 / interval.as_millis().max(1);
        let message = format!("every instance probes the backend {probes} times a second, which is a load on it: write \"1s\" or more");
        found.push(ConfigIssue::new(["interval"], message));
    }
    if interval >= LONG_INTERVAL && is_own("interval") {
        let message = format!(
            "an outage is noticed up to {} later, and until {} after a probe its result counts as up to date: write a shorter interval",
            shown(policy.worst_detection()),
            shown(policy.max_age())
        );
        found.push(ConfigIssue::new(["interval"], message));
    }
    if timeout >= interval && (is_own("timeout") || is_own("interval")) {
        let message = format!(
            "the timeout of {} is not below the interval of {}, so a slow backend is probed less often: shorten the timeout",
            TimeSpan(timeout),
            TimeSpan(interval)
        );
        found.push(ConfigIssue::new([if is_own("timeout") { "timeout" } else { "interval" }], message));
    }
    let delays = [("fall", policy.fall, "a failing backend is reported"), ("rise", policy.rise, "a backend that works again is reported")];
    for (key, count, what) in delays.into_iter().filter(|(key, ..)| is_own(key)) {
        let delay = interval.saturating_mul(count);
        if count > 1 && delay > MAX_DELAY {
            let message = format!("{what} only after {count} probes, which take {}: write a smaller number", shown(delay));
            found.push(ConfigIssue::new([key], message));
        }
    }
    found
}

fn shown(duration: Duration) -> String {
    TimeSpan(duration.min(TimeSpan::MAX)).whole_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(policy: &Policy) -> Vec<String> {
        warnings(policy, &|_| true).into_iter().map(|found| format!("{}: {}", found.path.join("."), found.issue)).collect()
    }

    #[test]
    fn usual_policies_are_not_warned_of() {
        let policy = Policy::default();
        for policy in
            [policy.clone(), policy.clone().with_interval(Duration::from_secs(300)).with_fall(2), policy.with_fall(10).with_rise(5)]
        {
            assert_eq!(warned(&policy), [""; 0]);
        }
    }

    #[test]
    fn probes_that_are_a_load_and_late_verdicts_are_warned_of() {
        let policy = Policy::default();
        let short = warned(&policy.clone().with_interval(Duration::from_millis(100)).with_timeout(Duration::from_millis(50)));
        assert_eq!(short, ["interval: every instance probes the backend 10 times a second, which is a load on it: write \"1s\" or more"]);
        let long = warned(&policy.clone().with_interval(Duration::from_secs(7200)));
        assert_eq!(
            long,
            [
                "interval: an outage is noticed up to 2h 12m 2s later, and until 4h 2s after a probe its result counts as up to date: write a shorter interval"
            ]
        );
        let late = warned(&policy.with_fall(1000));
        assert_eq!(late, ["fall: a failing backend is reported only after 1000 probes, which take 2h 46m 40s: write a smaller number"]);
    }

    #[test]
    fn a_key_of_the_defaults_is_not_warned_of_again_for_each_check() {
        let policy = Policy::default().with_interval(Duration::from_millis(100));
        assert_eq!(warnings(&policy, &|key| key == "fall"), []);
    }
}
