//! The server rejects the Host header.

use super::{
    explanation::{Context, Explanation, USE_ALLSWELL_PORT, explanation},
    redirect::Redirect,
};
use crate::{
    doctor::{
        response::PollResponse,
        result::ClientResult,
        software::{Remedy, Software},
        trials::TrialPolls,
    },
    pollers::PollerKind,
};
use allswell_checks::wire::http_symptoms::rejects_host;
use hyper::{StatusCode, header::HeaderValue};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum HostRejection {
    /// The server accepts the URL's host: the header, and the status that it gets.
    UrlHostAccepted { host: String, status: u16 },
    /// The server rejects the header, and no accepted one is known.
    NoAcceptedHost,
}

impl HostRejection {
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        match (&result.outcome.failure, &result.outcome.response) {
            // Some servers close the connection if the Host header is not theirs.
            (Some(_), _) => with_url_host(result, trials).await.filter(|(_, status)| *status < 400).map(accepted),
            (None, Some(response)) => Self::diagnose_response(result, response, trials).await,
            (None, None) => None,
        }
    }

    /// A redirect to another URL that does not happen with the URL's host.
    pub(super) async fn diagnose_redirect(redirect: &Redirect, result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        if !matches!(redirect, Redirect::Elsewhere(_)) {
            return None;
        }
        let is_success = |status: u16| result.client.profile.success.contains(status) && !(300..400).contains(&status);
        with_url_host(result, trials).await.filter(|(_, status)| is_success(*status)).map(accepted)
    }

    async fn diagnose_response(result: &ClientResult, response: &PollResponse, trials: &mut TrialPolls<'_>) -> Option<Self> {
        let status = response.status;
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        // If the URL's host is rejected as well, the Host header is not the only cause.
        // The trial follows no redirect: if the client did, a redirect says nothing about the Host header.
        let accepted_until = if result.outcome.hops.is_empty() { 400 } else { 300 };
        if let Some(host) = with_url_host(result, trials).await.filter(|(_, status)| (200..accepted_until).contains(status)) {
            return Some(accepted(host));
        }
        let is_rejected = match status {
            StatusCode::MISDIRECTED_REQUEST => true,
            StatusCode::BAD_REQUEST => result.outcome.software == Some(Software::Django) || rejects_host(&response.body),
            StatusCode::FORBIDDEN => rejects_host(&response.body),
            _ => false,
        };
        is_rejected.then_some(Self::NoAcceptedHost)
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        let sent = first.host().map_or_else(|| "without a Host header".to_owned(), |host| format!("with `Host: {host}`"));
        let mut evidence = format!("{sent}: {}", first.received());
        let mut accepted = "www.example.com";
        if let Self::UrlHostAccepted { host, status } = self {
            evidence += &format!("; with `Host: {host}`: {status}");
            accepted = host;
        }
        let mut fix = Vec::new();
        let affects = |poller| context.affected.iter().any(|result| result.client.poller == poller);
        for (poller, how) in [
            (PollerKind::Kubelet, "kubelet: add `httpHeaders: [{ name: Host, value: NAME }]` to the `httpGet`."),
            (PollerKind::Envoy, "Envoy: set `host: NAME` in the `http_health_check`."),
            (PollerKind::Route53, "Route 53: specify the endpoint by domain name."),
            (PollerKind::Consul, "Consul: add `header = { Host = [\"NAME\"] }` to the check."),
        ] {
            if affects(poller) {
                fix.push(how.replace("NAME", accepted));
            }
        }
        if affects(PollerKind::Haproxy) {
            fix.push(format!(
                "HAProxy: add `http-check send meth GET uri {} ver HTTP/1.1 hdr Host {accepted}` below `option httpchk`.",
                first.path_and_query()
            ));
        }
        fix.extend(context.settings(Remedy::AllowHost, &[Software::Django, Software::Nginx]));
        fix.push(USE_ALLSWELL_PORT.to_owned());
        explanation("host", "The server rejects the health check's Host header", evidence, fix)
    }
}

fn accepted((host, status): (String, u16)) -> HostRejection {
    HostRejection::UrlHostAccepted { host, status }
}

/// The Host header of the URL, unless the client sent it, and the status that it gets.
async fn with_url_host(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<(String, u16)> {
    let host = trials.host_of_url().to_owned();
    if result.host() == Some(&host) {
        return None;
    }
    let mut other = result.request.clone();
    other.host = HeaderValue::from_str(&host).ok();
    let status = trials.status(&other).await?;
    Some((host, status.as_u16()))
}
