//! Why a client is not content: from what it got, and where that says too little, from trials.

use super::{
    answer::Answer,
    cause::{Cause, Connection, Redirect, Refusal, Tls, Trouble},
    conclude::{Seen, envoy_fails},
    http2,
    poll::{Step, authority},
    trials::{Trials, Tried},
};
use crate::prober::Prober;
use allswell_checks::{
    contract::{Failure, FailureClass},
    wire::http_symptoms::{names_allowed_hosts, protects_from_csrf, redirects_to_https, wants_tls},
};
use hyper::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
};
use url::{Position, Url};

/// Why this client is not content.
pub(super) async fn cause(seen: &Seen, trials: &mut Trials<'_>) -> Cause {
    // What goes wrong where HTTPS was redirected to begins with the redirect.
    if let Some(hop) = seen.polled.hops.first()
        && seen.poll.url.scheme() == "http"
        && redirects_to_https(seen.poll.url.path(), hop.to.as_str())
    {
        return https(seen, trials).await;
    }
    match (&seen.polled.trouble, &seen.polled.answer) {
        (Some(trouble), _) => no_answer(seen, trouble, trials).await,
        (None, Some(answer)) => answered(seen, answer, trials).await,
        (None, None) => Cause::Connection(Connection::HungUp),
    }
}

async fn no_answer(seen: &Seen, trouble: &Failure, trials: &mut Trials<'_>) -> Cause {
    let message = trouble.message().to_owned();
    let plain = seen.poll.url.scheme() == "http";
    match (trouble.class(), seen.polled.step) {
        (FailureClass::Unhealthy, _) => Cause::Redirect(Redirect::Loop),
        // What happens at another place than the one that was asked is the redirect's fault.
        (_, Step::Connect | Step::Handshake) if !seen.polled.hops.is_empty() => {
            redirected(seen, seen.polled.hops[0].to.as_str(), trials).await
        }
        (FailureClass::Timeout, Step::Connect) => Cause::Connection(Connection::Swallowed),
        (_, Step::Connect) => Cause::Connection(Connection::Unreachable(message)),
        (_, Step::Handshake) => handshake(seen, trouble, trials).await,
        (FailureClass::Tls, _) if wants_certificate(&message) => Cause::Tls(Tls::ClientCertificate),
        (FailureClass::Timeout, Step::Body) => Cause::Connection(Connection::EndlessBody),
        (FailureClass::Timeout, _) => Cause::Connection(Connection::Slow),
        (_, Step::Body) => Cause::Connection(Connection::BrokenBody),
        _ if plain && speaks(seen, trials, "https").await.is_some() => Cause::Tls(Tls::Wanted),
        (FailureClass::Protocol, _) if message == http2::NOT_GRPC => Cause::Connection(Connection::NotGrpc),
        _ if speaks_other_version(seen, trials).await => Cause::Connection(Connection::OtherVersion),
        (FailureClass::Protocol, _) if !seen.client.manner.http_1_0 => Cause::Connection(Connection::NotHttp),
        // Some hang up on whoever asks for a Host that is not theirs.
        _ => match host_of_url(seen, trials).await.filter(|(_, code)| *code < 400) {
            Some(accepted) => Cause::Refusal(Refusal::Host(Some(accepted))),
            None if seen.client.manner.http_1_0 && is_good_by_1_1(seen, trials).await => Cause::Refusal(Refusal::OldVersion),
            None if trouble.class() == FailureClass::Protocol => Cause::Connection(Connection::NotHttp),
            None => Cause::Connection(Connection::HungUp),
        },
    }
}

async fn handshake(seen: &Seen, trouble: &Failure, trials: &mut Trials<'_>) -> Cause {
    let message = trouble.message().to_owned();
    if speaks(seen, trials, "http").await.is_some_and(|tried| !tried.wants_tls) {
        return Cause::Tls(Tls::Unwanted);
    }
    if trouble.class() == FailureClass::Timeout {
        return Cause::Connection(Connection::Slow);
    }
    if wants_certificate(&message) {
        return Cause::Tls(Tls::ClientCertificate);
    }
    let mut lenient = seen.poll.clone();
    lenient.manner.verifies = false;
    if seen.client.manner.verifies && trials.status(&lenient).await.is_some() {
        return Cause::Tls(Tls::Certificate(message));
    }
    lenient.manner.server_name = true;
    if !seen.client.manner.server_name && trials.status(&lenient).await.is_some() {
        return Cause::Tls(Tls::ServerName);
    }
    lenient.manner.tls13 = true;
    if !seen.client.manner.tls13 && trials.status(&lenient).await.is_some() {
        return Cause::Tls(Tls::OnlyTls13);
    }
    Cause::Tls(Tls::Handshake(message))
}

/// As rustls says it, and as nginx does.
fn wants_certificate(message: &str) -> bool {
    ["requires a client certificate", "rejected our client certificate", "No required SSL certificate was sent"]
        .iter()
        .any(|words| message.contains(words))
}

/// Whether the other version of HTTP is answered.
async fn speaks_other_version(seen: &Seen, trials: &mut Trials<'_>) -> bool {
    let mut other = seen.poll.clone();
    (other.manner.http_2, other.manner.http_1_0, other.manner.grpc) = (!seen.client.manner.http_2, false, false);
    other.host.get_or_insert(HeaderValue::from_static("localhost"));
    trials.status(&other).await.is_some_and(|status| status != StatusCode::BAD_REQUEST)
}

/// Whether the same is well by GET, HTTP/1.1 and a Host.
async fn is_good_by_1_1(seen: &Seen, trials: &mut Trials<'_>) -> bool {
    let mut newer = seen.poll.clone();
    (newer.manner.http_1_0, newer.manner.method) = (false, "GET");
    newer.host = HeaderValue::from_str(authority(&trials.target.url)).ok();
    trials.status(&newer).await.is_some_and(|status| seen.client.manner.success.contain(status.as_u16()))
}

/// What the same port answers with the other scheme.
async fn speaks(seen: &Seen, trials: &mut Trials<'_>, scheme: &str) -> Option<Tried> {
    let mut other = seen.poll.clone();
    let port = other.url.port_or_known_default();
    // `http` and `https` can be exchanged for each other; the port stays, also where it was the scheme's own.
    if other.url.set_scheme(scheme).is_err() || other.url.set_port(port).is_err() {
        return None;
    }
    (other.manner.tls13, other.manner.http_2, other.manner.grpc) = (true, false, false);
    trials.send(&other).await
}

async fn answered(seen: &Seen, answer: &Answer, trials: &mut Trials<'_>) -> Cause {
    let manner = &seen.client.manner;
    let status = answer.status;
    let told = answer.headers.get("x-health-status");
    if seen.client.prober == Prober::Envoy && envoy_fails(&seen.polled) {
        return Cause::Refusal(Refusal::EnvoyTold);
    }
    if let Some(code) = answer.grpc {
        return Cause::Refusal(Refusal::Grpc(code));
    }
    if let Some(announced) = seen.polled.informational.filter(|_| seen.client.prober == Prober::Haproxy) {
        return Cause::Refusal(Refusal::Announced(announced));
    }
    if manner.success.contain(status.as_u16()) {
        return Cause::Refusal(Refusal::Unframed);
    }
    if status == StatusCode::BAD_REQUEST && wants_tls(&answer.body) {
        return Cause::Tls(Tls::Wanted);
    }
    if status == StatusCode::BAD_REQUEST && wants_certificate(&String::from_utf8_lossy(&answer.body)) {
        return Cause::Tls(Tls::ClientCertificate);
    }
    if let Some(location) = answer.location() {
        return redirected(seen, location, trials).await;
    }
    match status {
        status if status.is_server_error() && (told.is_some() || is_report(&answer.body)) => return Cause::Trouble(Trouble::SaysFail),
        status if told.is_some_and(|told| told == "warn") => return Cause::Trouble(Trouble::SaysWarn(status.as_u16())),
        StatusCode::TOO_MANY_REQUESTS => return Cause::Trouble(Trouble::TooMany),
        _ => {}
    }
    if let Some(host) = host(seen, answer, trials).await {
        return Cause::Refusal(Refusal::Host(host));
    }
    if manner.method != Method::GET && is_good_by_get(seen, trials).await {
        return Cause::Refusal(Refusal::Method);
    }
    if manner.http_1_0 && is_good_by_1_1(seen, trials).await {
        return Cause::Refusal(Refusal::OldVersion);
    }
    // Once more, exactly as it was.
    if status.is_server_error() && trials.status(&seen.poll).await.is_some_and(|again| manner.success.contain(again.as_u16())) {
        return Cause::Trouble(Trouble::Flapping(status.as_u16()));
    }
    Cause::Refusal(match status {
        StatusCode::FORBIDDEN if protects_from_csrf(&answer.body) => Refusal::Csrf,
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Refusal::Credentials,
        StatusCode::FORBIDDEN => Refusal::Forbidden,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Refusal::Method,
        StatusCode::NOT_FOUND => match slashed(seen, trials).await {
            Some(path) => return Cause::Redirect(Redirect::Slash(path)),
            None => Refusal::NotFound,
        },
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => return Cause::Trouble(Trouble::Gateway(status.as_u16())),
        status if status.is_server_error() => return Cause::Trouble(Trouble::ServerError(status.as_u16())),
        status => Refusal::Unexpected(status.as_u16()),
    })
}

/// Whether a body is somebody's report, by what all of them have in common.
fn is_report(body: &[u8]) -> bool {
    let report: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    ["status", "checks", "components", "entries"].iter().any(|member| report.get(member).is_some())
}

/// What a redirect is about.
async fn redirected(seen: &Seen, location: &str, trials: &mut Trials<'_>) -> Cause {
    let asked = &seen.poll.url;
    if asked.scheme() == "http" && redirects_to_https(asked.path(), location) {
        return https(seen, trials).await;
    }
    let Ok(to) = asked.join(location) else { return Cause::Redirect(Redirect::Elsewhere(location.to_owned())) };
    // Who redirects within the place names it as it was asked for.
    let here = to.scheme() == asked.scheme() && (to.origin() == asked.origin() || Some(authority(&to)) == seen.host());
    let shown = if here { to[Position::BeforePath..].to_owned() } else { location.to_owned() };
    if is_login(&to) {
        return Cause::Redirect(Redirect::Login(shown));
    }
    if here && to[Position::BeforePath..Position::AfterQuery] == asked[Position::BeforePath..Position::AfterQuery] {
        return Cause::Redirect(Redirect::Loop);
    }
    if here
        && to.path() == other_slash(asked.path())
        && let Some(path) = slashed(seen, trials).await
    {
        return Cause::Redirect(Redirect::Slash(path));
    }
    match host_of_url(seen, trials).await {
        Some((host, code)) if seen.client.manner.success.contain(code) && !(300..400).contains(&code) => {
            Cause::Refusal(Refusal::Host(Some((host, code))))
        }
        _ => Cause::Redirect(Redirect::Elsewhere(shown)),
    }
}

async fn https(seen: &Seen, trials: &mut Trials<'_>) -> Cause {
    let mut forwarded = seen.poll.clone();
    forwarded.more = vec![(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"))];
    let path = seen.poll.url.path();
    // With a Host that is refused there is no telling what else is. Another redirect than this one is another matter.
    let believes_proxy =
        trials.send(&forwarded).await.map(|tried| !tried.location.is_some_and(|location| redirects_to_https(path, &location)));
    Cause::Redirect(Redirect::Https { believes_proxy })
}

/// Whether the `Host` is the reason: by another one that is good, or because it looks so. `Some(None)`: none is known that is.
async fn host(seen: &Seen, answer: &Answer, trials: &mut Trials<'_>) -> Option<Option<(String, u16)>> {
    let status = answer.status;
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    // What is wrong beside the Host is seen when the Host is right.
    if let Some(accepted) = host_of_url(seen, trials).await.filter(|(_, code)| (200..400).contains(code)) {
        return Some(Some(accepted));
    }
    // Django names the setting where DEBUG is on; in production it has this page for any request that it finds suspicious.
    let djangos = status == StatusCode::BAD_REQUEST && answer.body.windows(PAGE.len()).any(|window| window == PAGE);
    let refused = djangos || status == StatusCode::MISDIRECTED_REQUEST;
    (refused || (status == StatusCode::BAD_REQUEST && names_allowed_hosts(&answer.body))).then_some(None)
}

const PAGE: &[u8] = b"<h1>Bad Request (400)</h1>";

/// The URL's own `Host`, where another one was sent, and what is answered to it.
async fn host_of_url(seen: &Seen, trials: &mut Trials<'_>) -> Option<(String, u16)> {
    let own = authority(&trials.target.url).to_owned();
    if seen.host() == Some(&own) {
        return None;
    }
    let mut other = seen.poll.clone();
    other.host = HeaderValue::from_str(&own).ok();
    let status = trials.status(&other).await?;
    Some((own, status.as_u16()))
}

async fn is_good_by_get(seen: &Seen, trials: &mut Trials<'_>) -> bool {
    let mut get = seen.poll.clone();
    get.manner.method = "GET";
    trials.status(&get).await.is_some_and(|status| seen.client.manner.success.contain(status.as_u16()))
}

/// The path with the other end, if that is good.
async fn slashed(seen: &Seen, trials: &mut Trials<'_>) -> Option<String> {
    let mut other = seen.poll.clone();
    if other.url.path() == "/" {
        return None;
    }
    other.url.set_path(&other_slash(seen.poll.url.path()));
    let status = trials.status(&other).await?;
    (status.is_success() && seen.client.manner.success.contain(status.as_u16())).then(|| other.url.path().to_owned())
}

fn other_slash(path: &str) -> String {
    path.strip_suffix('/').filter(|path| !path.is_empty()).map_or_else(|| format!("{path}/"), str::to_owned)
}

/// Whether a URL looks like a page for logging in.
pub(super) fn is_login(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    ["login", "signin", "sign-in", "sign_in", "sso", "oauth", "oauth2", "saml", "auth"]
        .iter()
        .any(|word| path.split('/').any(|segment| segment.split('.').next() == Some(word)))
}

/// Whether a path that nobody has is as good as the right one.
pub(super) async fn answers_any_path(seen: &Seen, trials: &mut Trials<'_>) -> bool {
    let mut nowhere = seen.poll.clone();
    nowhere.url.set_path(&format!("/allswell-doctor-{:016x}", fastrand::u64(..)));
    nowhere.url.set_query(None);
    // A redirect to HTTPS is every path's, and no answer.
    trials.status(&nowhere).await == Some(StatusCode::OK)
}

/// Whether it takes GET and refuses HEAD.
pub(super) async fn refuses_head(seen: &Seen, trials: &mut Trials<'_>) -> bool {
    let mut head = seen.poll.clone();
    head.manner.method = "HEAD";
    matches!(trials.status(&head).await, Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_for_logging_in_are_known_by_their_paths() {
        for (path, expected) in [
            ("/accounts/login/?next=/health", true),
            ("/login.php", true),
            ("/SSO/start", true),
            ("/catalogin/", false),
            ("/health", false),
            ("/", false),
        ] {
            let url = Url::parse(&format!("http://app{path}")).expect("a URL");
            assert_eq!(is_login(&url), expected, "{path}");
        }
    }

    #[test]
    fn the_other_end_of_a_path() {
        for (path, other) in [("/health", "/health/"), ("/health/", "/health"), ("/", "//")] {
            assert_eq!(other_slash(path), other);
        }
    }
}
