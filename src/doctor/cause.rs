//! Why a client is not content: from what it got, and where that says too little, from another poll that changes one thing.

use super::{
    Target,
    conclude::{Seen, envoy_fails},
    poll::{Answer, Poll, Polled, Step, authority},
};
use crate::prober::{Manner, Prober, Redirects, Wanted};
use allswell_checks::{
    contract::{Failure, FailureClass},
    symptom::{names_allowed_hosts, protects_from_csrf, redirects_to_https, wants_tls},
};
use hyper::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
};
use std::time::Duration;
use url::{Position, Url};

/// What is wrong; of several things the one that is met first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// There is no answer.
    Connection(Connection),
    /// The answer is a redirect.
    Redirect(Redirect),
    /// The answer says no.
    Refusal(Refusal),
}

/// There is no connection, no TLS, no HTTP, or no answer in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Connection {
    /// No connection: why.
    Unreachable(String),
    /// Nobody answers the packets that open a connection.
    Swallowed,
    /// Connected, and closed again without an answer.
    HungUp,
    /// TLS wants no such handshake: why.
    Handshake(String),
    /// It speaks TLS 1.3 alone.
    OnlyTls13,
    /// Who verifies does not believe the certificate: why.
    Certificate(String),
    /// TLS was spoken, and it speaks none.
    SpeaksPlain,
    /// No TLS was spoken, and it wants it.
    SpeaksTls,
    /// What came is not HTTP.
    NotHttp(String),
    /// Too late.
    Slow,
}

/// It redirects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Redirect {
    /// It redirects to HTTPS; whether it would believe a proxy's word that there is HTTPS already.
    Https { believes_proxy: Option<bool> },
    /// Redirects without an end.
    Loop,
    /// The path with a slash at its end, or without, is another: which one is right.
    Slash(String),
    /// It redirects to a page for logging in.
    Login(String),
    /// It redirects to somewhere else.
    Elsewhere(String),
}

/// It answers, and says no.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// The answer depends on the `Host`: one that it accepts, if one is known, and what it answers then.
    Host(Option<(String, u16)>),
    /// It protects itself against forged requests.
    Csrf,
    /// It wants credentials.
    Credentials,
    /// It forbids the request.
    Forbidden,
    /// It does not take the method.
    Method,
    /// There is no such path.
    NotFound,
    /// It has had enough of us.
    TooMany,
    /// It is allswell, or speaks as it does, and says no.
    SaysFail,
    /// It warns, by a status that is not good for this client.
    SaysWarn(u16),
    /// A proxy has no answer of the app's.
    Gateway(u16),
    /// It fails.
    ServerError(u16),
    /// A header tells Envoy to take it for a failure.
    EnvoyTold,
    /// The end of the body is known by the end of the connection alone.
    Unframed,
    /// A gRPC call ended with another status than those that are good for this client.
    Grpc(u16),
    /// Another status than those that are good for this client.
    Unexpected(u16),
}

/// Polls that change one thing. Each is sent once, and all of them are safe.
pub(super) struct Trials<'a> {
    pub(super) target: &'a Target,
    sent: Vec<(String, Option<Tried>)>,
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    status: StatusCode,
    location: Option<String>,
    wants_tls: bool,
}

/// How long a trial may take: longer than most clients wait, and still no endless wait.
const PATIENCE: Duration = Duration::from_secs(10);

impl<'a> Trials<'a> {
    pub(super) const fn new(target: &'a Target) -> Self {
        Self { target, sent: Vec::new() }
    }

    /// What a poll brings that nobody sends.
    async fn send(&mut self, poll: &Poll) -> Option<Tried> {
        let Manner { method, http_1_0, http_2, grpc, tls13, .. } = poll.manner;
        let asked = &poll.url[Position::BeforePath..Position::AfterQuery];
        let version = (http_1_0, http_2, grpc, tls13);
        let key = format!("{method} {} {asked} {:?} {:?} {version:?}", poll.url.scheme(), poll.host, poll.more);
        if let Some((_, tried)) = self.sent.iter().find(|(sent, _)| *sent == key) {
            return tried.clone();
        }
        let polled = run(poll).await;
        let tried = polled.status().zip(polled.answer).map(|(status, answer)| Tried {
            status,
            location: answer.location().map(str::to_owned),
            wants_tls: wants_tls(&answer.body),
        });
        self.sent.push((key, tried.clone()));
        tried
    }

    async fn status(&mut self, poll: &Poll) -> Option<StatusCode> {
        self.send(poll).await.map(|tried| tried.status)
    }
}

/// Sends a trial: no redirect is followed, and the head is enough.
async fn run(poll: &Poll) -> Polled {
    let mut poll = poll.clone();
    poll.manner.redirects = Redirects::Judged;
    poll.manner.wanted = Wanted::Head;
    poll.manner.verifies = false;
    (poll.manner.timeout, poll.manner.timeout_tls) = (PATIENCE, PATIENCE);
    poll.run().await
}

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
        (FailureClass::Timeout, _) => Cause::Connection(Connection::Slow),
        _ if plain && speaks(seen, trials, "https").await.is_some() => Cause::Connection(Connection::SpeaksTls),
        _ if seen.client.manner.http_2 => {
            Cause::Connection(Connection::NotHttp(format!("{message}: does the server speak HTTP/2, as gRPC and this group want it?")))
        }
        (FailureClass::Protocol, _) => Cause::Connection(Connection::NotHttp(message)),
        // Some hang up on whoever asks for a Host that is not theirs.
        _ => match host_of_url(seen, trials).await {
            Some(accepted) => Cause::Refusal(Refusal::Host(Some(accepted))),
            None => Cause::Connection(Connection::HungUp),
        },
    }
}

async fn handshake(seen: &Seen, trouble: &Failure, trials: &mut Trials<'_>) -> Cause {
    let message = trouble.message().to_owned();
    if speaks(seen, trials, "http").await.is_some_and(|tried| !tried.wants_tls) {
        return Cause::Connection(Connection::SpeaksPlain);
    }
    if trouble.class() == FailureClass::Timeout {
        return Cause::Connection(Connection::Slow);
    }
    let mut lenient = seen.poll.clone();
    lenient.manner.verifies = false;
    if seen.client.manner.verifies && trials.status(&lenient).await.is_some() {
        return Cause::Connection(Connection::Certificate(message));
    }
    lenient.manner.tls13 = true;
    if !seen.client.manner.tls13 && trials.status(&lenient).await.is_some() {
        return Cause::Connection(Connection::OnlyTls13);
    }
    Cause::Connection(Connection::Handshake(message))
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
    if manner.success.contain(status.as_u16()) {
        return Cause::Refusal(Refusal::Unframed);
    }
    if status == StatusCode::BAD_REQUEST && wants_tls(&answer.body) {
        return Cause::Connection(Connection::SpeaksTls);
    }
    if let Some(location) = answer.location() {
        return redirected(seen, location, trials).await;
    }
    match status {
        status if status.is_server_error() && (told.is_some() || is_report(&answer.body)) => return Cause::Refusal(Refusal::SaysFail),
        status if told.is_some_and(|told| told == "warn") => return Cause::Refusal(Refusal::SaysWarn(status.as_u16())),
        StatusCode::TOO_MANY_REQUESTS => return Cause::Refusal(Refusal::TooMany),
        _ => {}
    }
    if let Some(host) = host(seen, answer, trials).await {
        return Cause::Refusal(Refusal::Host(host));
    }
    if manner.method != Method::GET && is_good_by_get(seen, trials).await {
        return Cause::Refusal(Refusal::Method);
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
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Refusal::Gateway(status.as_u16()),
        status if status.is_server_error() => Refusal::ServerError(status.as_u16()),
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
