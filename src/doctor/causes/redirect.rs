//! The server redirects, and the client does not accept the redirect or its target.

use super::explanation::{Context, Explanation, USE_ALLSWELL_PORT, explanation};
use crate::doctor::{
    poll::{PollOutcome, PollStep, authority},
    result::ClientResult,
    software::{Remedy, Software},
    text::url_excerpt,
    trials::TrialPolls,
};
use allswell_checks::{contract::FailureClass, wire::http_symptoms::redirects_to_https};
use hyper::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use url::{Position, Url};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum Redirect {
    /// To HTTPS, and whether it also does so behind a load balancer that terminates TLS.
    Https { forwarded_proto: ForwardedProto },
    /// The redirects form a loop.
    Loop,
    /// The path with or without a slash at its end works: that path.
    Slash(String),
    /// To a login page.
    Login(String),
    /// To another URL.
    Elsewhere(String),
}

/// What the header `X-Forwarded-Proto: https` changes about a redirect to HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::doctor) enum ForwardedProto {
    /// The server no longer redirects.
    Respected,
    /// The server redirects as without the header.
    Ignored,
    /// The server does not respond.
    NoResponse,
}

impl Redirect {
    pub(super) async fn diagnose(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        let outcome = &result.outcome;
        let url = &result.request.url;
        let first_hop = outcome.hops.first().map(|hop| hop.to.as_str());
        // Whatever fails after a redirect to HTTPS is a consequence of that redirect.
        if first_hop.is_some_and(|to| url.scheme() == "http" && redirects_to_https(url.path(), to)) {
            return Some(Self::diagnose_https(result, trials).await);
        }
        let location = match &outcome.failure {
            // The only failure of this class is that of too many redirects.
            Some(failure) if failure.class() == FailureClass::Unhealthy => return Some(Self::Loop),
            // The server was reached, the target of its redirect was not.
            Some(_) if matches!(outcome.step, PollStep::Connect | PollStep::Handshake) => first_hop?,
            Some(_) => return None,
            None => outcome.response.as_ref()?.location().or_else(|| led_astray(outcome, url))?,
        };
        Some(Self::diagnose_location(result, location, trials).await)
    }

    /// A path that does not exist, but exists with or without a slash at its end.
    pub(super) async fn diagnose_not_found(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<Self> {
        let status = result.outcome.status()?;
        if status != StatusCode::NOT_FOUND {
            return None;
        }
        working_other_slash(result, trials).await.map(Self::Slash)
    }

    async fn diagnose_location(result: &ClientResult, location: &str, trials: &mut TrialPolls<'_>) -> Self {
        let url = &result.request.url;
        if url.scheme() == "http" && redirects_to_https(url.path(), location) {
            return Self::diagnose_https(result, trials).await;
        }
        let Ok(to) = url.join(location) else { return Self::Elsewhere(location.to_owned()) };
        // A server that redirects to itself uses the Host header that it received.
        let is_same_server = to.scheme() == url.scheme() && (to.origin() == url.origin() || is_named_by(&to, result));
        let shown = if is_same_server { to[Position::BeforePath..].to_owned() } else { location.to_owned() };
        if is_login(&to) {
            return Self::Login(shown);
        }
        if is_same_server && to[Position::BeforePath..Position::AfterQuery] == *result.path_and_query() {
            return Self::Loop;
        }
        if is_same_server
            && to.path() == other_slash(url.path())
            && let Some(path) = working_other_slash(result, trials).await
        {
            return Self::Slash(path);
        }
        Self::Elsewhere(shown)
    }

    async fn diagnose_https(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Self {
        let mut forwarded = result.request.clone();
        forwarded.extra_headers = vec![(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"))];
        let redirects = |location: &str| redirects_to_https(result.path(), location);
        let forwarded_proto = match trials.send(&forwarded).await {
            None => ForwardedProto::NoResponse,
            Some(response) if response.location.as_deref().is_some_and(redirects) => ForwardedProto::Ignored,
            // A redirect to another URL has another cause.
            Some(_) => ForwardedProto::Respected,
        };
        Self::Https { forwarded_proto }
    }

    pub(super) fn explain(&self, context: &Context<'_>) -> Explanation {
        let first = context.first();
        let path = context.path();
        match self {
            Self::Https { forwarded_proto } => {
                let trial = match forwarded_proto {
                    ForwardedProto::Respected => {
                        "with `X-Forwarded-Proto: https` it does not redirect, but no load balancer sends that header in a health check"
                    }
                    ForwardedProto::Ignored => "with `X-Forwarded-Proto: https` it redirects as well",
                    ForwardedProto::NoResponse => "with `X-Forwarded-Proto: https` it does not respond",
                };
                let mut fix =
                    context.settings(Remedy::StayWithHttp, &[Software::Django, Software::Rails, Software::Nginx, Software::Apache]);
                fix.push(USE_ALLSWELL_PORT.to_owned());
                let evidence = format!("{}; {trial}", first.received());
                explanation("https_redirect", "The server redirects HTTP to HTTPS", evidence, fix)
            }
            Self::Loop => explanation(
                "redirect_loop",
                "The redirects form a loop",
                first.received(),
                [
                    "Redirect in one place only: a load balancer that terminates TLS and a server that requires HTTPS send users back \
                     and forth.",
                    &*format!("Respond to `{path}` before any redirect rule applies."),
                ],
            ),
            Self::Slash(right) => explanation(
                "slash",
                format!("Trailing slash: the correct path is `{right}`"),
                first.received(),
                [format!("Set the health check path to `{right}`.")],
            ),
            Self::Login(to) => {
                let mut fix = context.settings(Remedy::AllowAnonymous, &[Software::Django]);
                fix.insert(0, format!("Allow anonymous access to `{path}`."));
                fix.push(USE_ALLSWELL_PORT.to_owned());
                explanation("login", "The path requires a login", format!("it redirects to {}", url_excerpt(to)), fix)
            }
            Self::Elsewhere(to) => explanation(
                "redirect",
                "The health check path redirects",
                format!("it redirects to {}", url_excerpt(to)),
                [
                    &*format!(
                        "Respond to `{path}` itself with 200: load balancers do not follow redirects, and clients that do got no healthy \
                         response."
                    ),
                    if to.contains("://") {
                        "If the server redirects requests with an unknown Host header, respond to the path in its default server."
                    } else {
                        "Or set the health check path to the redirect's target."
                    },
                ],
            ),
        }
    }
}

/// The target of the last redirect, if the client followed it to a path that is missing or forbidden. If the redirect only added or removed
/// a slash, that response is judged as the path's own.
fn led_astray<'a>(outcome: &'a PollOutcome, url: &Url) -> Option<&'a str> {
    let last = &outcome.hops.last()?.to;
    (outcome.status()?.is_client_error() && last.path() != other_slash(url.path())).then_some(last.as_str())
}

/// Whether a URL names the polled server by the Host header that it received. nginx writes its own port instead of the header's.
fn is_named_by(to: &Url, result: &ClientResult) -> bool {
    let Some(host) = result.host() else { return false };
    let port = result.request.url.port_or_known_default();
    authority(to) == host || (to.host_str() == Some(host) && to.port_or_known_default() == port)
}

/// The path with the slash at its end added or removed, if that path works.
async fn working_other_slash(result: &ClientResult, trials: &mut TrialPolls<'_>) -> Option<String> {
    let mut other = result.request.clone();
    if other.url.path() == "/" {
        return None;
    }
    other.url.set_path(&other_slash(result.path()));
    let status = trials.status(&other).await?;
    let works = status.is_success() && result.client.profile.success.contains(status.as_u16());
    works.then(|| other.url.path().to_owned())
}

fn other_slash(path: &str) -> String {
    path.strip_suffix('/').filter(|path| !path.is_empty()).map_or_else(|| format!("{path}/"), str::to_owned)
}

/// Whether a URL looks like that of a login page.
pub(in crate::doctor) fn is_login(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    ["login", "signin", "sign-in", "sign_in", "sso", "oauth", "oauth2", "saml", "auth"]
        .iter()
        .any(|word| path.split('/').any(|segment| segment.split('.').next() == Some(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_page_is_recognised_by_a_segment_of_its_path() {
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
    fn the_other_slash_is_added_or_removed() {
        for (path, other) in [("/health", "/health/"), ("/health/", "/health"), ("/", "//")] {
            assert_eq!(other_slash(path), other);
        }
    }
}
