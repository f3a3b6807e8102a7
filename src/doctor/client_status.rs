//! What each client shows to an operator after a poll, in its own words.

use super::{
    poll::{PollOutcome, PollStep},
    result::{ClientResult, ENVOY_FAIL_HEADER},
    text::{excerpt, status_line},
};
use crate::pollers::{PollerKind, RedirectRule};
use allswell_checks::contract::{FailureClass, FailureDetail};
use hyper::StatusCode;

/// The client's words for the result of a poll.
pub(super) fn client_status(result: &ClientResult) -> String {
    let ClientResult { client, request, outcome, is_healthy, .. } = result;
    let status = outcome.status();
    let code = outcome.code().unwrap_or_default();
    let timed_out = outcome.failure.as_ref().is_some_and(|failure| failure.class() == FailureClass::Timeout);
    let message = outcome.failure.as_ref().map_or("", |failure| failure.message());
    let url = excerpt(request.url.as_str());
    match (client.poller, status, *is_healthy) {
        (PollerKind::Alb | PollerKind::Nlb | PollerKind::Envoy, _, true) => "healthy".to_owned(),
        (PollerKind::Alb, Some(_), false) => {
            format!("unhealthy, Target.ResponseCodeMismatch: Health checks failed with these codes: [{code}]")
        }
        (PollerKind::Alb, None, _) if timed_out => "unhealthy, Target.Timeout: Request timed out".to_owned(),
        // An NLB has no other reason code.
        (PollerKind::Alb | PollerKind::Nlb, ..) => "unhealthy, Target.FailedHealthChecks: Health checks failed".to_owned(),
        (PollerKind::ClassicElb, _, true) => "InService".to_owned(),
        (PollerKind::ClassicElb, Some(status), _) if !result.has_required_length() && client.profile.success.contains(status.as_u16()) => {
            "OutOfService: the body has no Content-Length and is not chunked".to_owned()
        }
        (PollerKind::ClassicElb, ..) => {
            "OutOfService: Instance has failed at least the UnhealthyThreshold number of health checks consecutively.".to_owned()
        }
        (PollerKind::Route53, Some(status), _) => {
            format!("{}: HTTP Status Code {}", if *is_healthy { "Success" } else { "Failure" }, status_line(status))
        }
        (PollerKind::Route53, None, _) => format!("Failure: {message}"),
        (PollerKind::Kubelet, Some(status), true) if status.is_redirection() && client.profile.redirects == RedirectRule::WithinHost => {
            "success, with ProbeWarning: Probe terminated redirects".to_owned()
        }
        (PollerKind::Kubelet, _, true) => "success".to_owned(),
        (PollerKind::Kubelet, Some(_), false) => format!("HTTP probe failed with statuscode: {code}"),
        (PollerKind::Kubelet, None, _) if timed_out && outcome.step == PollStep::Body => {
            format!("Get \"{url}\": context deadline exceeded (Client.Timeout or context cancellation while reading body)")
        }
        (PollerKind::Kubelet, None, _) if timed_out => {
            format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        }
        (PollerKind::Kubelet, None, _) => format!("Get \"{url}\": {message}"),
        (PollerKind::Haproxy, Some(_), false) if outcome.informational.is_some() => {
            format!("DOWN, L7STS/{}: Layer7 wrong status", outcome.informational.unwrap_or_default())
        }
        (PollerKind::Haproxy, Some(_), true) => format!("UP, L7OK/{code}"),
        (PollerKind::Haproxy, Some(_), false) => format!("DOWN, L7STS/{code}: Layer7 wrong status"),
        (PollerKind::Haproxy, None, _) => format!("DOWN, {}", haproxy_check_status(outcome, timed_out)),
        (PollerKind::Envoy, Some(_), false) if result.envoy_must_fail() => {
            format!("/failed_active_hc, immediately: {ENVOY_FAIL_HEADER} is set")
        }
        (PollerKind::Envoy, Some(_), false) => {
            "/failed_active_hc, immediately: unhealthy_threshold does not apply to an unexpected status".to_owned()
        }
        (PollerKind::Envoy, None, _) => "/failed_active_hc, after unhealthy_threshold such polls in a row".to_owned(),
        (PollerKind::Consul, Some(StatusCode::TOO_MANY_REQUESTS), true) => "warning".to_owned(),
        (PollerKind::Consul, _, true) => "passing".to_owned(),
        (PollerKind::Consul, Some(status), false) => format!("critical: HTTP GET {url}: {}", status_line(status)),
        (PollerKind::Consul, None, _) => format!("critical: Get \"{url}\": {message}"),
    }
}

/// The field `check_status` of `HAProxy`'s statistics page: <https://docs.haproxy.org/2.6/management.html#9.1>.
fn haproxy_check_status(outcome: &PollOutcome, timed_out: bool) -> &'static str {
    let is_reset = outcome.failure.as_ref().is_some_and(|failure| failure.detail() == Some(FailureDetail::Reset));
    match (outcome.step, timed_out) {
        (PollStep::Connect, true) => "L4TOUT: Layer4 timeout",
        (PollStep::Connect, false) => "L4CON: Layer4 connection problem",
        (PollStep::Handshake, true) => "L6TOUT: Layer6 timeout",
        (PollStep::Handshake, false) => "L6RSP: Layer6 invalid response",
        (_, false) if is_reset => "SOCKERR: Socket error",
        (_, true) => "L7TOUT: Layer7 timeout",
        (_, false) => "L7RSP: Layer7 invalid response",
    }
}
