//! Trial polls: a client's poll with one property changed, to find out whether that property is the cause.

use super::{
    poll::{PollOutcome, PollRequest, authority},
    result::ClientResult,
    target::Target,
};
use crate::pollers::{PollerProfile, RedirectRule, ResponsePart};
use allswell_checks::wire::http_symptoms::requires_tls;
use hyper::{StatusCode, header::HeaderValue};
use std::time::Duration;
use url::Position;

/// Sends trial polls, each distinct one once. All of them are safe requests.
pub(super) struct TrialPolls<'a> {
    target: &'a Target,
    sent: Vec<(String, Option<TrialResponse>)>,
}

/// The response to a trial poll.
#[derive(Clone, Debug)]
pub(super) struct TrialResponse {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    /// Whether the server replies, without TLS, that it requires TLS.
    pub(super) expects_tls: bool,
}

/// Bounds a trial poll.
const MAX_TRIAL: Duration = Duration::from_secs(3);

impl<'a> TrialPolls<'a> {
    pub(super) const fn new(target: &'a Target) -> Self {
        Self { target, sent: Vec::new() }
    }

    /// The response to a request, or `None` without a complete response.
    pub(super) async fn send(&mut self, request: &PollRequest) -> Option<TrialResponse> {
        let PollerProfile { method, http_1_0, http_2, grpc, tls13, server_name, .. } = request.profile;
        let path = &request.url[Position::BeforePath..Position::AfterQuery];
        let protocol = (http_1_0, http_2, grpc, tls13, server_name);
        let (scheme, with_proxy_header) = (request.url.scheme(), request.sends_proxy_header);
        let key = format!("{method} {scheme} {path} {:?} {:?} {protocol:?} {with_proxy_header}", request.host, request.extra_headers);
        if let Some((_, response)) = self.sent.iter().find(|(sent, _)| *sent == key) {
            return response.clone();
        }
        let outcome = send_once(request).await;
        let response = outcome.complete_response().map(|response| TrialResponse {
            status: response.status,
            location: response.location().map(str::to_owned),
            expects_tls: requires_tls(&response.body),
        });
        self.sent.push((key, response.clone()));
        response
    }

    /// The status of the response to a request.
    pub(super) async fn status(&mut self, request: &PollRequest) -> Option<StatusCode> {
        self.send(request).await.map(|response| response.status)
    }

    /// The Host header that a browser would send to the target.
    pub(super) fn host_of_url(&self) -> &str {
        authority(&self.target.url)
    }

    /// Whether the same poll succeeds with GET.
    pub(super) async fn succeeds_with_get(&mut self, result: &ClientResult) -> bool {
        let mut get = result.request.clone();
        get.profile.method = "GET";
        self.succeeds(result, &get).await
    }

    /// Whether the same poll succeeds with GET, HTTP/1.1 and a Host header.
    pub(super) async fn succeeds_with_http_1_1(&mut self, result: &ClientResult) -> bool {
        let newer = self.http_1_1(result);
        self.succeeds(result, &newer).await
    }

    /// Whether the same poll gets a response other than 400 with GET, HTTP/1.1 and a Host header.
    pub(super) async fn responds_to_http_1_1(&mut self, result: &ClientResult) -> bool {
        let newer = self.http_1_1(result);
        self.status(&newer).await.is_some_and(|status| status != StatusCode::BAD_REQUEST)
    }

    fn http_1_1(&self, result: &ClientResult) -> PollRequest {
        let mut newer = result.request.clone();
        (newer.profile.http_1_0, newer.profile.method) = (false, "GET");
        newer.host = HeaderValue::from_str(self.host_of_url()).ok();
        newer
    }

    /// Whether a request gets a success code of the client.
    pub(super) async fn succeeds(&mut self, result: &ClientResult, request: &PollRequest) -> bool {
        self.status(request).await.is_some_and(|status| result.client.profile.success.contains(status.as_u16()))
    }

    /// The response of the same port to the other scheme.
    pub(super) async fn with_scheme(&mut self, result: &ClientResult, scheme: &str) -> Option<TrialResponse> {
        let mut other = result.request.clone();
        let port = other.url.port_or_known_default();
        // The port stays, even if it was only implied by the former scheme.
        if other.url.set_scheme(scheme).is_err() || other.url.set_port(port).is_err() {
            return None;
        }
        (other.profile.tls13, other.profile.http_2, other.profile.grpc) = (true, false, false);
        self.send(&other).await
    }
}

/// Sends a trial poll without following redirects. The headers of the response are sufficient.
async fn send_once(request: &PollRequest) -> PollOutcome {
    let mut request = request.clone();
    request.profile.redirects = RedirectRule::Judged;
    request.profile.awaited = ResponsePart::Head;
    request.profile.verifies = false;
    (request.profile.timeout, request.profile.timeout_tls) = (MAX_TRIAL, MAX_TRIAL);
    request.send().await
}
