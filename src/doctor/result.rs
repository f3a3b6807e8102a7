//! The result of a client's poll.

use super::{
    client::Client,
    http2,
    poll::{PollOutcome, PollRequest, PollStep},
    response::PollResponse,
    text::{excerpt, html_text, status_line, url_excerpt},
};
use crate::pollers::{HostHeader, PollerKind};
use hyper::header::CONTENT_TYPE;
use url::Position;

/// What a client sent, what it received, and what it concludes.
pub struct ClientResult {
    /// The client.
    pub client: Client,
    pub(super) request: PollRequest,
    pub(super) outcome: PollOutcome,
    /// Whether the client considers the target healthy after this poll.
    pub is_healthy: bool,
    /// What the client shows to an operator, in its own words.
    pub status: String,
}

/// Envoy fails a health check if the response has this header, with any value:
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>.
pub(super) const ENVOY_FAIL_HEADER: &str = "x-envoy-immediate-health-check-fail";

impl ClientResult {
    /// A result without the words of the client.
    pub(super) fn new(client: Client, request: PollRequest, outcome: PollOutcome) -> Self {
        let mut result = Self { client, request, outcome, is_healthy: false, status: String::new() };
        result.is_healthy = result.outcome.is_success(&result.client.profile)
            && result.has_required_length()
            && !result.envoy_must_fail()
            && result.unexpected_informational().is_none();
        result
    }

    /// What was sent, in a few words.
    #[must_use]
    pub fn sent(&self) -> String {
        let method = if self.client.profile.grpc { "gRPC" } else { self.client.profile.method };
        match self.host() {
            Some(host) => {
                let origin = match self.client.profile.host {
                    HostHeader::Balancer => " (a load balancer node's)",
                    HostHeader::Cluster => " (the cluster's name)",
                    HostHeader::Absent | HostHeader::Target | HostHeader::Url => "",
                };
                format!("{method}, Host {host}{origin}")
            }
            None => format!("{method}, HTTP/1.0 without a Host header"),
        }
    }

    /// The path that was polled.
    #[must_use]
    pub fn path(&self) -> &str {
        self.request.url.path()
    }

    /// The path and query that were polled.
    pub(super) fn path_and_query(&self) -> &str {
        &self.request.url[Position::BeforePath..Position::AfterQuery]
    }

    /// The Host header that was sent.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.request.host.as_ref().and_then(|host| host.to_str().ok())
    }

    /// What was received, in a few words: the redirects that were followed, and the last response or the failure.
    #[must_use]
    pub fn received(&self) -> String {
        let hop = |(status, to): (u16, String)| format!("{status} to {to}, ");
        let end = match (&self.outcome.failure, &self.outcome.response) {
            (None, Some(PollResponse { grpc_status: Some(code), .. })) => format!("grpc-status {code} {}", http2::status_name(*code)),
            (None, Some(response)) => {
                let to = response.location().map_or_else(String::new, |location| format!(" to {}", url_excerpt(location)));
                format!("{}{to}", status_line(response.status))
            }
            (Some(failure), Some(response)) if self.outcome.step == PollStep::Body => {
                format!("{}, but {}", status_line(response.status), failure.message())
            }
            (Some(failure), _) => failure.message().to_owned(),
            (None, None) => "no response".to_owned(),
        };
        let hops: Vec<String> = self.redirects().map(hop).collect();
        match &hops[..] {
            // A long chain is not printed in full.
            [first, second, _, _, ..] => format!("{first}{second}and so on, {} redirects; {end}", hops.len()),
            few => format!("{}{end}", few.concat()),
        }
    }

    /// What was received, and the beginning of the body if that is text, HTML or JSON, and says more than the status.
    pub(super) fn received_with_body(&self) -> String {
        let text = self.outcome.response.as_ref().and_then(|response| {
            let media_type = response.header(CONTENT_TYPE).unwrap_or_default();
            let body = String::from_utf8_lossy(&response.body);
            let text = match media_type {
                html if html.starts_with("text/html") => html_text(&body),
                text if text.starts_with("text/plain") || text.contains("json") => body.trim().to_owned(),
                _ => return None,
            };
            let status = status_line(response.status);
            Some(text).filter(|text| !status.to_ascii_lowercase().ends_with(&text.to_ascii_lowercase()))
        });
        let body = text.map(|text| excerpt(&text));
        body.map_or_else(|| self.received(), |body| format!("{}: {body}", self.received()))
    }

    /// The HTTP status code of the last response.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.outcome.response.as_ref().map(|response| response.status.as_u16())
    }

    /// How long the poll took, in milliseconds.
    #[must_use]
    pub fn took_ms(&self) -> f64 {
        allswell_checks::contract::milliseconds(self.outcome.took)
    }

    /// The redirects that were followed: status code and target.
    pub fn redirects(&self) -> impl Iterator<Item = (u16, String)> {
        self.outcome.hops.iter().map(|hop| (hop.status.as_u16(), url_excerpt(hop.to.as_str())))
    }

    /// Whether the body has a length, or the client requires none.
    pub(super) fn has_required_length(&self) -> bool {
        !self.client.profile.framed || self.outcome.response.as_ref().is_none_or(|response| response.is_framed)
    }

    /// Whether the response makes Envoy fail the health check, and the client is Envoy.
    pub(super) fn envoy_must_fail(&self) -> bool {
        self.client.poller == PollerKind::Envoy
            && self.outcome.response.as_ref().is_some_and(|response| response.headers.contains_key(ENVOY_FAIL_HEADER))
    }

    /// The status of an informational response (1xx), if the client is `HAProxy`: it takes the first response for the final one.
    pub(super) fn unexpected_informational(&self) -> Option<u16> {
        self.outcome.informational.filter(|_| self.client.poller == PollerKind::Haproxy)
    }
}

/// The labels of the clients.
pub(super) fn labels<'a>(results: impl IntoIterator<Item = &'a ClientResult>) -> Vec<String> {
    results.into_iter().map(|result| result.client.label.clone()).collect()
}
