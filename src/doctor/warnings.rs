//! Warnings: clients that report healthy although they should not, or may soon report unhealthy. One function per warning.

use super::{
    causes::{Cause, ForwardedProto, Redirect, certificate_fix, certificate_problem, is_login},
    finding::Finding,
    result::{ClientResult, labels},
    software::Software,
    trials::TrialPolls,
};
use crate::pollers::ResponsePart;
use allswell_checks::contract::{ByteSize, TimeSpan};
use hyper::StatusCode;

/// The share of the timeout above which a response is close to it.
const CLOSE_TO_TIMEOUT: f64 = 0.6;

/// A certificate that expires within this many days gets a warning.
const EXPIRY_WARNING_DAYS: i64 = 21;

/// All warnings about results, except for those about a cause.
pub(super) async fn all(results: &[ClientResult], trials: &mut TrialPolls<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(redirect_taken_for_good(results));
    let plain_success = |result: &&ClientResult| result.is_healthy && result.outcome.hops.is_empty() && result.http_status() == Some(200);
    if let Some(result) = results.iter().find(plain_success) {
        findings.extend(any_path(result, results, trials).await);
        findings.extend(head_refused(result, trials).await);
    }
    findings.extend(results.iter().find_map(fails_by_200));
    findings.extend(nearly_slow(results));
    findings.extend(large_body(results));
    findings.extend(certificate(results));
    findings
}

fn warning(code: &'static str, clients: Vec<String>, title: &str, evidence: String, fix: Vec<String>) -> Finding {
    Finding { code, failing: false, clients, title: title.to_owned(), evidence, fix }
}

/// A server that redirects to HTTPS, and also does so behind a load balancer that terminates TLS.
pub(super) fn forwarded_proto_ignored(cause: &Cause, affected: &[&ClientResult]) -> Option<Finding> {
    if !matches!(cause, Cause::Redirect(Redirect::Https { forwarded_proto: ForwardedProto::Ignored })) {
        return None;
    }
    Some(warning(
        "forwarded_proto_ignored",
        labels(affected.iter().copied()),
        "Behind a load balancer that terminates TLS, users would be redirected in a loop",
        "a request with `X-Forwarded-Proto: https`, as a load balancer forwards it, is redirected to HTTPS again".to_owned(),
        vec![
            "Django: SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\"), if clients cannot bypass the load balancer."
                .to_owned(),
            "nginx: redirect `if ($http_x_forwarded_proto = http)`. Apache: `RewriteCond %{HTTP:X-Forwarded-Proto} =http`.".to_owned(),
        ],
    ))
}

/// Clients that report healthy because of a redirect, or of the login page that it leads to.
fn redirect_taken_for_good(results: &[ClientResult]) -> Vec<Finding> {
    let mut logins = Vec::new();
    let mut redirects = Vec::new();
    for result in results.iter().filter(|result| result.is_healthy) {
        let location = result.outcome.response.as_ref().and_then(|response| response.location());
        let location = location.and_then(|location| result.request.url.join(location).ok());
        let landed = result.outcome.hops.last().map(|hop| &hop.to);
        if location.as_ref().or(landed).is_some_and(is_login) {
            logins.push(result);
        } else if location.is_some() {
            redirects.push(result);
        }
    }
    let login = logins.first().map(|first| {
        warning(
            "login_taken_for_good",
            labels(logins.iter().copied()),
            "A login page counts as healthy, but does not show whether the app works",
            first.received(),
            vec![format!("Allow anonymous access to `{}`, and respond with 200 or 500.", first.path())],
        )
    });
    let redirect = redirects.first().map(|first| {
        warning(
            "redirect_taken_for_good",
            labels(redirects.iter().copied()),
            "A redirect counts as healthy, but does not show whether its target works",
            first.received(),
            vec![
                format!("Respond to `{}` itself with 200 or 500.", first.path()),
                "Narrow the success codes to 200, if the client has a list of them.".to_owned(),
            ],
        )
    });
    login.into_iter().chain(redirect).collect()
}

/// A server that returns 200 for every path.
async fn any_path(result: &ClientResult, results: &[ClientResult], trials: &mut TrialPolls<'_>) -> Option<Finding> {
    let mut random_path = result.request.clone();
    random_path.url.set_path(&format!("/allswell-doctor-{:016x}", fastrand::u64(..)));
    random_path.url.set_query(None);
    // Other success codes do not count: a redirect to HTTPS, for example, applies to every path.
    if trials.status(&random_path).await != Some(StatusCode::OK) {
        return None;
    }
    let mut fix = vec![
        "Poll a path that checks what the app needs; single-page apps and default pages return 200 for every path.".to_owned(),
        "nginx: with `try_files $uri /index.html`, health checks pass even if the app is down: proxy the health check path to the app."
            .to_owned(),
    ];
    let is_empty = result.outcome.response.as_ref().is_some_and(|response| response.body.is_empty());
    if is_empty && result.outcome.software == Some(Software::Caddy) {
        fix.insert(0, "Caddy returns an empty 200 if no site matches the Host header: serve the path in a site `http://`.".to_owned());
    }
    Some(warning(
        "any_path",
        labels(results.iter().filter(|result| result.is_healthy)),
        "Every path counts as healthy: the response does not show whether the app works",
        "a random path, /allswell-doctor-…, returns 200 as well".to_owned(),
        fix,
    ))
}

/// A server that accepts GET and rejects HEAD.
async fn head_refused(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Finding> {
    let mut head = result.request.clone();
    head.profile.method = "HEAD";
    if !matches!(trials.status(&head).await, Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)) {
        return None;
    }
    Some(warning(
        "head_refused",
        Vec::new(),
        "The server rejects HEAD, which some clients send: uptime monitors, and HAProxy with `option httpchk HEAD`",
        format!("the poll of {}, sent with HEAD, returns 405 or 501", result.client.label),
        vec![format!("Respond to HEAD at `{}` as to GET, without the body.", result.path())],
    ))
}

/// A body that reports a failure, with a status code that reports success.
fn fails_by_200(result: &ClientResult) -> Option<Finding> {
    let response = result.outcome.response.as_ref().filter(|_| result.is_healthy)?;
    let report: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
    let status = report.get("status")?.as_str()?.to_ascii_lowercase();
    let is_failure = ["fail", "down", "error", "unhealthy", "critical", "out_of_service"].contains(&status.as_str());
    is_failure.then(|| {
        warning(
            "fails_by_200",
            Vec::new(),
            "The body reports a failure, but the status code reports success: load balancers do not read the body",
            result.received_with_body(),
            vec!["Respond with 500 or 503 if the app is unhealthy.".to_owned()],
        )
    })
}

/// A response that took most of the timeout.
fn nearly_slow(results: &[ClientResult]) -> Option<Finding> {
    let is_close = |result: &&ClientResult| result.outcome.took > result.request.timeout().mul_f64(CLOSE_TO_TIMEOUT);
    let close: Vec<&ClientResult> = results.iter().filter(|result| result.is_healthy).filter(is_close).collect();
    let first = close.first()?;
    let timeout = TimeSpan(first.request.timeout());
    let evidence = format!("{} got its response after {:.0} ms, and its timeout is {timeout}", first.client.label, first.took_ms());
    Some(warning(
        "nearly_slow",
        labels(close),
        "The response is close to the timeout: under load, or if several nodes poll at once, it will be too late",
        evidence,
        vec!["Respond from memory: query databases and queues in the background, not during the request, as allswell does.".to_owned()],
    ))
}

/// A body that is larger than the client reads.
fn large_body(results: &[ClientResult]) -> Option<Finding> {
    let is_cut_off = |result: &&ClientResult| match (result.client.profile.awaited, &result.outcome.response) {
        (ResponsePart::Bytes(window), Some(response)) => response.body.len() >= window,
        _ => false,
    };
    let affected: Vec<&ClientResult> = results.iter().filter(|result| result.is_healthy).filter(is_cut_off).collect();
    let ResponsePart::Bytes(window) = affected.first()?.client.profile.awaited else { return None };
    Some(warning(
        "large_body",
        labels(affected),
        "The body is larger than the client reads: the client closes the connection before the body ends",
        format!("{} or more", ByteSize(window as u64)),
        vec!["Send a small body; otherwise the server's log shows connection resets and broken pipes.".to_owned()],
    ))
}

/// A certificate that fails verification, now or soon. Most clients do not verify it.
fn certificate(results: &[ClientResult]) -> Option<Finding> {
    let with_certificate = || results.iter().filter_map(|result| Some((result, result.outcome.certificate.as_ref()?)));
    if let Some((result, failure)) = with_certificate().find_map(|(result, certificate)| Some((result, certificate.failure.as_ref()?))) {
        let clients = labels(with_certificate().map(|(result, _)| result).filter(|result| !result.client.profile.verifies));
        return Some(warning(
            "certificate_unverified",
            clients,
            "The certificate fails verification, but these clients do not verify it",
            certificate_problem(failure).to_owned(),
            certificate_fix(failure.into(), &result.request.server_name),
        ));
    }
    let soon = |days: &i64| (0..=EXPIRY_WARNING_DAYS).contains(days);
    let days = with_certificate().find_map(|(_, certificate)| certificate.days_left.filter(soon))?;
    Some(warning(
        "certificate_expires",
        labels(with_certificate().map(|(result, _)| result)),
        "The certificate expires soon",
        format!("in {days} days"),
        vec!["Renew the certificate.".to_owned()],
    ))
}
