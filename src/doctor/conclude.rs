//! What each client makes of an answer, in the words in which it is told by that client.

use super::{
    Client,
    answer::Answer,
    http2,
    poll::{Poll, Polled, Step},
};
use crate::pollers::{HostHeader, PollerKind, RedirectRule};
use allswell_checks::contract::{FailureClass, printable};
use hyper::{StatusCode, header::CONTENT_TYPE};
use url::Position;

/// A poll, what came of it, and what the client makes of that.
pub struct Seen {
    /// Who polled.
    pub client: Client,
    pub(super) poll: Poll,
    pub(super) polled: Polled,
    /// Whether it sends traffic.
    pub content: bool,
    /// What it says, where an operator looks.
    pub says: String,
}

/// Envoy takes this header, of whatever value, for a failure: <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>.
const ENVOY_FAILS: &str = "x-envoy-immediate-health-check-fail";

impl Seen {
    pub(super) fn new(client: Client, poll: Poll, polled: Polled) -> Self {
        let framed = !client.profile.framed || polled.answer.as_ref().is_none_or(|answer| answer.framed);
        let told_to_fail = client.kind == PollerKind::Envoy && envoy_fails(&polled);
        // It takes the first status that it reads for the last.
        let announced = polled.informational.filter(|_| client.kind == PollerKind::Haproxy);
        let content = polled.is_good(&client.profile) && framed && !told_to_fail && announced.is_none();
        let says = says(client.kind, &poll, &polled, content, framed);
        Self { client, poll, polled, content, says }
    }

    /// What was sent, in a few words.
    #[must_use]
    pub fn asked(&self) -> String {
        let method = if self.client.profile.grpc { "gRPC" } else { self.client.profile.method };
        match self.host() {
            Some(host) => {
                let whose = match self.client.profile.host {
                    HostHeader::Balancer => " (as if a node's)",
                    HostHeader::Cluster => " (as if the cluster's)",
                    HostHeader::Absent | HostHeader::Target | HostHeader::Url => "",
                };
                format!("{method}, Host {host}{whose}")
            }
            None => format!("{method}, HTTP/1.0 without a Host"),
        }
    }

    /// The path that was asked for, where the client has one of its own.
    #[must_use]
    pub fn path(&self) -> &str {
        self.poll.url.path()
    }

    /// Path and query, as they were asked for.
    pub(super) fn asked_for(&self) -> &str {
        &self.poll.url[Position::BeforePath..Position::AfterQuery]
    }

    /// The `Host` that was sent.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.poll.host.as_ref().and_then(|host| host.to_str().ok())
    }

    /// What came back, in a few words: the way over redirects, and the last answer or what kept it from coming.
    #[must_use]
    pub fn got(&self) -> String {
        let hop = |(status, to): (u16, String)| format!("{status} to {to}, ");
        let end = match (&self.polled.trouble, &self.polled.answer) {
            (None, Some(Answer { grpc: Some(code), .. })) => format!("grpc-status {code} {}", http2::name(*code)),
            (None, Some(answer)) => {
                let to = answer.location().map_or_else(String::new, |location| format!(" to {}", shown(location)));
                format!("{}{to}", answered(answer.status))
            }
            (Some(trouble), Some(answer)) if self.polled.step == Step::Body => {
                format!("{}, but {}", answered(answer.status), trouble.message())
            }
            (Some(trouble), _) => trouble.message().to_owned(),
            (None, None) => "nothing".to_owned(),
        };
        let hops: Vec<String> = self.followed().map(hop).collect();
        match &hops[..] {
            // Who goes round and round is not followed in writing.
            [first, second, _, _, ..] => format!("{first}{second}and so on, {} redirects; {end}", hops.len()),
            few => format!("{}{end}", few.concat()),
        }
    }

    /// The same, and how its body begins, where that is text.
    pub(super) fn told(&self) -> String {
        let body = self.polled.answer.as_ref().filter(|answer| {
            let kind = answer.header(CONTENT_TYPE).unwrap_or_default();
            kind.starts_with("text/plain") || kind.contains("json")
        });
        let body = body.map(|answer| shown(String::from_utf8_lossy(&answer.body).trim())).filter(|body| !body.is_empty());
        body.map_or_else(|| self.got(), |body| format!("{}: {body}", self.got()))
    }

    /// The HTTP status of the last answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.polled.answer.as_ref().map(|answer| answer.status.as_u16())
    }

    /// How long it took, in milliseconds.
    #[must_use]
    pub fn took_ms(&self) -> f64 {
        allswell_checks::contract::milliseconds(self.polled.took)
    }

    /// Where it was redirected to, and followed.
    pub fn followed(&self) -> impl Iterator<Item = (u16, String)> {
        self.polled.hops.iter().map(|hop| (hop.status.as_u16(), shown(hop.to.as_str())))
    }
}

pub(super) fn envoy_fails(polled: &Polled) -> bool {
    polled.answer.as_ref().is_some_and(|answer| answer.headers.contains_key(ENVOY_FAILS))
}

/// A status and its name.
pub(super) fn answered(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}

/// Somebody else's text, on one line and short.
pub(super) fn shown(text: &str) -> String {
    const LENGTH: usize = 120;
    let text = printable(text);
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn says(kind: PollerKind, poll: &Poll, polled: &Polled, content: bool, framed: bool) -> String {
    let status = polled.status();
    let code = polled.code().unwrap_or_default();
    let timed_out = polled.trouble.as_ref().is_some_and(|trouble| trouble.class() == FailureClass::Timeout);
    let trouble = polled.trouble.as_ref().map_or("", |trouble| trouble.message());
    match (kind, status, content) {
        (PollerKind::Alb | PollerKind::Nlb | PollerKind::Envoy, _, true) => "healthy".to_owned(),
        (PollerKind::Alb, Some(_), false) => {
            format!("unhealthy, Target.ResponseCodeMismatch: Health checks failed with these codes: [{code}]")
        }
        (PollerKind::Alb, None, _) if timed_out => "unhealthy, Target.Timeout: Request timed out".to_owned(),
        // An NLB knows no other reason.
        (PollerKind::Alb | PollerKind::Nlb, ..) => "unhealthy, Target.FailedHealthChecks: Health checks failed".to_owned(),
        (PollerKind::ClassicElb, _, true) => "InService".to_owned(),
        (PollerKind::ClassicElb, Some(status), _) if !framed && poll.profile.success.contains(status.as_u16()) => {
            "OutOfService: the body has no Content-Length and is not chunked".to_owned()
        }
        (PollerKind::ClassicElb, ..) => {
            "OutOfService: Instance has failed at least the UnhealthyThreshold number of health checks consecutively.".to_owned()
        }
        (PollerKind::Route53, Some(status), _) => {
            format!("{}: HTTP Status Code {}", if content { "Success" } else { "Failure" }, answered(status))
        }
        (PollerKind::Route53, None, _) => format!("Failure: {trouble}"),
        (PollerKind::Kubelet, Some(status), true) if status.is_redirection() && poll.profile.redirects == RedirectRule::WithinHost => {
            "success, with ProbeWarning: Probe terminated redirects".to_owned()
        }
        (PollerKind::Kubelet, _, true) => "success".to_owned(),
        (PollerKind::Kubelet, Some(_), false) => format!("HTTP probe failed with statuscode: {code}"),
        (PollerKind::Kubelet, None, _) if timed_out && polled.step == Step::Body => {
            format!(
                "Get \"{}\": context deadline exceeded (Client.Timeout or context cancellation while reading body)",
                shown(poll.url.as_str())
            )
        }
        (PollerKind::Kubelet, None, _) if timed_out => {
            format!("Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)", shown(poll.url.as_str()))
        }
        (PollerKind::Kubelet, None, _) => format!("Get \"{}\": {trouble}", shown(poll.url.as_str())),
        (PollerKind::Haproxy, Some(_), false) if polled.informational.is_some() => {
            format!("DOWN, L7STS/{}: Layer7 wrong status", polled.informational.unwrap_or_default())
        }
        (PollerKind::Haproxy, Some(_), true) => format!("UP, L7OK/{code}"),
        (PollerKind::Haproxy, Some(_), false) => format!("DOWN, L7STS/{code}: Layer7 wrong status"),
        (PollerKind::Haproxy, None, _) => format!("DOWN, {}", haproxy(polled, timed_out)),
        (PollerKind::Envoy, Some(_), false) if envoy_fails(polled) => format!("/failed_active_hc, at once: {ENVOY_FAILS} is set"),
        (PollerKind::Envoy, Some(_), false) => {
            "/failed_active_hc, at once: the threshold does not count for a status that is not expected".to_owned()
        }
        (PollerKind::Envoy, None, _) => "/failed_active_hc, once unhealthy_threshold polls in a row ended so".to_owned(),
        (PollerKind::Consul, Some(StatusCode::TOO_MANY_REQUESTS), true) => "warning".to_owned(),
        (PollerKind::Consul, _, true) => "passing".to_owned(),
        (PollerKind::Consul, Some(status), false) => format!("critical: HTTP GET {}: {}", shown(poll.url.as_str()), answered(status)),
        (PollerKind::Consul, None, _) => format!("critical: Get \"{}\": {trouble}", shown(poll.url.as_str())),
    }
}

/// The words of its statistics page: <https://docs.haproxy.org/2.6/management.html#9.1>, field `check_status`.
fn haproxy(polled: &Polled, timed_out: bool) -> &'static str {
    match (polled.step, timed_out) {
        (Step::Connect, true) => "L4TOUT: Layer4 timeout",
        (Step::Connect, false) => "L4CON: Layer4 connection problem",
        (Step::Handshake, true) => "L6TOUT: Layer6 timeout",
        (Step::Handshake, false) => "L6RSP: Layer6 invalid response",
        (_, false) if polled.trouble.as_ref().is_some_and(|trouble| trouble.message() == "connection reset") => "SOCKERR: Socket error",
        (_, true) => "L7TOUT: Layer7 timeout",
        (_, false) => "L7RSP: Layer7 invalid response",
    }
}
