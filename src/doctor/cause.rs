//! Why a client is not content: from what it got, and where that says too little, from another poll that changes one thing.

use super::{
    Target,
    conclude::{Seen, envoy_fails},
    poll::{Answer, Poll, Polled, Step, authority},
};
use crate::prober::{Host, Prober, Redirects, Wanted};
use allswell_checks::{
    contract::FailureClass,
    symptom::{is_address, names_allowed_hosts, protects_from_csrf, redirects_to_https, wants_tls},
};
use hyper::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
};
use std::time::Duration;
use url::Url;

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
    Credentials(u16),
    /// It does not take the method.
    Method,
    /// There is no such path.
    NotFound,
    /// It has had enough of us.
    TooMany,
    /// It is allswell, or speaks as it does, and says no.
    SaysFail,
    /// It fails by itself.
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
    sent: Vec<(String, Option<StatusCode>)>,
}

/// How long a trial may take: longer than a client waits, and still no endless wait.
const PATIENCE: Duration = Duration::from_secs(10);

impl<'a> Trials<'a> {
    pub(super) const fn new(target: &'a Target) -> Self {
        Self { target, sent: Vec::new() }
    }

    /// The status that a poll brings which nobody sends.
    async fn status(&mut self, poll: &Poll) -> Option<StatusCode> {
        let key = format!("{} {} {:?} {:?} {}", poll.manner.method, poll.url, poll.host, poll.more, poll.manner.tls13);
        if let Some((_, status)) = self.sent.iter().find(|(sent, _)| *sent == key) {
            return *status;
        }
        let status = run(poll).await.status();
        self.sent.push((key, status));
        status
    }
}

/// Sends a trial: nobody's redirects are followed, and the head is enough.
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
    let polled = &seen.polled;
    match (&polled.trouble, &polled.answer) {
        (Some(_), _) => no_answer(seen, trials).await,
        (None, Some(answer)) => answered(seen, answer, trials).await,
        (None, None) => Cause::Connection(Connection::HungUp),
    }
}

async fn no_answer(seen: &Seen, trials: &mut Trials<'_>) -> Cause {
    let Some(trouble) = &seen.polled.trouble else { return Cause::Connection(Connection::HungUp) };
    let message = trouble.message().to_owned();
    let encrypted = seen.poll.url.scheme() == "https";
    match (trouble.class(), seen.polled.step) {
        (FailureClass::Unhealthy, _) => Cause::Redirect(Redirect::Loop),
        // What went wrong begins with the redirect that was followed.
        _ if !seen.polled.hops.is_empty() => redirected(seen, seen.polled.hops[0].to.as_str(), trials).await,
        (FailureClass::Timeout, Step::Connect) => Cause::Connection(Connection::Swallowed),
        (_, Step::Connect) => Cause::Connection(Connection::Unreachable(message)),
        (FailureClass::Timeout, _) => Cause::Connection(Connection::Slow),
        (_, Step::Handshake) => handshake(seen, message, trials).await,
        _ if seen.client.manner.grpc => {
            Cause::Connection(Connection::NotHttp(format!("{message}: does the server speak gRPC, by HTTP/2?")))
        }
        (FailureClass::Protocol, _) if !encrypted && speaks(seen, trials, "https").await => Cause::Connection(Connection::SpeaksTls),
        (FailureClass::Protocol, _) => Cause::Connection(Connection::NotHttp(message)),
        _ if !encrypted && speaks(seen, trials, "https").await => Cause::Connection(Connection::SpeaksTls),
        _ => Cause::Connection(Connection::HungUp),
    }
}

async fn handshake(seen: &Seen, message: String, trials: &mut Trials<'_>) -> Cause {
    if speaks(seen, trials, "http").await {
        return Cause::Connection(Connection::SpeaksPlain);
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

/// Whether the same port answers with the other scheme.
async fn speaks(seen: &Seen, trials: &mut Trials<'_>, scheme: &str) -> bool {
    let mut other = seen.poll.clone();
    let port = other.url.port_or_known_default();
    // `http` and `https` can be exchanged for each other; the port stays, also where it was the scheme's own.
    if other.url.set_scheme(scheme).is_err() || other.url.set_port(port).is_err() {
        return false;
    }
    other.manner.tls13 = true;
    let status = trials.status(&other).await;
    // Servers that want TLS say so without it.
    if scheme == "http" { status.is_some_and(|status| status != StatusCode::BAD_REQUEST) } else { status.is_some() }
}

async fn answered(seen: &Seen, answer: &Answer, trials: &mut Trials<'_>) -> Cause {
    let manner = &seen.client.manner;
    let status = answer.status;
    if seen.client.prober == Prober::Envoy && envoy_fails(&seen.polled) {
        return Cause::Refusal(Refusal::EnvoyTold);
    }
    if manner.success.contain(status.as_u16()) {
        return Cause::Refusal(Refusal::Unframed);
    }
    if let Some(code) = answer.grpc {
        return Cause::Refusal(Refusal::Grpc(code));
    }
    if status == StatusCode::BAD_REQUEST && wants_tls(&answer.body) {
        return Cause::Connection(Connection::SpeaksTls);
    }
    if answer.headers.contains_key("x-health-status") && status.is_server_error() {
        return Cause::Refusal(Refusal::SaysFail);
    }
    if !seen.polled.hops.is_empty() && status.is_client_error() {
        return redirected(seen, seen.polled.hops[0].to.as_str(), trials).await;
    }
    if let Some(location) = answer.location() {
        return redirected(seen, location, trials).await;
    }
    if let Some(host) = host(seen, answer, trials).await {
        return Cause::Refusal(Refusal::Host(host));
    }
    if manner.method != Method::GET && is_good_by_get(seen, trials).await {
        return Cause::Refusal(Refusal::Method);
    }
    match status {
        StatusCode::FORBIDDEN if protects_from_csrf(&answer.body) => Cause::Refusal(Refusal::Csrf),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Cause::Refusal(Refusal::Credentials(status.as_u16()))
        }
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Cause::Refusal(Refusal::Method),
        StatusCode::NOT_FOUND => match slashed(seen, trials).await {
            Some(path) => Cause::Redirect(Redirect::Slash(path)),
            None => Cause::Refusal(Refusal::NotFound),
        },
        StatusCode::TOO_MANY_REQUESTS => Cause::Refusal(Refusal::TooMany),
        status if status.is_server_error() => Cause::Refusal(Refusal::ServerError(status.as_u16())),
        status => Cause::Refusal(Refusal::Unexpected(status.as_u16())),
    }
}

/// What a redirect is about.
async fn redirected(seen: &Seen, location: &str, trials: &mut Trials<'_>) -> Cause {
    let asked = &seen.poll.url;
    if asked.scheme() == "http" && redirects_to_https(asked.path(), location) {
        return https(seen, trials).await;
    }
    let Ok(to) = asked.join(location) else { return Cause::Redirect(Redirect::Elsewhere(location.to_owned())) };
    if is_login(&to) {
        return Cause::Redirect(Redirect::Login(location.to_owned()));
    }
    if to.path() == other_slash(asked.path()) {
        return Cause::Redirect(Redirect::Slash(to.path().to_owned()));
    }
    if to == *asked {
        return Cause::Redirect(Redirect::Loop);
    }
    match host_of_url(seen, trials).await {
        Some((host, code)) if seen.client.manner.success.contain(code) => Cause::Refusal(Refusal::Host(Some((host, code)))),
        _ => Cause::Redirect(Redirect::Elsewhere(location.to_owned())),
    }
}

async fn https(seen: &Seen, trials: &mut Trials<'_>) -> Cause {
    let mut forwarded = seen.poll.clone();
    forwarded.more = vec![(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"))];
    // With a Host that is refused there is no telling what else is.
    let believes_proxy = trials.status(&forwarded).await.map(|status| !status.is_redirection());
    Cause::Redirect(Redirect::Https { believes_proxy })
}

/// Whether the `Host` is the reason: by another one that is good, or because it looks so. `Some(None)`: none is known that is.
async fn host(seen: &Seen, answer: &Answer, trials: &mut Trials<'_>) -> Option<Option<(String, u16)>> {
    if !answer.status.is_client_error() {
        return None;
    }
    // What is wrong beside the Host is seen when the Host is right.
    if let Some((host, code)) = host_of_url(seen, trials).await.filter(|(_, code)| (200..400).contains(code)) {
        return Some(Some((host, code)));
    }
    // Django's page for a request that it finds suspicious: in production it says no more.
    let djangos = answer.body.windows(PAGE.len()).any(|window| window == PAGE);
    let sent = seen.host().and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    let by_address = sent.is_none_or(|url| url.host_str().is_some_and(is_address));
    let foreign = seen.client.manner.host != Host::Url;
    let refused = matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::MISDIRECTED_REQUEST);
    (refused
        && (djangos || names_allowed_hosts(&answer.body) || answer.status == StatusCode::MISDIRECTED_REQUEST)
        && (by_address || foreign))
        .then_some(None)
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
    other.url.set_path(&other_slash(seen.poll.url.path()));
    let status = trials.status(&other).await?;
    seen.client.manner.success.contain(status.as_u16()).then(|| other.url.path().to_owned())
}

fn other_slash(path: &str) -> String {
    path.strip_suffix('/').filter(|path| !path.is_empty()).map_or_else(|| format!("{path}/"), str::to_owned)
}

/// Whether a URL looks like a page for logging in.
pub(super) fn is_login(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    ["login", "signin", "sign-in", "sign_in", "sso", "oauth", "saml"]
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
